"""Who runs the shards of a stage: load processes of this machine here, those of a cluster in ``cluster``.

A shard is a ``ShardTask`` given to a ``concurrent.futures.Executor``. What an Executor has no word for, being told when
to begin and being ended at once, is a ``Shift``'s.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from harness.load.child import Child
from harness.load.job import LoadJob, ShardTask, processes_for
from harness.load.records import HostClock

# Long enough for the word to reach every child.
START_DELAY_NS = 20_000_000
# Number of a shard, kind of frame, content; from any thread.
Hear = Callable[[int, int, bytes], None]


@dataclass(frozen=True, slots=True)
class Begun:
    """When the shards begin, on this machine's monotonic clock, and how well other hosts' clocks are known here."""

    at_ns: int
    hosts: tuple[HostClock, ...] = ()


class Shift(Protocol):
    """The shards of one stage at work."""

    @property
    def futures(self) -> Sequence[Future[bytearray]]:
        """One a shard, in their order: its result's bytes."""

    async def begin(self) -> Begun:
        """Have all shards begin at one instant soon; each has said that it is ready."""

    async def finish(self) -> None:
        """Have the shards, which have begun, end now with what they have."""

    async def watch(self) -> None:
        """Return never; raise when a shard can give no result any more, though its future may not know."""


class Crew(Protocol):
    """Runs shards."""

    def shards_for(self, job: LoadJob) -> int:
        """Into how many shards to part a job."""

    def shift(self, tasks: Sequence[ShardTask], hear: Hear) -> AbstractAsyncContextManager[Shift]:
        """Submit the tasks; no shard runs any more when the block is left. What they say meanwhile goes to ``hear``."""


class LocalShift:
    """Load processes of this machine, each waited for by one thread of a pool."""

    def __init__(self, pool: ThreadPoolExecutor, tasks: Sequence[ShardTask], hear: Hear) -> None:
        self.children = [Child(partial(hear, task.shard.number)) for task in tasks]
        self.futures = [
            pool.submit(child.run, task.content) for child, task in zip(self.children, tasks, strict=True)
        ]

    async def begin(self) -> Begun:
        """One clock for all: the same instant to each."""
        at_ns = time.monotonic_ns() + START_DELAY_NS
        for child in self.children:
            child.begin(at_ns)
        return Begun(at_ns)

    async def finish(self) -> None:
        """Say so to each."""
        for child in self.children:
            child.finish()

    async def watch(self) -> None:
        """A process that dies is told by its future."""
        await asyncio.get_running_loop().create_future()


class LocalCrew:
    """This machine's own load processes."""

    def shards_for(self, job: LoadJob) -> int:
        """As many as asked for, else as many as the load needs and the cores allow."""
        return processes_for(job, cores=os.cpu_count() or 1)

    @asynccontextmanager
    async def shift(self, tasks: Sequence[ShardTask], hear: Hear) -> AsyncIterator[LocalShift]:
        """The processes, ended with the block."""
        pool = ThreadPoolExecutor(len(tasks), thread_name_prefix="load-shard")
        shift = LocalShift(pool, tasks, hear)
        try:
            yield shift
        finally:
            # Before anything is awaited: however this is interrupted, no thread is left waiting for a process.
            for child in shift.children:
                child.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            await asyncio.gather(*map(asyncio.wrap_future, shift.futures), return_exceptions=True)
