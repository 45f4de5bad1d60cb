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
from harness.load.job import LoadJob, Shard, job_from_json
from harness.load.monitor import Progress
from harness.load.pipe import FRAME, PROGRESS, READY, START_TIME, error_frame, frame, result_frames
from harness.load.records import StageResult
from harness.load.steady import steady_process


def main() -> None:
    """Read a job from standard input, write frames to standard output."""
    content = _read_frame()
    if content is None:
        return
    described = json.loads(content)
    job, shard = job_from_json(described["job"]), Shard(*described["shard"])
    steady_process()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            frames = result_frames(runner.run(_run(job, shard)))
    except HarnessError as error:
        frames = [error_frame(error)]
    for each in frames:
        _send(each)
    # The parent closes our input once it has read everything, and the listening thread then ends the process. Children
    # that went earlier were seen to lose the end of a result of 140 KB on a busy machine.
    threading.Event().wait()


async def _run(job: LoadJob, shard: Shard) -> StageResult:
    loop = asyncio.get_running_loop()
    starts: asyncio.Future[int] = loop.create_future()

    def listen() -> None:
        """The start, then the end of input: the parent is gone or wants no result, and so it ends here too."""
        content = _read_frame()
        if content is not None:
            loop.call_soon_threadsafe(starts.set_result, START_TIME.unpack(content)[0])
            while sys.stdin.buffer.read(1):
                pass
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
    )


def _tell(progress: Progress) -> None:
    _send(frame(PROGRESS, json.dumps(asdict(progress)).encode()))


def _send(content: bytes) -> None:
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _read_frame() -> bytes | None:
    """The content of the next frame of standard input; None when it has ended."""
    header = sys.stdin.buffer.read(FRAME.size)
    if len(header) < FRAME.size:
        return None
    return sys.stdin.buffer.read(FRAME.unpack(header)[1])


if __name__ == "__main__":
    main()
