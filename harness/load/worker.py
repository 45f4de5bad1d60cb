"""The child process of ``harness.load.session``: one job in, progress and one result out, then the end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
import threading
from dataclasses import asdict

import uvloop

from harness.errors import HarnessError
from harness.load.driver import OnProgress, run_stage
from harness.load.monitor import Progress
from harness.load.records import StageResult
from harness.load.session import ERROR, FRAME, PROGRESS, LoadJob, frame, job_from_json, result_frames

PRIORITY = -10


def main() -> None:
    """Read a job from standard input, write frames to standard output."""
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    header = stdin.read(FRAME.size)
    if len(header) < FRAME.size:
        return
    job = job_from_json(json.loads(stdin.read(FRAME.unpack(header)[1])))
    threading.Thread(target=_end_with_input, args=(stdin.fileno(),), daemon=True).start()
    # The reader's delays would be in the figures; most systems let only root ask for this.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    # Full collections would stop the reader for milliseconds, and nothing long-lived here is cyclic.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1000)

    def send(content: bytes) -> None:
        stdout.write(content)
        stdout.flush()

    def on_progress(progress: Progress) -> None:
        send(frame(PROGRESS, json.dumps(asdict(progress)).encode()))

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            frames = result_frames(runner.run(_run(job, on_progress)))
    except HarnessError as error:
        frames = [frame(ERROR, json.dumps({"type": type(error).__name__, "message": str(error)}).encode())]
    for content in frames:
        send(content)


async def _run(job: LoadJob, on_progress: OnProgress) -> StageResult:
    return await run_stage(
        job.endpoint,
        job.stage,
        job.workload,
        probe=job.probe,
        seed=job.seed,
        cache_salt=job.cache_salt,
        on_progress=on_progress,
    )


def _end_with_input(descriptor: int) -> None:
    """Leave at once when the other end of standard input is closed: the parent is gone or wants no result."""
    while os.read(descriptor, 65536):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
