"""A load process seen from its parent: started, told when to begin, listened to, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any

from harness.errors import InternalError
from harness.load.driver import OnProgress
from harness.load.job import LoadJob, Shard, job_to_json
from harness.load.monitor import Progress
from harness.load.pipe import (
    CARRIED,
    COLUMNS,
    ERROR,
    FRAME,
    JOB,
    META,
    PROGRESS,
    READY,
    START,
    START_TIME,
    frame,
    result_from,
)
from harness.load.records import StageResult

END_WITHIN_S = 1.0
PIPE_BYTES = 1 << 20


class Child:
    """One child process. ``end`` must be called, whatever happens: it leaves no process behind."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin, process.stdout
        self._complaints = asyncio.ensure_future(_read_all(process.stderr))

    @staticmethod
    async def start(job: LoadJob, shard: Shard) -> Child:
        """A process that has been given its part of the job; its key goes down the pipe and nowhere else."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "harness.load.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=PIPE_BYTES,
            # Ctrl-C is for the parent to act on: in its own session the child does not get it.
            start_new_session=True,
        )
        child = Child(process)
        described = {"job": job_to_json(job), "shard": [shard.number, shard.of]}
        with contextlib.suppress(ConnectionError):  # a child that died early explains itself on stderr
            child._input.write(frame(JOB, json.dumps(described).encode()))
            await child._input.drain()
        return child

    async def ready(self) -> None:
        """Returns when the child has its connections open and waits for the start."""
        kind, content = await self._frame()
        if kind != READY:
            raise _error(content) if kind == ERROR else InternalError("the load process spoke out of turn")

    def begin(self, at_ns: int) -> None:
        """Have the stage's origin at ``at_ns`` on the monotonic clock."""
        self._input.write(frame(START, START_TIME.pack(at_ns)))

    async def result(self, on_progress: OnProgress | None) -> StageResult:
        """Listen until the result is whole; errors of the child are raised here."""
        meta: dict[str, Any] = {}
        while True:
            kind, content = await self._frame()
            if kind == PROGRESS and on_progress is not None:
                on_progress(Progress(**json.loads(content)))
            elif kind == META:
                meta = json.loads(content)
            elif kind == ERROR:
                raise _error(content)
            elif kind == COLUMNS:
                return result_from(meta, content)

    async def _frame(self) -> tuple[int, bytes]:
        try:
            kind, length = FRAME.unpack(await self._output.readexactly(FRAME.size))
            return kind, await self._output.readexactly(length)
        except asyncio.IncompleteReadError:
            last_words = (await self._complaints).decode("utf-8", "replace").strip().splitlines()[-1:]
            why = " ".join(last_words) or f"exit code {await self._process.wait()}"
            raise InternalError(f"the load process ended without a result: {why}") from None

    async def end(self) -> None:
        """The child gone: by itself once its input closes, killed when it lingers."""
        self._input.close()
        try:
            async with asyncio.timeout(END_WITHIN_S):
                await self._process.wait()
        except BaseException as error:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
            if not isinstance(error, TimeoutError):
                raise
        finally:
            self._complaints.cancel()


def _error(content: bytes) -> Exception:
    described = json.loads(content)
    return CARRIED.get(described["type"], InternalError)(described["message"])


async def _read_all(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else (await stream.read())[-65536:]
