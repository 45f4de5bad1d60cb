"""When a deployment is to be there: not long before the load test's turn comes to it. Pure; the clock is injected.

Load tests run one at a time, so that of N deployments all but one wait. Where that costs, and what is done:

* A deployment that is not there yet costs nothing: its create is held back until its turn is as near as a late start
  is long. Scaling it to zero after a start would pay for the start twice.
* A reused deployment between two cells waits for the load tests of all others, (N - 1) x L. It may idle, or be scaled
  to zero and started again. Idling costs W = (N - 1) x L; scaling costs the way down D and a cold start C, of which
  the start that a changed parameter takes anyway, M, is saved. It pays when W > D + C - M: with the guesses (a way
  down of 30 s, a late cold start of 536 s, a restart of 120 s) from 446 s on, as with two deployments and
  load levels of eight minutes in all. It never pays with one deployment at a time: there W is 0.
* A deployment that is ready much earlier than thought waits too: scaled to zero when W > D + C.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.sweep.starts import Starts


@dataclass(slots=True)
class Pacing:
    """The timetable of the load tests' turns. ``load_s`` says how long each run's takes, ``slots`` how many at once.

    ``cold`` and ``warm`` are the starts of a fresh and of a changed deployment, ``down_s`` the way down to zero.
    ``clock`` gives seconds. A run has its place from ``take_place`` to ``leave``.
    """

    load_s: Mapping[str, float]
    cold: Starts
    warm: Starts
    down_s: float
    clock: Callable[[], float]
    slots: int = 1
    _waiting: dict[str, None] = field(default_factory=dict)
    _loading: dict[str, float] = field(default_factory=dict)

    def take_place(self, run_id: str) -> None:
        """Behind all who have one."""
        self._waiting[run_id] = None

    def begin(self, run_id: str) -> None:
        """Its load test begins."""
        self._waiting.pop(run_id, None)
        self._loading[run_id] = self.clock() + self._load(run_id)

    def leave(self, run_id: str) -> None:
        """It is over, however it ended."""
        self._waiting.pop(run_id, None)
        self._loading.pop(run_id, None)

    def wait_s(self, run_id: str) -> float:
        """Seconds until its turn comes, if all ahead of it take as long as thought."""
        now = self.clock()
        ends = [max(now, end) for end in self._loading.values()]
        ends += [now] * (self.slots - len(ends))
        heapq.heapify(ends)
        for ahead in self._waiting:
            if ahead == run_id:
                break
            heapq.heapreplace(ends, ends[0] + self._load(ahead))
        return ends[0] - now

    def is_near(self, run_id: str) -> bool:
        """True when a cold start has to begin, or its turn would come first."""
        return self.wait_s(run_id) <= self.cold.late_s

    def is_worth_scaling(self, run_id: str, *, restarts: bool) -> bool:
        """True when waiting for its turn costs more than scaling to zero; ``restarts``: it has to start anew anyway."""
        return self.wait_s(run_id) > scaling_costs_s(self.cold, self.warm, self.down_s, restarts=restarts)

    def _load(self, run_id: str) -> float:
        return self.load_s.get(run_id, 0.0)


def scaling_costs_s(cold: Starts, warm: Starts, down_s: float, *, restarts: bool) -> float:
    """The waiting from which on scaling to zero pays, in seconds. A restart saved is no longer than a cold start."""
    return down_s + cold.late_s - (min(warm.likely_s, cold.likely_s) if restarts else 0.0)


def idle_s(others_load_s: float, cold: Starts, warm: Starts, down_s: float, *, is_fresh: bool) -> float:
    """For how long a deployment is paid for besides its start while all others' load tests have their turn.

    A fresh one is created as late as is safe; a reused one idles, or pays for the way down and a cold start instead.
    """
    if is_fresh:
        return max(0.0, min(others_load_s, cold.late_s) - cold.likely_s)
    if others_load_s > scaling_costs_s(cold, warm, down_s, restarts=True):
        return scaling_costs_s(cold, warm, down_s, restarts=True)
    return max(0.0, others_load_s - warm.likely_s)
