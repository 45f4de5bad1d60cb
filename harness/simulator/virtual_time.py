"""An event loop whose clock jumps: when nothing is left to do now, it is at once the time of the next timer.

Everything that sleeps on the loop takes no time, in the order it would have had. Nothing runs beside the loop (what is
meant for another thread runs in it), so the same program gives the same instants every time. Signals still arrive.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

NS_PER_S = 1_000_000_000
Result = TypeVar("Result")
Args = TypeVarTuple("Args")


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. Its ``time`` begins at 0."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_Selector(self._leap))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now_s

    def now_ns(self) -> int:
        """The same in nanoseconds."""
        return round(self._now_s * NS_PER_S)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Args], Result], *args: *Args
    ) -> asyncio.Future[Result]:
        """Runs ``func`` here and now: time must not go on beside it."""
        done: asyncio.Future[Result] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the future's to raise
            done.set_exception(error)
        return done

    def _leap(self, seconds: float) -> None:
        self._now_s += seconds


class _Selector(selectors.DefaultSelector):
    """Looks for events without waiting for them; ``leap`` is told how long the wait would have been."""

    def __init__(self, leap: Callable[[float], None]) -> None:
        super().__init__()
        self._leap = leap

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Events that are there. Without a timer to leap to only a signal can go on, and is waited for."""
        events = super().select(0 if timeout is not None else None)
        if timeout and not events:
            self._leap(timeout)
        return events
