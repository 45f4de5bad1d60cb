"""The simulated zone's time: seconds of the zone pass ``scale`` times as fast as real ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class SimulatedClock:
    """Zone seconds since it was made, and sleeping in them. Only provisioning runs on it.

    ``real`` is the clock underneath, by which tokens stream.
    """

    def __init__(
        self,
        scale: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if scale <= 0:
            raise ValueError(f"the time scale must be above 0, not {scale}")
        self.scale = scale
        self.real = clock
        self._sleep = sleep
        self._origin = clock()

    def now(self) -> float:
        """Zone seconds since the start."""
        return (self.real() - self._origin) * self.scale

    async def sleep(self, seconds: float) -> None:
        """Waits that many zone seconds."""
        await self._sleep(max(0.0, seconds) / self.scale)
