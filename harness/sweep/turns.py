"""Waiting for the load test's turn: a create held back until it is near, an idle deployment scaled to zero."""

from __future__ import annotations

import asyncio

from harness.sweep.deployers import Ready, Run
from harness.sweep.lifecycle import Lifecycle
from harness.sweep.pacing import Pacing

# The longest pause between two looks at the timetable: a run ahead may fail and the turn come sooner.
LOOK_AGAIN_S = 1.0


class Turns:
    """Does what the timetable says with a run's deployment. Without one nobody waits."""

    def __init__(self, lifecycle: Lifecycle, pacing: Pacing | None) -> None:
        self._lifecycle = lifecycle
        self._pacing = pacing

    def take_place(self, run: Run) -> None:
        """Behind all runs that are on their way."""
        if self._pacing is not None:
            self._pacing.take_place(run.id)

    def begin(self, run: Run) -> None:
        """Its load test begins."""
        if self._pacing is not None:
            self._pacing.begin(run.id)

    def leave(self, run: Run) -> None:
        """It is over, however it ended."""
        if self._pacing is not None:
            self._pacing.leave(run.id)

    async def come_near(self, run: Run, before: Run | None) -> None:
        """Returns when the run's deployment has to be begun; the one it takes over costs nothing meanwhile, if it can.

        A run that has a deployment already, or may have, is not kept waiting.
        """
        if self._pacing is None or self._lifecycle.ledger(run.id).may_cost:
            return
        if before is not None:
            if not self._pacing.is_worth_scaling(run.id, restarts=True):
                return
            if not await self._lifecycle.pause(before.id):
                return
        await self._until_near(run)

    def now(self) -> float:
        """The timetable's clock."""
        return 0.0 if self._pacing is None else self._pacing.clock()

    def learn(self, seconds: float) -> None:
        """So long did the start of a fresh deployment take."""
        if self._pacing is not None:
            self._pacing.cold.seen.append(seconds)

    async def spared(self, run: Run, ready: Ready) -> Ready:
        """The deployment as it is, or scaled to zero until its turn is near and then made ready again."""
        if self._pacing is None or not self._pacing.is_worth_scaling(run.id, restarts=False):
            return ready
        if not await self._lifecycle.pause(run.id):
            return ready
        await self._until_near(run)
        return await self._lifecycle.resume(run)

    async def _until_near(self, run: Run) -> None:
        pacing = self._pacing
        assert pacing is not None, "nobody waits without a timetable"
        while not pacing.is_near(run.id):
            left_s = pacing.wait_s(run.id) - pacing.cold.late_s
            await asyncio.sleep(min(max(left_s, 0.001), LOOK_AGAIN_S))
