"""What two runs differ in: what a comparison is about, what else is not the same, and what rules it out. Pure.

GPUs, their number, engine versions and parameters are what people compare. Another model or workload answers another
question, and a simulated figure beside a measured one none at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pandas as pd

from harness.errors import UsageError
from harness.results.frame import Run
from harness.results.matching import IDENTITY, LeftOut, Pairing
from harness.results.provenance import lengths_said
from harness.units import first_few

LONGEST = 80


class Kind(StrEnum):
    """What a difference means for the comparison."""

    COMPARED = "compared"
    BESIDE = "beside"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which A and B are not the same."""

    what: str
    a: str
    b: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.what} {self.a} → {self.b}"


def differences(a: Run, b: Run, pairing: Pairing) -> list[Difference]:
    """Everything that is known to differ between the two sides of a comparison."""
    return list(dict.fromkeys([*_of_cells(a, b, pairing.cells), *_of_runs(a, b), *_of_levels(a, b, pairing)]))


def refusal(found: Iterable[Difference], *, override: str) -> None:
    """UsageError when the figures cannot be compared; ``override`` is how to do it all the same."""
    refused = [str(one) for one in found if one.kind is Kind.REFUSED]
    if refused:
        raise UsageError(
            f"A and B cannot be compared: {'; '.join(refused)}; {override} compares them all the same"
        )


def said(found: Sequence[Difference], left_out: Sequence[LeftOut]) -> list[str]:
    """The differences as lines to stand above the figures; none where nothing differs."""
    lines = []
    for kind, head in (
        (Kind.REFUSED, "Not comparable"),
        (Kind.COMPARED, "Compared"),
        (Kind.BESIDE, "Differs besides"),
    ):
        texts = [str(one) for one in found if one.kind is kind]
        if not texts:
            continue
        several = kind is Kind.COMPARED and len({one.what for one in found if one.kind is kind}) > 1
        note = " (all at once: no change can be put down to one of them)" if several else ""
        lines.append(f"{head}: {first_few(texts, '; ', most=8)}{note}")
    if left_out:
        lines.append(f"Not compared: {first_few([str(one) for one in left_out], '; ', most=8)}")
    return lines


def _of_cells(a: Run, b: Run, cells: Iterable[tuple[str, str]]) -> Iterator[Difference]:
    """What the matched cells are not alike in."""
    for cell_a, cell_b in cells:
        left, right = a.cells.loc[cell_a], b.cells.loc[cell_b]
        for name in IDENTITY:
            if name == "parameter_set" or left[name] == right[name]:
                continue  # a set's name is the file's own; what counts is what is in it
            kind = Kind.REFUSED if name == "model" else Kind.COMPARED
            what = name.replace("gpu_", "GPU ").replace("_", " ")
            yield Difference(what, _short(str(left[name])), _short(str(right[name])), kind)


def _of_runs(a: Run, b: Run) -> Iterator[Difference]:
    """What the sweeps were not alike in."""
    one, other = a.resolved, b.resolved
    if one.simulated != other.simulated:
        yield Difference("figures", _figures(one.simulated), _figures(other.simulated), Kind.REFUSED)
    for key in (key for key in one.workload if key in other.workload and key not in UNSAID):
        left, right = one.workload[key], other.workload[key]
        if (left or None) != (right or None):
            tell = WORKLOAD.get(key, _plain)
            yield Difference(key.replace("_", " ").replace("-", " "), tell(left), tell(right), Kind.REFUSED)
    for what, of in BESIDE.items():
        if of(a) != of(b):
            yield Difference(what, _plain(of(a)), _plain(of(b)), Kind.BESIDE)


def _of_levels(a: Run, b: Run, pairing: Pairing) -> Iterator[Difference]:
    """Levels of the same load that were measured otherwise: longer, or after another warm-up."""
    compared = {subject.load for subject in pairing.subjects}
    sides = [
        _measured(run.points, {pair[place] for pair in pairing.cells}) for place, run in enumerate((a, b))
    ]
    for load in (load for load in sides[0] if load in compared):
        left, right = sides[0][load], sides[1].get(load, sides[0][load])
        if left != right:
            yield Difference(f"level {load}:", left, right, Kind.BESIDE)


def _measured(points: pd.DataFrame, cells: set[str]) -> dict[str, str]:
    """How each load was measured; a search may have come to it twice, and then the first counts."""
    own = points[points["cell_id"].isin(cells)].drop_duplicates("load")
    return {
        str(load): str(level).removeprefix(str(load)).strip(", ") or "no limit"
        for load, level in zip(own["load"], own["level"], strict=True)
    }


def _figures(simulated: bool) -> str:
    return "simulated" if simulated else "measured"


def _plain(value: object) -> str:
    return _short(value if isinstance(value, str) else "none" if value is None else json.dumps(value))


def _short(text: str) -> str:
    text = text or "none"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _clocks(run: Run) -> str:
    return ", ".join(sorted(set(run.points["clock"])))


# Of the workload: a tokenizer is named by its path, and what it does is in the lengths and prompts.
UNSAID = frozenset({"tokenizer"})
LENGTHS = ("input_tokens", "output_tokens", "input-tokens", "output-tokens")
WORKLOAD: Mapping[str, Callable[[Any], str]] = dict.fromkeys(LENGTHS, lengths_said)
BESIDE: Mapping[str, Callable[[Run], object]] = {
    "SLO": lambda run: run.resolved.slo,
    "seed": lambda run: run.resolved.seed,
    "deployed by": lambda run: run.resolved.deployer,
    "zone": lambda run: run.resolved.zone,
    "time": lambda run: "virtual" if run.resolved.virtual else "real",
    "client clock": _clocks,
    "harness": lambda run: run.resolved.tool_version,
}
