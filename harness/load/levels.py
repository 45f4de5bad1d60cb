"""Which level of a run comes next: given levels in order, the steps of searches as they come. Pure.

A ``Course`` is asked for the next step and told what came of it. Told the same, it asks the same again: that is how a
run that was broken off is taken up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.errors import UsageError
from harness.load.arrivals import Arrivals, ClosedLoop, ConstantRate, GammaRate, PoissonRate
from harness.load.metrics import LoadMetrics
from harness.load.search import MOST_STEPS, KneeSearch, RateSearch, judge_level
from harness.load.slo import Slo
from harness.load.stage import Stage

FINDS = ("rate", "knee")


@dataclass(frozen=True, slots=True)
class Search:
    """A search in the place of a level: ``rate``, the highest that keeps ``slo``; ``knee``, the fewest useful users.

    ``stage`` is its first step; the others differ from it in the rate, or in the number of users. UsageError when
    what is searched for does not go with that stage.
    """

    find: str
    stage: Stage
    slo: Slo | None = None
    most_steps: int = MOST_STEPS

    def __post_init__(self) -> None:
        arrivals = self.stage.arrivals
        if self.find not in FINDS:
            raise UsageError(f"nothing to find named {self.find!r}; one of: {', '.join(FINDS)}")
        if self.find == "rate" and not isinstance(arrivals, PoissonRate | ConstantRate | GammaRate):
            raise UsageError("a search for the rate starts from one rate")
        if self.find == "rate" and self.slo is None:
            raise UsageError("a search for the rate needs an SLO to keep")
        if self.find == "knee" and not isinstance(arrivals, ClosedLoop):
            raise UsageError("a search for the knee starts from a number of users")

    @property
    def label(self) -> str:
        """Short name for tables: ``find rate from 1 req/s``."""
        return f"find {self.find} from {self.stage.label}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: the first step's, and what is searched for."""
        slo = None if self.slo is None else str(self.slo)
        found = {"find": self.find, "slo": slo, "most_steps": self.most_steps}
        return {**self.stage.to_json(), "label": self.label, **found}


Level = Stage | Search


@dataclass(frozen=True, slots=True)
class Step:
    """One level to measure. ``number`` counts from 0 over the run, ``level`` is the index of what it belongs to.

    With ``skipped`` it is not to be measured, for that reason.
    """

    number: int
    level: int
    stage: Stage
    searched: bool = False
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search came to. ``resolved`` is False where the samples allow another answer.

    ``best`` is the answer's level (requests/s, or users), ``beyond`` the lowest that is too much; None where none
    was seen. ``steps`` are the numbers of its steps.
    """

    level: int
    find: str
    answer: str
    resolved: bool
    best: float | None
    beyond: float | None
    steps: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "steps": list(self.steps)}


class Course:
    """The levels of one run. Ask ``next_step`` until it is None; ``told`` takes what came of each step measured."""

    def __init__(self, levels: Sequence[Level]) -> None:
        self._levels = levels
        self._at = 0
        self._number = 0
        self._search: _RateSteps | _KneeSteps | None = None
        self._lost: list[tuple[Stage, str]] = []
        self.findings: list[Finding] = []

    def next_step(self) -> Step | None:
        """The next level to measure, or to pass over; None when the run is through."""
        while self._at < len(self._levels):
            level = self._levels[self._at]
            if isinstance(level, Stage):
                step = Step(self._number, self._at, level, skipped=self._hopeless(level))
                self._at += 1
                self._number += 1
                return step
            if self._search is None:
                self._search = (_RateSteps if level.find == "rate" else _KneeSteps)(level, self._at)
            stage = self._search.next_stage()
            if stage is not None:
                step = Step(self._number, self._at, stage, searched=True)
                self._number += 1
                return step
            self.findings.append(self._search.finding())
            self._search = None
            self._at += 1
        return None

    def told(self, step: Step, metrics: LoadMetrics) -> None:
        """Take what came of a step."""
        if step.searched and self._search is not None:
            self._search.told(step, metrics)
        elif metrics.ended_early is not None:
            self._lost.append((step.stage, metrics.ended_early))

    def finding(self) -> Finding | None:
        """What the search that is under way has found so far; the last one's finding without one."""
        if self._search is not None:
            return self._search.finding()
        return self.findings[-1] if self.findings else None

    def _hopeless(self, stage: Stage) -> str | None:
        """Why a level need not be tried: a lower one of its kind was lost."""
        for lost, reason in self._lost:
            if is_higher(stage.arrivals, lost.arrivals):
                return f"{lost.label} ended early: {reason}"
        return None


def is_higher(one: Arrivals, other: Arrivals) -> bool:
    """True when ``one`` is more load than ``other`` and of the same kind."""
    if isinstance(one, ClosedLoop) and isinstance(other, ClosedLoop):
        return one.concurrency > other.concurrency
    if isinstance(one, ConstantRate | PoissonRate | GammaRate) and type(one) is type(other):
        return one.rate_req_s > other.rate_req_s and replace(one, rate_req_s=other.rate_req_s) == other
    return False


class _RateSteps:
    """The steps of a search for the highest rate within an SLO."""

    def __init__(self, search: Search, level: int) -> None:
        assert search.slo is not None, "Search demands it"
        assert isinstance(search.stage.arrivals, PoissonRate | ConstantRate | GammaRate), "Search demands it"
        self._stage, self._arrivals, self._slo = search.stage, search.stage.arrivals, search.slo
        self._level = level
        self._steps: list[int] = []
        self._search = RateSearch(search.stage.arrivals.rate_req_s, most_steps=search.most_steps)

    def next_stage(self) -> Stage | None:
        rate = self._search.next_level()
        return (
            None if rate is None else replace(self._stage, arrivals=replace(self._arrivals, rate_req_s=rate))
        )

    def told(self, step: Step, metrics: LoadMetrics) -> None:
        self._steps.append(step.number)
        self._search.told(judge_level(metrics.offered_rate_req_s or 0.0, metrics, self._slo))

    def finding(self) -> Finding:
        met, missed = self._search.highest_met, self._search.lowest_missed
        return Finding(
            level=self._level,
            find="rate",
            answer=self._search.answer(),
            resolved=self._search.resolved,
            best=None if met is None else met.level,
            beyond=None if missed is None else missed.level,
            steps=tuple(self._steps),
        )


class _KneeSteps:
    """The steps of a search for the fewest users that reach most of the throughput."""

    def __init__(self, search: Search, level: int) -> None:
        assert isinstance(search.stage.arrivals, ClosedLoop), "Search demands it"
        self._stage = search.stage
        self._level = level
        self._steps: list[int] = []
        self._search = KneeSearch(search.stage.arrivals.concurrency, most_steps=search.most_steps)

    def next_stage(self) -> Stage | None:
        users = self._search.next_level()
        return None if users is None else replace(self._stage, arrivals=ClosedLoop(users))

    def told(self, step: Step, metrics: LoadMetrics) -> None:
        self._steps.append(step.number)
        assert isinstance(step.stage.arrivals, ClosedLoop), "next_stage made it one"
        e2e_s = metrics.e2e.mean
        rounds = metrics.window_s / e2e_s if e2e_s else None if metrics.succeeded else 0.0
        self._search.told(step.stage.arrivals.concurrency, metrics.output_throughput_tok_s, rounds=rounds)

    def finding(self) -> Finding:
        known = bool(self._search.throughputs)
        return Finding(
            level=self._level,
            find="knee",
            answer=self._search.answer(),
            resolved=self._search.resolved,
            best=float(self._search.knee()) if known else None,
            beyond=None,
            steps=tuple(self._steps),
        )
