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
# A closed loop in lockstep fills a window with whole rounds: one more or less of ten is the gain that is looked for.
FEWEST_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Trial:
    """A level that was measured. ``met`` is the finding; ``decided`` False when the samples allow the opposite too."""

    level: float
    met: bool
    decided: bool


def judge_level(level: float, metrics: LoadMetrics, slo: Slo) -> Trial:
    """Does a level keep the SLO? By the share of requests within all bounds, against the smallest percentile asked.

    Decided when that share's 95 % interval (Wilson) lies on one side. A level without success, one whose requests pile
    up, or one that was given up as lost misses.
    """
    target = min((bound.percentile for bound in slo.bounds), default=100.0) / 100
    low, high = metrics.attainment_low, metrics.attainment_high
    if not metrics.succeeded or low is None or high is None:
        return Trial(level, met=False, decided=True)
    piled_up = any(reason.startswith("rate not reached") for reason in metrics.verdict.reasons)
    if piled_up or metrics.ended_early is not None:
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

    @property
    def sure(self) -> tuple[float | None, float | None]:
        """The highest rate that surely kept the SLO and the lowest that surely missed it, the samples being what they
        are; None where there is none."""
        met = [trial.level for trial in self.trials if trial.met and trial.decided]
        missed = [trial.level for trial in self.trials if not trial.met and trial.decided]
        lowest = min(missed, default=None)
        return max((level for level in met if lowest is None or level < lowest), default=None), lowest

    def next_level(self) -> float | None:
        """The next rate to measure; None when the bracket is narrow enough or the steps are used up."""
        return None if len(self.trials) >= self.most_steps else self._wanted()

    def _wanted(self) -> float | None:
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
        middle = math.sqrt(met.level * missed.level)
        short = float(f"{middle:.3g}")
        return short if met.level < short < missed.level else middle

    @property
    def resolved(self) -> bool:
        """True when the answer has both its ends, close together, and the samples allow no other."""
        return not self._doubts()

    def _doubts(self) -> list[str]:
        """What stands against the answer as it is."""
        met, missed = self.highest_met, self.lowest_missed
        if met is None:
            return ["too few requests to be sure"] if missed is not None and not missed.decided else []
        if missed is None:
            return ["nothing higher was measured"]
        unsure = [f"{trial.level:.3g}" for trial in (met, missed) if not trial.decided]
        above = [f"{trial.level:.3g}" for trial in self.trials if trial.met and trial.level > missed.level]
        doubts = [f"too few requests to be sure at {' and '.join(unsure)}{self._surely()}"] if unsure else []
        doubts += [f"yet {' and '.join(above)} req/s did keep it"] if above else []
        return doubts + (
            ["the steps ran out before the two were close"] if self._wanted() is not None else []
        )

    def _surely(self) -> str:
        kept, lost = self.sure
        words = [f"kept at {kept:.3g}" if kept else "", f"missed at {lost:.3g}" if lost else ""]
        return f" (surely {', '.join(filter(None, words))})" if any(words) else ""

    def told(self, trial: Trial) -> None:
        """Take the outcome of a level."""
        self.trials.append(trial)

    def answer(self) -> str:
        """The finding in words."""
        met, missed, doubts = self.highest_met, self.lowest_missed, self._doubts()
        if met is None:
            lowest = missed.level if missed is not None else self.start
            text = f"no rate down to {lowest:.3g} req/s keeps the SLO"
        else:
            text = f"{met.level:.3g} req/s keeps the SLO"
            text += "" if missed is None else f", {missed.level:.3g} req/s does not"
        return f"unresolved: {'; '.join([text, *doubts])}" if doubts else text


@dataclass(slots=True)
class KneeSearch:
    """The fewest users that reach most of the throughput: doubling until it stops growing, then bisection."""

    start: int = 1
    most_users: int = 4096
    most_steps: int = MOST_STEPS
    throughputs: dict[int, float] = field(default_factory=dict)
    rounds: dict[int, float] = field(default_factory=dict)

    def next_level(self) -> int | None:
        """The next number of users to measure; None when the knee is found or the limits are."""
        return None if len(self.throughputs) >= self.most_steps else self._wanted()

    def _wanted(self) -> int | None:
        users = sorted(self.throughputs)
        if not users:
            return self.start
        if not self.saturated:
            return users[-1] * 2 if users[-1] * 2 <= self.most_users else None
        knee = self.knee()
        below = max((count for count in users if count < knee), default=0)
        return (knee + below) // 2 if knee - below > max(1, knee // 8) else None

    @property
    def saturated(self) -> bool:
        """True when the last doubling brought less than a tenth more."""
        users = sorted(self.throughputs)
        if len(users) < 2:
            return False
        best_before = max(self.throughputs[count] for count in users[:-1])
        return self.throughputs[users[-1]] < best_before * (1 + LEAST_GAIN)

    @property
    def resolved(self) -> bool:
        """True when throughput was seen to stop growing, the knee is narrowed down, and the windows tell a tenth."""
        return self.saturated and self._wanted() is None and self._short() is None

    def _short(self) -> str | None:
        """What stands against the windows; None when the levels that decide held rounds enough."""
        deciding = {self.knee(), max(self.throughputs, key=self.throughputs.__getitem__)}
        held = {users: self.rounds[users] for users in deciding if users in self.rounds}
        users = min(held, key=lambda each: held[each], default=None)
        if users is None or held[users] >= FEWEST_ROUNDS:
            return None
        if held[users] < 1:
            return f"the window at {users} users is shorter than a request"
        return (
            f"the window at {users} users holds {held[users]:.1f} requests one after another, and a tenth is told "
            f"from {FEWEST_ROUNDS} on: measure {FEWEST_ROUNDS / held[users]:.1f} times as long"
        )

    def knee(self) -> int:
        """The fewest users measured with nine tenths of the best throughput."""
        best = max(self.throughputs.values())
        return min(count for count, reached in self.throughputs.items() if reached >= NEAR_BEST * best)

    def told(self, users: int, throughput: float, *, rounds: float | None = None) -> None:
        """Take the throughput of a level; ``rounds`` is its window over the mean E2E latency."""
        self.throughputs[users] = throughput
        if rounds is not None:
            self.rounds[users] = rounds

    def answer(self) -> str:
        """The finding in words."""
        if not self.throughputs or not max(self.throughputs.values()):
            return "no throughput was measured"
        knee, best = self.knee(), max(self.throughputs.values())
        text = f"{knee} users reach {self.throughputs[knee]:.4g} tok/s, the best seen is {best:.4g}"
        doubts = [] if self.saturated else ["it still grew"]
        if self.saturated and self._wanted() is not None:
            doubts.append("the steps ran out before the knee was close")
        if (short := self._short()) is not None:
            doubts.append(short)
        return f"unresolved: {text}, and {'; '.join(doubts)}" if doubts else text
