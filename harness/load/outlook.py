"""Can a level that is being measured still come out well? If not, its window ends early. Pure.

Three grounds, none of which the rest of the window could turn: nothing succeeds; more requests have missed a bound of
the SLO than it allows of all that can still end; an open loop's backlog and TTFT grow beyond recovery. Of a stage that
several processes run, each judges its own share.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from harness.load.arrivals import ClosedLoop
from harness.load.drift import thirds, trend
from harness.load.records import Outcome, RequestRecord
from harness.load.slo import Slo
from harness.load.stage import Stage
from harness.load.verdict import backlog_limit

# Ended before this many requests, a point's figures would say nothing.
FEWEST_ENDED = 20
# "Nothing succeeds" and "beyond recovery" want this much of the window, that a passing disturbance is not taken for it.
LEAST_SHARE = 0.2
# Beyond recovery: not even this much faster than now could the server work its backlog off in time.
CATCH_UP = 1.25
LEAST_TTFT_GROWTH = 0.5
# While requests take their first turn, more come than end in any server: wait for this many times a request's length.
SETTLING = 4.0
RECENT_REQUESTS = 2000

OVER_SATURATED = "over-saturated"


@dataclass(slots=True)
class Outlook:
    """Hears of every request that ended and is asked now and then.

    ``due_s`` are an open loop's measured arrival times, from the stage's origin; None for a closed loop.
    """

    stage: Stage
    due_s: Sequence[float] | None = None
    slo: Slo | None = field(init=False)
    ended: int = 0
    succeeded: int = 0
    failed: int = 0
    fastest_s: float = math.inf
    _missed: dict[str, int] = field(default_factory=dict)
    _first_e2e: list[float] = field(default_factory=list)
    _ttfts: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=RECENT_REQUESTS))
    _backlogs: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.slo = None if self.stage.slo is None else Slo.parse(self.stage.slo)

    def heard(self, record: RequestRecord) -> None:
        """Count a measured request that ended in the window."""
        if record.warmup or record.outcome is Outcome.UNFINISHED:
            return
        self.ended += 1
        self.failed += record.outcome.is_failure
        if record.outcome is Outcome.SUCCEEDED:
            self.succeeded += 1
            if record.ttft_s is not None and record.sent_s is not None:
                self._ttfts.append((record.sent_s, record.ttft_s))
        if record.ended_s is not None and record.sent_s is not None:
            took_s = record.ended_s - record.sent_s
            self.fastest_s = min(self.fastest_s, took_s)
            if len(self._first_e2e) < FEWEST_ENDED:
                self._first_e2e.append(took_s)
        for bound in self.slo.bounds if self.slo else ():
            if bound.metric != "itl" and _misses(record, bound.metric, bound.limit_s):
                self._missed[str(bound)] = self._missed.get(str(bound), 0) + 1

    def verdict(self, now_s: float, *, in_flight: int) -> str | None:
        """Why the level is lost, ``now_s`` after the stage's origin with so many requests out; None if it is not."""
        elapsed_s = now_s - self.stage.warmup_s
        if elapsed_s <= 0:
            return None
        self._backlogs.append((elapsed_s, in_flight))
        return self._nothing_succeeds(elapsed_s) or self._misses_slo(elapsed_s) or self._piles_up(elapsed_s)

    def _nothing_succeeds(self, elapsed_s: float) -> str | None:
        if self.succeeded or self.ended < FEWEST_ENDED or not self._long_enough(elapsed_s):
            return None
        return f"nothing succeeds: {self.ended} requests failed and none came through"

    def _long_enough(self, elapsed_s: float) -> bool:
        return self.stage.duration_s is None or elapsed_s >= LEAST_SHARE * self.stage.duration_s

    def _misses_slo(self, elapsed_s: float) -> str | None:
        """More misses than the SLO allows of the most requests that can end in this window."""
        if self.slo is None or self.ended < FEWEST_ENDED:
            return None
        most = self._most(elapsed_s)
        if self.slo.error_rate is not None and self.failed > self.slo.error_rate * most:
            limit = f"error_rate<={self.slo.error_rate * 100:g}%"
            return f"hopeless: {self.failed} of at most {most:.0f} requests failed, {limit}"
        for bound in self.slo.bounds:
            missed, share = self._missed.get(str(bound), 0), bound.percentile / 100
            # The percentile of n values lies between two misses once this many of them are misses.
            if missed >= most * (1 - share) + share:
                return f"hopeless: {missed} of at most {most:.0f} requests miss {bound}"
        return None

    def _most(self, elapsed_s: float) -> float:
        """The most measured requests that can end within the window.

        A closed loop's are bounded by its users, should no request be faster than the fastest so far.
        """
        stage, limits = self.stage, [math.inf]
        if stage.requests is not None:
            limits.append(stage.requests)
        if self.due_s is not None:
            limits.append(len(self.due_s))
        elif isinstance(stage.arrivals, ClosedLoop) and stage.duration_s is not None:
            rounds = (stage.duration_s - elapsed_s) / self.fastest_s if self.fastest_s > 0 else math.inf
            limits.append(self.ended + stage.arrivals.concurrency * (max(rounds, 0) + 1))
        return min(limits)

    def _piles_up(self, elapsed_s: float) -> str | None:
        """Backlog above what chance explains, beyond working off by the window's end, and TTFT rising with it."""
        duration_s = self.stage.duration_s
        if self.due_s is None or duration_s is None or self.ended < FEWEST_ENDED:
            return None
        if not self._long_enough(elapsed_s) or elapsed_s < SETTLING * median(self._first_e2e or [math.inf]):
            return None
        due = np.asarray(self.due_s) - self.stage.warmup_s
        # Over the later half, when a beginning without ends has passed.
        half_s, half_in_flight = min(self._backlogs, key=lambda seen: abs(seen[0] - elapsed_s / 2))
        before, now = (int(np.searchsorted(due, instant)) for instant in (half_s, elapsed_s))
        total = len(due)
        backlog = self._backlogs[-1][1] - half_in_flight
        if backlog <= backlog_limit(now - before):
            return None
        pace = (now - before - backlog) / max(elapsed_s - half_s, 1e-9)
        left_over = backlog + (total - now) - CATCH_UP * pace * (duration_s - elapsed_s)
        recent = np.array(self._ttfts).reshape(-1, 2)
        growth = trend(recent[:, 0], recent[:, 1])
        if left_over <= backlog_limit(total) or growth is None or growth < LEAST_TTFT_GROWTH:
            return None
        first_s, last_s = thirds(recent[:, 0], recent[:, 1])
        return (
            f"{OVER_SATURATED}: {backlog} of {now - before} requests piled up within {elapsed_s - half_s:.0f} s, "
            f"{pace:.2g} of them end a second, and TTFT rose from "
            f"{first_s * 1000:.0f} to {last_s * 1000:.0f} ms (medians of the first and last third of them)"
        )


def _misses(record: RequestRecord, metric: str, limit_s: float) -> bool:
    """True when a request that ended is outside a bound for good; a failure always is."""
    if record.outcome is not Outcome.SUCCEEDED:
        return True
    value = {
        "ttft": record.ttft_s,
        "e2e": record.e2e_s,
        "tpot": record.tpot_s,
        "stall": record.stall_s,
    }[metric]
    return value is not None and value > limit_s
