"""Ctrl-C and SIGTERM: the first asks to stop, the second to let go. Nothing is torn down in a handler."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequested(Exception):
    """Raised inside a run's work when the user asked to stop; the run is torn down, not measured."""


class Interrupts:
    """Two events set by the first and the second signal; ``first_signal`` is the first one's name."""

    def __init__(self, *, on_first: Callable[[str], None] = lambda name: None) -> None:
        self.stop = asyncio.Event()
        self.abandon = asyncio.Event()
        self.first_signal: str | None = None
        self._on_first = on_first

    def notice(self, name: str) -> None:
        """What a signal does; also the way in for a time limit and for tests."""
        if self.stop.is_set():
            self.abandon.set()
            return
        self.first_signal = name
        self.stop.set()
        self._on_first(name)

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handlers on the running loop for the life of the block."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.notice, signal.Signals(number).name)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
            # A signal caught but not yet told of would find the books closed.
            self._on_first = lambda name: None

    async def unless_stopped(self, work: Awaitable[T]) -> T:
        """The result of ``work``, or StopRequested once a stop is asked for; ``work`` is then cancelled and over."""
        return await race(work, self.stop, StopRequested)


async def race(work: Awaitable[T], event: asyncio.Event, error: type[Exception]) -> T:
    """Await ``work`` unless ``event`` comes first; then cancel it, wait until it has ended, and raise ``error``."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and not event.is_set():
            return await task
        task.cancel()
        await asyncio.wait({task})
        raise error()
    finally:
        watch.cancel()
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task})


async def finish_first(work: Awaitable[T]) -> T:
    """Await ``work`` to its end even when this task is cancelled meanwhile; the cancellation follows after."""
    task = asyncio.ensure_future(work)
    # Cancelled a second time, nobody waits for the task any more, and its failure is nobody's news.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            raise CreatedWhileStopping(task.result()) from None
        raise


class CreatedWhileStopping(asyncio.CancelledError):
    """A cancellation that arrived during a create which went through; carries what it returned."""
