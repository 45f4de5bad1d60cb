"""The child process: same figures, errors by class, no orphan, no secret where others can read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.errors import InternalError, NetworkError
from harness.load import worker
from harness.load.arrivals import Arrivals, ClosedLoop, ConstantRate
from harness.load.job import LoadJob, Shard, job_to_json, processes_for, stage_part
from harness.load.lengths import FixedLength
from harness.load.monitor import Progress
from harness.load.records import Endpoint, Outcome
from harness.load.session import measure, measure_in_process
from harness.load.stage import Stage
from harness.load.workload import Workload
from harness.secret import Secret

Serve = Callable[..., Any]


def job_for(lab: ModuleType, url: str, stage: Stage, *, output: int = 5, key: str | None = None) -> LoadJob:
    endpoint = Endpoint(url, "tiny", Secret(key) if key else None)
    workload = Workload(input_tokens=FixedLength(20), output_tokens=FixedLength(output))
    return LoadJob(endpoint=endpoint, stage=stage, workload=workload, probe=lab.PROBE, seed=3, cache_salt="s")


def children(of: int | str = "self") -> set[int]:
    """The processes that any thread of a process has started."""
    found: set[int] = set()
    for path in Path(f"/proc/{of}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that ended meanwhile
            found |= {int(pid) for pid in path.read_text(encoding="ascii").split()}
    return found


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("waited in vain")


def readable_of(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not is_alive(pid)


def test_the_result_comes_back_whole(serve: Serve, lab: ModuleType) -> None:
    server = serve()
    seen: list[Progress] = []
    job = job_for(lab, server.url, Stage(arrivals=ClosedLoop(2), requests=6), key="sesame")
    result = asyncio.run(measure_in_process(job, on_progress=seen.append))
    assert [record.outcome for record in result.records] == [Outcome.SUCCEEDED] * 6
    assert [record.chunk_tokens.tolist() for record in result.records] == [[1] * 5] * 6
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer sesame"}
    assert result.label == "c2"
    assert result.probe["model"] == "tiny"
    assert len(seen) >= 1
    assert "sesame" not in repr(result)


def test_measuring_in_this_process_gives_the_same_requests(serve: Serve, lab: ModuleType) -> None:
    server = serve()
    job = job_for(lab, server.url, Stage(arrivals=ClosedLoop(1), requests=3))
    measure(job)
    asyncio.run(measure_in_process(job))
    bodies = [request.body for request in server.requests]
    assert len(bodies) == 6
    assert bodies[:3] == bodies[3:]


@pytest.mark.parametrize("arrivals", [ClosedLoop(5), ConstantRate(60.0)], ids=["closed", "open"])
def test_several_processes_send_what_one_would(serve: Serve, lab: ModuleType, arrivals: Arrivals) -> None:
    stage = Stage(arrivals=arrivals, requests=21, warmup_s=0.1)
    bodies, results = [], []
    for processes in (1, 3):
        server = serve()
        job = replace(job_for(lab, server.url, stage), processes=processes)
        seen: list[Progress] = []
        results.append(asyncio.run(measure_in_process(job, on_progress=seen.append)))
        assert len(seen) >= processes
        bodies.append([request.body for request in server.requests])
    one, several = results
    assert [result.client.processes for result in results] == [1, 3]
    measured = [[record for record in result.records if not record.warmup] for result in results]
    assert [len(records) for records in measured] == [21, 21]
    assert {record.index for record in measured[1]} == set(range(21))
    assert all(record.outcome is Outcome.SUCCEEDED for record in measured[1])
    if arrivals != ClosedLoop(5):
        assert [r.scheduled_s for r in several.records] == pytest.approx([r.scheduled_s for r in one.records])
        assert sorted(map(str, bodies[0])) == sorted(map(str, bodies[1]))
    assert (several.label, several.stage["kind"]) == (one.label, one.stage["kind"])
    assert several.stage == one.stage
    assert several.client.connections_opened >= one.client.connections_opened


def test_shares_of_a_stage_sum_to_the_stage() -> None:
    stage = Stage(arrivals=ClosedLoop(10), requests=17, max_in_flight=7)
    parts = [stage_part(stage, Shard(number, 4)) for number in range(4)]
    assert [part.arrivals.concurrency for part in parts] == [3, 3, 2, 2]
    assert [part.requests for part in parts] == [5, 4, 4, 4]
    assert [part.max_in_flight for part in parts] == [2, 2, 2, 1]


@pytest.mark.parametrize(
    ("users", "requests", "asked", "processes"),
    [
        (1, None, None, 1),
        (256, None, None, 1),
        (257, None, None, 2),
        (9999, None, None, 4),
        (3, None, 8, 3),
        (300, 1, None, 1),
    ],
)
def test_as_many_processes_as_the_load_needs(
    lab: ModuleType, users: int, requests: int | None, asked: int | None, processes: int
) -> None:
    stage = Stage(arrivals=ClosedLoop(users), duration_s=1.0, requests=requests)
    job = replace(job_for(lab, "http://127.0.0.1:9/v1", stage), processes=asked)
    assert processes_for(job, cores=4) == processes


@pytest.mark.parametrize("processes", [1, 2])
def test_a_cancelled_measurement_ends_its_children(serve: Serve, lab: ModuleType, processes: int) -> None:
    server = serve(lab.answering(gap_s=0.05))
    job = job_for(lab, server.url, Stage(arrivals=ClosedLoop(2), duration_s=60), output=3000)
    job = replace(job, processes=processes)

    async def run() -> tuple[set[int], float]:
        before = children()
        task = asyncio.ensure_future(measure_in_process(job))
        await until(lambda: server.in_flight == 2)
        mine = children() - before
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return mine, time.monotonic() - began

    pids, took_s = asyncio.run(run())
    assert len(pids) == processes
    assert took_s < 2
    assert not any(is_alive(pid) for pid in pids)
    assert server.closed_within(2)


def test_the_child_dies_with_its_parent(serve: Serve, lab: ModuleType, tmp_path: Path) -> None:
    server = serve(lab.answering(gap_s=0.05))
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(f"""
        import asyncio, json
        from harness.load.job import job_from_json
        from harness.load.session import measure_in_process
        from harness.load.stage import Stage
        job = job_from_json(json.loads(open({str(tmp_path / "job.json")!r}).read()))
        asyncio.run(measure_in_process(job))
        """)
    )
    job = job_for(lab, server.url, Stage(arrivals=ClosedLoop(1), duration_s=60), output=3000)
    (tmp_path / "job.json").write_text(json.dumps(job_to_json(job)))
    parent = subprocess.Popen([sys.executable, str(script)])
    try:
        end = time.monotonic() + 20
        while server.in_flight < 1 and time.monotonic() < end:
            time.sleep(0.05)
        [child] = children(parent.pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait(5)
        assert gone_within(child, 3)
    finally:
        parent.kill()
        parent.wait(5)


def test_the_key_is_in_neither_the_childs_arguments_nor_its_environment(
    serve: Serve, lab: ModuleType
) -> None:
    server = serve(lab.answering(first_s=0.3))
    job = job_for(lab, server.url, Stage(arrivals=ClosedLoop(1), requests=1), key="sesame")

    async def run() -> list[bytes]:
        before = children()
        task = asyncio.ensure_future(measure_in_process(job))
        await until(lambda: server.in_flight == 1)
        [pid] = children() - before
        readable = [readable_of(pid, name) for name in ("cmdline", "environ")]
        await task
        return readable

    texts = asyncio.run(run())
    assert len(texts) == 2
    assert all(b"sesame" not in text for text in texts)


def test_an_unknown_host_is_a_network_error_from_the_child_too(lab: ModuleType) -> None:
    job = job_for(lab, "http://no-such-host.invalid:1/v1", Stage(arrivals=ClosedLoop(1), requests=1))
    with pytest.raises(NetworkError, match="cannot look up"):
        asyncio.run(measure_in_process(job))


def test_a_child_that_dies_is_one_clear_error(serve: Serve, lab: ModuleType) -> None:
    server = serve(lab.answering(gap_s=0.05))
    job = job_for(lab, server.url, Stage(arrivals=ClosedLoop(1), duration_s=60), output=3000)

    async def run() -> None:
        before = children()
        task = asyncio.ensure_future(measure_in_process(job))
        await until(lambda: server.in_flight == 1)
        [pid] = children() - before
        os.kill(pid, signal.SIGKILL)
        await task

    with pytest.raises(InternalError, match="ended without a result"):
        asyncio.run(run())


def test_a_result_is_sent_whole_whatever_part_of_it_a_write_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []

    def write(descriptor: int, content: memoryview) -> int:
        assert descriptor == 1
        taken.append(bytes(content[:1000]))
        return len(taken[-1])

    monkeypatch.setattr(worker.os, "write", write)
    content = bytes(range(256)) * 40
    worker._send(content)
    assert b"".join(taken) == content
    assert len(taken) == 11
