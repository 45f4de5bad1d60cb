"""Bars for CI on how much a figure may change, and what became of each at every cell and load level. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.errors import UsageError
from harness.results.compare import METRICS, Change, Verdict
from harness.results.matching import Pairing

_BAR = re.compile(r"\s*(?P<metric>[a-z0-9_]+)\s*(?P<sign>[<>])\s*(?P<limit>[+-]?\d+(?:\.\d*)?)\s*%\s*")


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit on a relative change: ``ttft_p99 > +5%`` is missed by a rise of more than 5 %."""

    metric: str
    above: bool
    limit: float

    @classmethod
    def parse(cls, text: str) -> Bar:
        """The bar in ``METRIC > +5%`` or ``METRIC < -5%``; UsageError says which part is wrong."""
        match = _BAR.fullmatch(text)
        if match is None:
            raise UsageError(f"not a bar: '{text}'; try 'ttft_p99 > +5%' or 'output_throughput < -3%'")
        if match["metric"] not in METRICS:
            raise UsageError(f"unknown metric '{match['metric']}' in '{text}'; one of: {', '.join(METRICS)}")
        return cls(match["metric"], match["sign"] == ">", float(match["limit"]) / 100)

    def __str__(self) -> str:
        return f"{self.metric} {'>' if self.above else '<'} {self.limit * 100:+g}%"


class BarOutcome(StrEnum):
    """``MISSED``: past the bar, and distinguished from no change. ``INCONCLUSIVE``: past it, but not distinguished.

    ``NOT_CHECKED``: A has the figure, and there is none in B, or none to be believed, to hold against it.
    """

    HELD = "held"
    MISSED = "missed"
    INCONCLUSIVE = "inconclusive"
    NOT_CHECKED = "not checked"


def judge(change: Change, bar: Bar) -> BarOutcome:
    """Whether a change of the bar's metric passes it."""
    past = change.relative > bar.limit if bar.above else change.relative < bar.limit
    if not past:
        return BarOutcome.HELD
    if change.verdict in (Verdict.BETTER, Verdict.WORSE):
        return BarOutcome.MISSED
    return BarOutcome.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Check:
    """A bar at one cell and load level (None: at the cell's every level); ``detail`` is the change, or why there is
    none. ``judged`` is False where nothing can be said: no change, or one past the bar without an interval."""

    bar: Bar
    subject: str
    load: str | None
    outcome: BarOutcome
    detail: str
    judged: bool = True

    @property
    def place(self) -> str:
        """The cell and the load level."""
        return self.subject if self.load is None else f"{self.subject} · {self.load}"

    def __str__(self) -> str:
        return f"{self.outcome.value}: {self.bar} · {self.place} ({self.detail})"


def checks(bars: Sequence[Bar], changes: Sequence[Change], pairing: Pairing) -> list[Check]:
    """Every bar at everything that A measured, in the order of the bars."""
    return [check for bar in bars for check in _checks(bar, changes, pairing)]


def _checks(bar: Bar, changes: Sequence[Change], pairing: Pairing) -> Iterator[Check]:
    changed = {(change.subject, change.load): change for change in changes if change.metric == bar.metric}
    for subject in pairing.subjects:
        change = changed.get((subject.name, subject.load))
        if change is None:
            reason = f"no {bar.metric} on both sides"
            yield Check(bar, subject.name, subject.load, BarOutcome.NOT_CHECKED, reason, judged=False)
            continue
        outcome = judge(change, bar)
        detail = f"{change.relative * 100:+.1f} %"
        if outcome is BarOutcome.INCONCLUSIVE:
            detail += f", {change.verdict.value}"
        vague = outcome is BarOutcome.INCONCLUSIVE and change.interval is None
        yield Check(bar, subject.name, subject.load, outcome, detail, judged=not vague)
    for one in pairing.left_out:
        if one.of_a:
            yield Check(bar, one.name, one.load, BarOutcome.NOT_CHECKED, one.reason, judged=False)


def unchecked(bars: Sequence[Bar], found: Sequence[Check]) -> list[Bar]:
    """The bars that nothing could be held against: to pass them would mean nothing."""
    return [bar for bar in bars if not any(check.judged for check in found if check.bar == bar)]
