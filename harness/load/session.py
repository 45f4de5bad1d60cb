"""Measure one load level in processes of its own, so that nothing the caller's loop does can delay it.

The job, key included, goes down each child's standard input; progress and result come back on its standard output. A
child ends when its input closes, so it cannot outlive its parent. All children begin at one instant.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

import uvloop

from harness.load.child import Child
from harness.load.driver import OnProgress, run_stage
from harness.load.job import LoadJob, Shard, processes_for
from harness.load.merge import merge_progress, merge_results
from harness.load.monitor import Progress
from harness.load.records import StageResult

__all__ = ["LoadJob", "measure", "measure_in_process"]

# Long enough for the word to reach every child.
START_DELAY_NS = 20_000_000


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
    """Measure in one child process or several; cancelling the call ends them."""
    count = processes_for(job, cores=os.cpu_count() or 1)
    # One salt for all parts: they are one stage.
    job = replace(job, cache_salt=job.cache_salt or secrets.token_hex(8))
    children: list[Child] = []
    try:
        for number in range(count):
            children.append(await Child.start(job, Shard(number, count)))
        await asyncio.gather(*(child.ready() for child in children))
        start_ns = time.monotonic_ns() + START_DELAY_NS
        for child in children:
            child.begin(start_ns)
        listeners = _listeners(on_progress, count)
        waits = zip(children, listeners, strict=True)
        results = await asyncio.gather(*(child.result(listener) for child, listener in waits))
        return merge_results(results, stage=job.stage)
    finally:
        await asyncio.gather(*(child.end() for child in children))


def _listeners(on_progress: OnProgress | None, count: int) -> Sequence[OnProgress | None]:
    """One listener a child, each of which tells ``on_progress`` the sum of all."""
    if on_progress is None or count == 1:
        return [on_progress] * count
    latest: dict[int, Progress] = {}

    def listener(number: int) -> OnProgress:
        def hear(progress: Progress) -> None:
            latest[number] = progress
            on_progress(merge_progress(latest))

        return hear

    return [listener(number) for number in range(count)]
