"""Which load level to measure next: the highest rate within an SLO, and the knee of a closed loop. Pure.

Both are asked for the next level and told what came of it; they never measure. An answer that the samples do not decide
says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from harness.load.metrics import LoadMetrics
from harness.load.slo import Slo
from harness.load.verdict import VOID

RESOLUTION = 0.1
MOST_STEPS = 16
# Below this gain for twice the users a server counts as saturated.
LEAST_GAIN = 0.1
NEAR_BEST = 0.9


@dataclass(frozen=True, slots=True)
class Trial:
    """A level that was measured. ``met`` is the finding; ``decided`` False when the samples allow the opposite too."""

    level: float
    met: bool
    decided: bool


def judge_level(level: float, metrics: LoadMetrics, slo: Slo) -> Trial:
    """Does a level keep the SLO? By the share of requests within all bounds, against the smallest percentile asked.

    Decided when that share's 95 % interval (Wilson) lies on one side. A level without success, or whose requests pile
    up, misses.
    """
    target = min((bound.percentile for bound in slo.bounds), default=100.0) / 100
    low, high = metrics.attainment_low, metrics.attainment_high
    if not metrics.succeeded or low is None or high is None:
        return Trial(level, met=False, decided=True)
    if any(reason.startswith("rate not reached") for reason in metrics.verdict.reasons):
        return Trial(level, met=False, decided=True)
    met = bool(metrics.slo_met) and metrics.verdict.state != VOID
    return Trial(level, met=met, decided=low >= target if met else high < target)


@dataclass(slots=True)
class RateSearch:
    """The highest rate that keeps an SLO: doubling or halving to a bracket, then bisection on the logarithm.

    Ask ``next_level`` for a rate until it is None; ``told`` takes what came of each.
    """

    start: float
    resolution: float = RESOLUTION
    most_steps: int = MOST_STEPS
    trials: list[Trial] = field(default_factory=list)

    @property
    def highest_met(self) -> Trial | None:
        """The highest level that met the SLO below every one that missed it."""
        missed = self.lowest_missed
        met = [trial for trial in self.trials if trial.met and (missed is None or trial.level < missed.level)]
        return max(met, key=lambda trial: trial.level, default=None)

    @property
    def lowest_missed(self) -> Trial | None:
        """The lowest level that missed it."""
        return min(
            (trial for trial in self.trials if not trial.met), key=lambda trial: trial.level, default=None
        )

    def next_level(self) -> float | None:
        """The next rate to measure; None when the bracket is narrow enough or the steps are used up."""
        if len(self.trials) >= self.most_steps:
            return None
        met, missed = self.highest_met, self.lowest_missed
        if met is None and missed is None:
            return self.start
        if missed is None and met is not None:
            return met.level * 2
        if met is None and missed is not None:
            return missed.level / 2
        assert met is not None
        assert missed is not None
        if missed.level <= met.level * (1 + self.resolution):
            return None
        return math.sqrt(met.level * missed.level)

    def told(self, trial: Trial) -> None:
        """Take the outcome of a level."""
        self.trials.append(trial)

    def answer(self) -> str:
        """The finding in words."""
        met, missed = self.highest_met, self.lowest_missed
        if met is None:
            lowest = missed.level if missed is not None else self.start
            return f"no rate down to {lowest:.3g} req/s keeps the SLO"
        if missed is None:
            return f"unresolved: {met.level:.3g} req/s keeps the SLO, and nothing higher was measured"
        text = f"{met.level:.3g} req/s keeps the SLO, {missed.level:.3g} req/s does not"
        open_ends = [f"{trial.level:.3g}" for trial in (met, missed) if not trial.decided]
        return (
            text
            if not open_ends
            else f"unresolved: {text}; too few requests to be sure at {' and '.join(open_ends)}"
        )


@dataclass(slots=True)
class KneeSearch:
    """The fewest users that reach most of the throughput: doubling until it stops growing, then bisection."""

    most_users: int = 4096
    most_steps: int = MOST_STEPS
    throughputs: dict[int, float] = field(default_factory=dict)

    def next_level(self) -> int | None:
        """The next number of users to measure; None when the knee is found or the limits are."""
        if len(self.throughputs) >= self.most_steps:
            return None
        users = sorted(self.throughputs)
        if not users:
            return 1
        if not self.saturated:
            return users[-1] * 2 if users[-1] * 2 <= self.most_users else None
        knee = self.knee()
        below = max((count for count in users if count < knee), default=0)
        return (knee + below) // 2 if knee - below > max(1, knee // 8) and below else None

    @property
    def saturated(self) -> bool:
        """True when the last doubling brought less than a tenth more."""
        users = sorted(self.throughputs)
        if len(users) < 2:
            return False
        best_before = max(self.throughputs[count] for count in users[:-1])
        return self.throughputs[users[-1]] < best_before * (1 + LEAST_GAIN)

    def knee(self) -> int:
        """The fewest users measured with nine tenths of the best throughput."""
        best = max(self.throughputs.values())
        return min(count for count, reached in self.throughputs.items() if reached >= NEAR_BEST * best)

    def told(self, users: int, throughput: float) -> None:
        """Take the throughput of a level."""
        self.throughputs[users] = throughput

    def answer(self) -> str:
        """The finding in words."""
        if not self.throughputs or not max(self.throughputs.values()):
            return "no throughput was measured"
        knee, best = self.knee(), max(self.throughputs.values())
        text = f"{knee} users reach {self.throughputs[knee]:.4g} tok/s, the best seen is {best:.4g}"
        return text if self.saturated else f"unresolved: {text}, and it still grew"
