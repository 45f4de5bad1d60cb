"""The child process of ``harness.load.session``: one job in, progress and one result out, then the end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from dataclasses import asdict

import uvloop

from harness.errors import HarnessError
from harness.load.driver import run_stage
from harness.load.job import LoadJob, Shard, ShardTask
from harness.load.monitor import Progress
from harness.load.pipe import FRAME, PROGRESS, READY, START_TIME, Pieces, error_frame, frame, result_frame
from harness.load.records import StageResult
from harness.load.steady import steady_process

STDOUT = 1


def main() -> None:
    """Read a job from standard input, write frames to standard output."""
    content = _read_frame()
    if content is None:
        return
    job, shard = ShardTask(Shard(), content).read()
    del content
    steady_process()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            pieces: Pieces = result_frame(runner.run(_run(job, shard)))
    except HarnessError as error:
        pieces = [error_frame(error)]
    for piece in pieces:
        _send(piece)
    # Not by returning: the listening thread is in a read of standard input, over which the interpreter stumbles.
    os._exit(0)


async def _run(job: LoadJob, shard: Shard) -> StageResult:
    loop = asyncio.get_running_loop()
    starts: asyncio.Future[int] = loop.create_future()
    finish = asyncio.Event()

    def listen() -> None:
        """The start, and perhaps the word to finish; then the end of input.

        The parent is gone then or wants no result, and so it ends here too.
        """
        content = _read_frame()
        if content is not None:
            loop.call_soon_threadsafe(starts.set_result, START_TIME.unpack(content)[0])
            while _read_frame() is not None:
                loop.call_soon_threadsafe(finish.set)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()

    async def wait_for_start() -> int:
        _send(frame(READY))
        return await starts

    return await run_stage(
        job.endpoint,
        job.stage,
        job.workload,
        probe=job.probe,
        seed=job.seed,
        cache_salt=job.cache_salt,
        on_progress=_tell,
        shard=shard,
        start=wait_for_start,
        finish=finish,
    )


def _tell(progress: Progress) -> None:
    _send(frame(PROGRESS, json.dumps(asdict(progress)).encode()))


def _send(content: bytes | memoryview) -> None:
    """All of it: one write may take a part, and under PYTHONUNBUFFERED ``sys.stdout`` does not go on."""
    left = memoryview(content)
    while left:
        left = left[os.write(STDOUT, left) :]


def _read_frame() -> bytes | None:
    """The content of the next frame of standard input; None when it has ended."""
    header = sys.stdin.buffer.read(FRAME.size)
    if len(header) < FRAME.size:
        return None
    return sys.stdin.buffer.read(FRAME.unpack(header)[1])


if __name__ == "__main__":
    main()
