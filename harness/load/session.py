"""Measure one load level in shards that run elsewhere, so that nothing the caller's loop does can delay them.

The shards begin at one instant and their records are put together; a crew (``harness.load.crew``) says where they run.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable
from dataclasses import replace
from typing import TypeVar

import uvloop

from harness.load.crew import Begun, Crew, LocalCrew, Shift
from harness.load.driver import OnProgress, run_stage
from harness.load.job import LoadJob, Shard, ShardTask
from harness.load.merge import merge_progress, merge_results
from harness.load.monitor import Progress, waiting_for
from harness.load.pipe import PROGRESS, READY, result_from
from harness.load.records import StageResult
from harness.load.response import NS_PER_S

__all__ = ["LoadJob", "measure", "measure_in_process", "measure_with"]

T = TypeVar("T")


def measure(job: LoadJob, *, on_progress: OnProgress | None = None) -> StageResult:
    """Measure in this process, on a loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(
            run_stage(
                job.endpoint,
                job.stage,
                job.workload,
                probe=job.probe,
                seed=job.seed,
                cache_salt=job.cache_salt,
                on_progress=on_progress,
            )
        )


async def measure_in_process(job: LoadJob, *, on_progress: OnProgress | None = None) -> StageResult:
    """``measure_with`` this machine's load processes: one child or several."""
    return await measure_with(LocalCrew(), job, on_progress=on_progress)


async def measure_with(
    crew: Crew,
    job: LoadJob,
    *,
    on_progress: OnProgress | None = None,
    finish: asyncio.Event | None = None,
) -> StageResult:
    """Measure in as many shards as the crew sees fit; cancelling the call ends them.

    Once ``finish`` is set the stage ends with what it has, marked as interrupted.
    """
    count = crew.shards_for(job)
    # One salt for all parts: they are one stage.
    job = replace(job, cache_salt=job.cache_salt or secrets.token_hex(8))
    tasks = [ShardTask.of(job, Shard(number, count)) for number in range(count)]
    desk = _Desk(count, on_progress)
    async with crew.shift(tasks, desk.hear) as shift:
        del tasks
        contents, begun = await _work(shift, desk, finish or asyncio.Event())
    parts = [result_from(contents.pop(0)) for _ in range(count)]
    return _as_one(parts, job, begun)


async def _work(shift: Shift, desk: _Desk, finish: asyncio.Event) -> tuple[list[bytearray], Begun]:
    """All shards ready, begun, and over."""
    results = asyncio.gather(*map(asyncio.wrap_future, shift.futures))
    watch = asyncio.ensure_future(shift.watch())
    try:
        await _unless(desk.ready.wait(), results, watch)
        begun = await shift.begin()
        finishing = asyncio.ensure_future(_finished(shift, finish))
        try:
            await _unless(_unless(asyncio.shield(results), watch), finishing)
        finally:
            finishing.cancel()
        return list(results.result()), begun
    finally:
        watch.cancel()
        results.cancel()
        await asyncio.gather(watch, results, return_exceptions=True)


async def _finished(shift: Shift, finish: asyncio.Event) -> None:
    """Returns once the shards were told to finish."""
    await finish.wait()
    await shift.finish()


async def _unless(wanted: Awaitable[T], *guards: asyncio.Future[list[bytearray]] | asyncio.Future[None]) -> T:
    """What is wanted, unless a guard ends before: its error is raised then."""
    waited = asyncio.ensure_future(wanted)
    try:
        await asyncio.wait({waited, *guards}, return_when=asyncio.FIRST_COMPLETED)
        for guard in guards:
            if guard.done():
                guard.result()
        return await waited
    finally:
        waited.cancel()


def _as_one(parts: list[StageResult], job: LoadJob, begun: Begun) -> StageResult:
    result = merge_results(parts, stage=job.stage)
    result.started_at_unix = time.time() + (begun.at_ns - time.monotonic_ns()) / NS_PER_S
    result.client = replace(result.client, hosts=begun.hosts)
    return result


class _Desk:
    """What the shards have said. ``ready`` is set when all wait for the start."""

    def __init__(self, count: int, on_progress: OnProgress | None) -> None:
        self._count, self._on_progress = count, on_progress
        self._loop = asyncio.get_running_loop()
        self._waiting = set(range(count))
        self._latest: dict[int, Progress] = {}
        self.ready = asyncio.Event()
        self._tell(waiting_for(count))

    def hear(self, number: int, kind: int, content: bytes) -> None:
        """Take a frame of shard ``number``; from any thread."""
        self._loop.call_soon_threadsafe(self._take, number, kind, content)

    def _take(self, number: int, kind: int, content: bytes) -> None:
        if kind == READY:
            self._waiting.discard(number)
            if self._waiting:
                self._tell(waiting_for(len(self._waiting)))
            else:
                self.ready.set()
        elif kind == PROGRESS and not self._waiting:
            self._latest[number] = Progress(**json.loads(content))
            self._tell(merge_progress(self._latest))

    def _tell(self, progress: Progress) -> None:
        if self._on_progress is not None:
            self._on_progress(progress)
