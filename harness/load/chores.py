"""Work that may wait, done in slices between reads: reading responses, making requests.

Done at once, the parsing of a few hundred answers that end together would keep the loop from its sockets for a tenth of
a second, and reads would then carry several tokens each.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator

SLICE_NS = 500_000
# A client that falls behind must not fill the memory: while more than this waits to be read, nothing else is done. Its
# loop then lags, and the verdict says so.
MOST_HELD_BYTES = 32 << 20


class Chores:
    """A queue of iterators, each step of which is a fraction of a millisecond; one slice per turn of the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[Iterator[None], int]] = deque()
        self._held_bytes = 0
        self._scheduled = False

    def add(self, chore: Iterator[None], *, holds_bytes: int = 0, urgent: bool = False) -> None:
        """Have ``chore`` run to its end, a slice at a time, after those before it; an ``urgent`` one comes next.

        It then frees what it holds.
        """
        if urgent:
            self._queue.appendleft((chore, holds_bytes))
        else:
            self._queue.append((chore, holds_bytes))
        self._held_bytes += holds_bytes
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run_slice)

    def _run_slice(self) -> None:
        end_ns = time.monotonic_ns() + SLICE_NS
        while self._queue and (time.monotonic_ns() < end_ns or self._held_bytes > MOST_HELD_BYTES):
            self._step()
        self._scheduled = bool(self._queue)
        if self._scheduled:
            self._loop.call_soon(self._run_slice)

    def _step(self) -> None:
        chore, holds_bytes = self._queue.popleft()
        for _ in chore:
            self._queue.appendleft((chore, holds_bytes))
            return
        self._held_bytes -= holds_bytes

    def finish(self) -> None:
        """Run everything that is left, now."""
        while self._queue:
            self._step()
