"""Which cells the best one is not distinguished from: a difference within the noise decides nothing.

The best is compared with several, so their intervals are widened until all of them hold together. Reads the records of
the best level and of its nearest rivals' best levels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.results.compare import Change, Subject, compare
from harness.results.frame import Run
from harness.results.samples import samples_of
from harness.results.stats import Interval

MOST_RIVALS = 5
NEAR = 0.1
"""Rivals further off than this share are not looked at."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A cell's best level beside the best of all. ``relative`` is how much dearer it is (its figure / the best - 1).

    ``interval`` is of ``relative``; None where the windows are too short for one.
    """

    label: str
    load: str
    figure: float
    relative: float
    interval: Interval | None

    @property
    def distinguished(self) -> bool:
        """True when the interval excludes no difference."""
        return self.interval is not None and self.interval.excludes(0.0)


def rivals(run: Run, levels: pd.DataFrame, best: pd.Series[Any], *, figure: str) -> list[Rival]:
    """The nearest cells by ``figure`` (a cost: less is better) within a tenth of ``best``, at their own best levels.

    A cost is a price over the measured output throughput, and only the throughput varies: its interval, turned over
    and put on the ratio of the costs, is the cost's.
    """
    others = levels.sort_values(figure).drop_duplicates("cell_id")
    near = others[(others["cell_id"] != best["cell_id"]) & (others[figure] <= best[figure] * (1 + NEAR))]
    near = near.head(MOST_RIVALS)
    changes = _changes(run, best, near)
    return [_rival(best, level, figure, changes.get(str(level["cell_id"]))) for _, level in near.iterrows()]


def _rival(best: pd.Series[Any], level: pd.Series[Any], figure: str, change: Change | None) -> Rival:
    relative = float(level[figure] / best[figure] - 1)
    interval = None
    if change is not None and change.interval is not None:
        # log(cost ratio) = log(price ratio) - log(throughput ratio)
        centre = math.log1p(relative) + math.log1p(change.relative)
        ends = (centre - math.log1p(change.interval.high), centre - math.log1p(change.interval.low))
        interval = Interval(math.expm1(ends[0]), math.expm1(ends[1]))
    return Rival(str(level["label"]), str(level["load"]), float(level[figure]), relative, interval)


def _changes(run: Run, best: pd.Series[Any], near: pd.DataFrame) -> dict[str, Change]:
    """The change of output throughput from the best level to each rival's, by cell."""
    base = tuple(samples_of(run, _points(run, best)))
    subjects = [
        Subject(str(level["cell_id"]), str(level["load"]), base, tuple(samples_of(run, _points(run, level))))
        for _, level in near.iterrows()
    ]
    changes = compare(subjects, metrics=("output_throughput",), together=True)
    return {change.subject: change for change in changes}


def _points(run: Run, level: pd.Series[Any]) -> pd.DataFrame:
    same = (run.points["cell_id"] == level["cell_id"]) & (run.points["level"] == level["level"])
    # A search may have come twice to one level of a run.
    found: pd.DataFrame = run.points[same].drop_duplicates("repeat")
    return found


def told(found: Sequence[Rival], best: pd.Series[Any], *, unit: str) -> Iterable[str]:
    """In words: which cells are as good as the best for all that is known, and which cannot be told."""
    near = [rival for rival in found if rival.interval is not None and not rival.distinguished]
    unknown = [rival for rival in found if rival.interval is None]
    compared = len(found) - len(unknown)
    held = f" ({compared} comparisons that hold together at 95 %)" if compared > 1 else ""
    if near:
        yield (
            f"Not distinguished from {best['label']}{held}: {_named(near, unit)}. Longer windows or repeats would tell."
        )
    if unknown:
        yield (
            f"Within {NEAR:.0%} of {best['label']}, and the windows are too short to tell them apart: "
            f"{_named(unknown, unit)}."
        )


def _named(found: Sequence[Rival], unit: str) -> str:
    return ", ".join(f"{rival.label} at {rival.load} ({rival.figure:.2f} {unit})" for rival in found)
