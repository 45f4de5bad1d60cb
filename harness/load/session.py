"""Measure one load level in a process of its own, so that nothing the caller's loop does can delay it.

The job, key included, goes down the child's standard input; progress and result come back on its standard output as
frames. The child ends when its input closes, so it cannot outlive its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import uvloop

from harness.errors import EndpointError, HarnessError, InternalError, NetworkError, UsageError
from harness.load.columns import columns_of, pack, records_of, unpack
from harness.load.driver import OnProgress, run_stage
from harness.load.monitor import Progress
from harness.load.probe import Probe, probe_from_json
from harness.load.records import ClientStats, Endpoint, StageResult
from harness.load.stage import Stage, stage_from_json
from harness.load.workload import Workload, workload_from_json
from harness.secret import Secret

FRAME = struct.Struct("!BQ")
PROGRESS, META, COLUMNS, ERROR = 1, 2, 3, 4
END_WITHIN_S = 1.0
# Errors that keep their class on the way from the child; any other becomes an InternalError.
CARRIED: Mapping[str, type[HarnessError]] = {
    error.__name__: error for error in (UsageError, NetworkError, EndpointError)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadJob:
    """One stage to be measured. ``cache_salt`` None draws a fresh one."""

    endpoint: Endpoint
    stage: Stage
    workload: Workload
    probe: Probe
    seed: int = 0
    cache_salt: str | None = None


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
    """Measure in a child process; cancelling the call ends the child."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "harness.load.worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
        # Ctrl-C is for the parent to act on: in its own session the child does not get it.
        start_new_session=True,
    )
    complaints = asyncio.ensure_future(_read_all(child.stderr))
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(ConnectionError):  # a child that died early explains itself on stderr
            child.stdin.write(frame(META, json.dumps(job_to_json(job)).encode()))
            await child.stdin.drain()
        result = await _receive(child.stdout, on_progress)
        if result is None:
            last_words = (await complaints).decode("utf-8", "replace").strip().splitlines()[-1:]
            raise InternalError(
                f"the load process ended without a result: {' '.join(last_words) or 'no reason given'}"
            )
        return result
    finally:
        await _end(child)
        complaints.cancel()


async def _receive(stream: asyncio.StreamReader, on_progress: OnProgress | None) -> StageResult | None:
    """Frames until the result is whole; None when the child ended before."""
    meta: dict[str, Any] = {}
    while True:
        try:
            kind, length = FRAME.unpack(await stream.readexactly(FRAME.size))
            content = await stream.readexactly(length)
        except asyncio.IncompleteReadError:
            return None
        if kind == PROGRESS and on_progress is not None:
            on_progress(Progress(**json.loads(content)))
        elif kind == META:
            meta = json.loads(content)
        elif kind == ERROR:
            described = json.loads(content)
            raise CARRIED.get(described["type"], InternalError)(described["message"])
        elif kind == COLUMNS:
            client = ClientStats(**meta.pop("client"))
            return StageResult(**meta, client=client, records=records_of(unpack(content)))


async def _end(child: asyncio.subprocess.Process) -> None:
    """The child gone: by itself once its input closes, killed when it lingers."""
    if child.stdin is not None:
        child.stdin.close()
    try:
        async with asyncio.timeout(END_WITHIN_S):
            await child.wait()
    except BaseException as error:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        if not isinstance(error, TimeoutError):
            raise


async def _read_all(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else (await stream.read())[-65536:]


def frame(kind: int, content: bytes) -> bytes:
    """One message of the pipe: a kind, a length, the content."""
    return FRAME.pack(kind, len(content)) + content


def result_frames(result: StageResult) -> list[bytes]:
    """A result as the frames ``measure_in_process`` reads."""
    meta = {
        "label": result.label,
        "stage": dict(result.stage),
        "window_start_s": result.window_start_s,
        "window_end_s": result.window_end_s,
        "started_at_unix": result.started_at_unix,
        "client": asdict(result.client),
        "probe": dict(result.probe),
        "server_metrics": None if result.server_metrics is None else dict(result.server_metrics),
        "interrupted": result.interrupted,
    }
    return [frame(META, json.dumps(meta).encode()), frame(COLUMNS, pack(columns_of(result.records)))]


def job_to_json(job: LoadJob) -> dict[str, Any]:
    """A job as plain JSON values, its key in clear: for the pipe to the child and nothing else."""
    key = job.endpoint.key
    return {
        "url": job.endpoint.url,
        "model": job.endpoint.model,
        "key": None if key is None else key.reveal(),
        "ca_file": job.endpoint.ca_file,
        "stage": job.stage.to_json(),
        "workload": job.workload.to_json(),
        "probe": job.probe.to_json(),
        "seed": job.seed,
        "cache_salt": job.cache_salt,
    }


def job_from_json(data: Mapping[str, Any]) -> LoadJob:
    """The job ``job_to_json`` described."""
    key = None if data["key"] is None else Secret(data["key"])
    return LoadJob(
        endpoint=Endpoint(data["url"], data["model"], key, data["ca_file"]),
        stage=stage_from_json(data["stage"]),
        workload=workload_from_json(data["workload"]),
        probe=probe_from_json(data["probe"]),
        seed=data["seed"],
        cache_salt=data["cache_salt"],
    )
