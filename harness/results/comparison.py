"""Two runs compared in a notebook: ``harness.compare(a, b)``."""

from __future__ import annotations

import html
from collections.abc import Mapping

import numpy as np
import pandas as pd

from harness.results.comparable import differences, refusal, said
from harness.results.compare import compare, multiplicity
from harness.results.frame import Run, load
from harness.results.matching import pair_up


class Comparison(pd.DataFrame):
    """The changes as a frame that says in a notebook what it is; parts of it are plain frames."""

    def _repr_html_(self) -> str:
        """The table under its title and what the number of intervals means."""
        title, note = (html.escape(str(self.attrs.get(name, ""))) for name in ("title", "note"))
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in self.attrs.get("differences", ()))
        return f"<h3>{title}</h3>{lines}<p>{note}</p>{pd.DataFrame(self)._repr_html_()}"  # type: ignore[operator]  # IPython's hook is not in the stubs


def compare_runs(
    a: Run | str,
    b: Run | str,
    *,
    where_a: Mapping[str, str] | None = None,
    where_b: Mapping[str, str] | None = None,
    together: bool = False,
    anyway: bool = False,
) -> Comparison:
    """Every change from A to B as a frame; see ``changes_between``. Its columns: ``results/README.md``.

    UsageError where the two differ in model or workload, or one is simulated, unless ``anyway``. What else they differ
    in stands in the frame's ``attrs["differences"]``, and above its table.
    """
    left, right = _run(a), _run(b)
    pairing = pair_up(left, right, where_a=where_a or {}, where_b=where_b or {})
    found = differences(left, right, pairing)
    if not anyway:
        refusal(found, override="anyway=True")
    changes = compare(pairing.subjects, together=together)
    frame = Comparison(
        [
            {
                "subject": change.subject,
                "load": change.load,
                "metric": change.metric,
                "a": change.a,
                "b": change.b,
                "relative": change.relative,
                "low": np.nan if change.interval is None else change.interval.low,
                "high": np.nan if change.interval is None else change.interval.high,
                "level": change.level,
                "method": change.method,
                "verdict": change.verdict.value,
            }
            for change in changes
        ]
    )
    frame.attrs = {
        "title": f"{left.title} → {right.title}",
        "differences": said(found, pairing.left_out),
        "note": multiplicity(changes),
    }
    return frame


def _run(given: Run | str) -> Run:
    return given if isinstance(given, Run) else load(given)
