"""Waking up at an instant to within some tens of microseconds: event-loop timers round to a millisecond."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import heapq
import itertools
import os
import struct
import sys
import time
from collections.abc import Callable

from harness.load.response import NS_PER_S

CLOCK_MONOTONIC = 1
TFD_NONBLOCK, TFD_CLOEXEC, TFD_TIMER_ABSTIME = 0o4000, 0o2000000, 1
# struct itimerspec: interval and first expiry, each seconds and nanoseconds.
ITIMERSPEC = struct.Struct("@llll")


class Alarm:
    """Waits for instants of ``now_ns``, any number at a time. ``close`` frees its descriptor.

    Uses a timerfd where the system has one, else the loop's own timer, which is up to a millisecond late; a virtual
    clock is kept by its loop, and exactly.
    """

    def __init__(self, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._now_ns = now_ns
        self._loop = asyncio.get_running_loop()
        self._libc: ctypes.CDLL | None = None
        self._fd = -1
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        if sys.platform == "linux" and now_ns is time.monotonic_ns:
            libc = ctypes.CDLL(None, use_errno=True)
            self._fd = libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if self._fd >= 0:
            self._libc = libc
            self._loop.add_reader(self._fd, self._on_expiry)

    async def wait_until(self, instant_ns: int) -> None:
        """Return at ``instant_ns``, at once when that is past."""
        if instant_ns <= self._now_ns():
            await asyncio.sleep(0)  # a long run of late arrivals must not starve the sockets
            return
        waiter = self._loop.create_future()
        heapq.heappush(self._waiting, (instant_ns, next(self._numbers), waiter))
        if self._waiting[0][2] is waiter:
            self._set(instant_ns)
        await waiter

    def _set(self, instant_ns: int) -> None:
        if self._libc is not None:
            expiry = ITIMERSPEC.pack(0, 0, *divmod(instant_ns, NS_PER_S))
            if self._libc.timerfd_settime(self._fd, TFD_TIMER_ABSTIME, expiry, None) == 0:
                return
        self._loop.call_later(max(instant_ns - self._now_ns(), 0) / NS_PER_S, self._on_expiry)

    def _on_expiry(self) -> None:
        if self._fd >= 0:
            with contextlib.suppress(BlockingIOError):
                os.read(self._fd, 8)
        while self._waiting and (self._waiting[0][2].done() or self._waiting[0][0] <= self._now_ns()):
            waiter = heapq.heappop(self._waiting)[2]
            if not waiter.done():
                waiter.set_result(None)
        if self._waiting:
            self._set(self._waiting[0][0])

    def close(self) -> None:
        """Free the descriptor; harmless when done before."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
