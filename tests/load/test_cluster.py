"""Shards on a real dask scheduler and workers on loopback: same requests, one start, clear ends, no secret shown."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trustme

from harness import __version__
from harness.cli.main import main
from harness.errors import NetworkError, UsageError
from harness.load import cluster
from harness.load.arrivals import ClosedLoop, ConstantRate
from harness.load.clocks import Reading, RoundTrip, clock_offset
from harness.load.cluster import open_crew, scheduler_address
from harness.load.job import LoadJob, Shard, ShardTask
from harness.load.lengths import FixedLength
from harness.load.monitor import Progress
from harness.load.records import Endpoint, Outcome
from harness.load.session import measure_with
from harness.load.stage import Stage
from harness.load.workload import Workload
from harness.results.store import read_meta
from harness.secret import Secret

Serve = Callable[..., Any]
KEY = "sesame-street-42"
END_WITHIN_S = 20.0

# One cluster for the whole file: its tests stay in one process of the test run.
pytestmark = pytest.mark.xdist_group("cluster")


def load_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


dask_cluster = load_module("dask_cluster")


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with dask_cluster.running(tmp_path_factory.mktemp("cluster"), threads=2) as made:
        yield made


def job_for(lab: ModuleType, url: str, stage: Stage, *, output: int = 5, **more: Any) -> LoadJob:
    workload = Workload(input_tokens=FixedLength(20), output_tokens=FixedLength(output))
    endpoint = Endpoint(url, "tiny", Secret(KEY))
    return LoadJob(endpoint=endpoint, stage=stage, workload=workload, probe=lab.PROBE, seed=3, **more)


async def measured(address: str, job: LoadJob, **options: Any) -> Any:
    async with open_crew(address) as crew:
        return await measure_with(crew, job, **options)


async def under_way(server: Any, task: asyncio.Task[Any]) -> None:
    """Return when two streams run."""
    for _ in range(1200):
        if server.in_flight == 2:
            return
        await asyncio.wait({task}, timeout=0.05)
        if task.done():
            task.result()
    raise AssertionError("waited in vain")


async def bereft(address: str, job: LoadJob, server: Any, *, of: subprocess.Popen[bytes]) -> None:
    """Measure, and lose a process of the cluster while two streams run."""
    task = asyncio.ensure_future(measured(address, job))
    await under_way(server, task)
    of.kill()
    await asyncio.wait_for(task, 90)


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_the_command_loads_with_the_workers_of_a_cluster(
    serve: Serve,
    two_workers: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENDPOINT_KEY", KEY)
    server = serve()
    arguments = [
        server.url,
        "--executor",
        two_workers.address,
        "--api-key-env",
        "ENDPOINT_KEY",
        "--concurrency",
        "5",
    ]
    arguments += ["--requests", "21", "--warmup", "0", "--input-tokens", "20", "--output-tokens", "5"]
    with pytest.raises(SystemExit) as ended:
        main(["load", *arguments, "--json", str(tmp_path / "l.json"), "--records", str(tmp_path)])
    out, err = capsys.readouterr()
    assert ended.value.code == 0
    [stage] = json.loads((tmp_path / "l.json").read_text())["stages"]
    assert stage["requests"]["succeeded"] == 21
    assert stage["client"]["processes"] == 2
    [host] = stage["client"]["hosts"]
    assert host["shards"] == 2
    assert 0 < host["clock_uncertainty_ms"] < 1000
    assert f"{host['host']} (2 shards)" in out
    # Three streams at one worker, two at the other.
    assert stage["client"]["connections_opened"] == 5
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}
    assert read_meta(tmp_path / "stage-1.parquet").client.hosts[0].shards == 2
    assert within(5, lambda: not two_workers.load_processes())
    assert KEY not in two_workers.logs + out + err


SWEEP = """
name: one
model: tiny
engine-version: "0.15.1"
matrix: {gpu-type: [gpua5000], gpu-count: [1]}
workload: {input-tokens: 20, output-tokens: 5}
load: [{concurrency: 3, requests: 9, warmup: 0s}]
"""


def test_a_sweep_loads_with_the_workers_of_a_cluster(
    serve: Serve, two_workers: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.yaml").write_text(SWEEP)
    results = tmp_path / "results"
    arguments = ["sweep", str(tmp_path / "one.yaml"), "--endpoint", serve().url, "--results", str(results)]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--executor", two_workers.address])
    assert ended.value.code == 0, capsys.readouterr()
    [file] = (results / "records").glob("*.parquet")
    [host] = read_meta(file).client.hosts
    assert host.shards == 2


def test_shards_of_an_open_loop_are_the_stage_that_one_process_would_run(
    serve: Serve, lab: ModuleType, two_workers: Any
) -> None:
    server = serve()
    job = job_for(lab, server.url, Stage(arrivals=ConstantRate(40.0), requests=30), processes=4)
    seen: list[Progress] = []
    result = asyncio.run(measured(two_workers.address, job, on_progress=seen.append))
    assert [record.index for record in result.records] == list(range(30))
    assert [record.scheduled_s for record in result.records] == pytest.approx([i / 40 for i in range(30)])
    assert all(record.outcome is Outcome.SUCCEEDED for record in result.records)
    assert result.client.processes == 4
    assert seen[0].waiting_for == 4


def test_offsets_on_one_machine_are_zero_within_their_uncertainty(
    serve: Serve, lab: ModuleType, two_workers: Any
) -> None:
    job = job_for(lab, serve().url, Stage(arrivals=ClosedLoop(2), requests=2))
    result = asyncio.run(measured(two_workers.address, job))
    [host] = result.client.hosts
    # Asked and answered on one clock: half the round trip bounds what can be off, and a wall clock's step none of it.
    assert abs(host.offset_s) <= host.uncertainty_s + 0.05
    assert abs(result.started_at_unix - time.time()) < 60


def test_a_cancelled_measurement_leaves_no_shard_on_the_cluster(
    serve: Serve, lab: ModuleType, two_workers: Any
) -> None:
    server = serve(lab.answering(gap_s=0.05))
    job = job_for(lab, server.url, Stage(arrivals=ClosedLoop(2), duration_s=120), output=3000)

    async def run() -> None:
        async with open_crew(two_workers.address) as crew:
            task = asyncio.ensure_future(measure_with(crew, job))
            await under_way(server, task)
            assert len(two_workers.load_processes()) == 2
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # Nothing is left behind when the call returns, not only some time after.
            assert not two_workers.load_processes()

    asyncio.run(run())
    assert server.closed_within(5)


def test_a_stage_told_to_finish_gives_what_its_shards_have(
    serve: Serve, lab: ModuleType, two_workers: Any
) -> None:
    server = serve(lab.answering(gap_s=0.05))
    job = job_for(lab, server.url, Stage(arrivals=ClosedLoop(2), duration_s=1200), output=3000)

    async def run() -> Any:
        finish = asyncio.Event()
        async with open_crew(two_workers.address) as crew:
            task = asyncio.ensure_future(measure_with(crew, job, finish=finish))
            await under_way(server, task)
            finish.set()
            return await task

    result = asyncio.run(run())
    assert (result.interrupted, result.ended_early) == (True, "interrupted")
    assert [record.outcome for record in result.records] == [Outcome.UNFINISHED, Outcome.UNFINISHED]
    assert result.window_end_s < 600
    assert server.closed_within(5)


def test_shards_end_when_their_session_is_killed(serve: Serve, lab: ModuleType, two_workers: Any) -> None:
    server = serve(lab.answering(gap_s=0.05))
    arguments = [
        "load",
        server.url,
        "--executor",
        two_workers.address,
        "--concurrency",
        "2",
        "--duration",
        "120",
    ]
    command = subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments, "--output-tokens", "3000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        assert within(30, lambda: server.in_flight == 2)
        assert len(two_workers.load_processes()) == 2
        command.kill()
        assert within(END_WITHIN_S, lambda: not two_workers.load_processes())
        assert server.closed_within(5)
    finally:
        command.kill()
        command.communicate()


def test_a_lost_worker_is_one_clear_error_and_ends_the_others(
    serve: Serve, lab: ModuleType, tmp_path: Path
) -> None:
    server = serve(lab.answering(gap_s=0.05))
    job = job_for(lab, server.url, Stage(arrivals=ClosedLoop(2), duration_s=120), output=3000)
    with dask_cluster.running(tmp_path) as made:
        with pytest.raises(
            NetworkError, match=r"the worker on '.+' \(tcp://.+\) was lost, and shard [12] of 2"
        ):
            asyncio.run(bereft(made.address, job, server, of=made.workers[1]))
        assert within(5, lambda: not made.load_processes())
        assert server.closed_within(5)
        assert KEY not in made.logs


def test_a_lost_scheduler_is_one_clear_error(
    serve: Serve, lab: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ANSWER_WITHIN_S", 3.0)
    monkeypatch.setattr(cluster, "END_WITHIN_S", 1.0)
    server = serve(lab.answering(gap_s=0.05))
    job = job_for(lab, server.url, Stage(arrivals=ClosedLoop(2), duration_s=120), output=3000)
    with dask_cluster.running(tmp_path) as made:
        with pytest.raises(NetworkError, match=r"cluster|scheduler"):
            asyncio.run(bereft(made.address, job, server, of=made.scheduler))
        # Workers do not outlive their scheduler for long, nor their load processes them.
        assert within(END_WITHIN_S, lambda: not made.load_processes())


def test_a_worker_with_another_version_is_named(lab: ModuleType, tmp_path: Path) -> None:
    other = tmp_path / "other" / "harness"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text('__version__ = "0.0.1"\n')
    with dask_cluster.running(tmp_path, workers=1) as made:
        made.add_worker(environment={"PYTHONPATH": str(other.parent)})
        made.wait_for(2)
        job = job_for(lab, "http://127.0.0.1:9/v1", Stage(arrivals=ClosedLoop(1), requests=1))
        with pytest.raises(
            UsageError, match=rf"has harness 0\.0\.1, this is {__version__}: install the same"
        ):
            asyncio.run(measured(made.address, job))


def test_a_scheduler_without_workers_is_named(lab: ModuleType, tmp_path: Path) -> None:
    with dask_cluster.running(tmp_path, workers=0) as made:
        assert within(30, lambda: "Scheduler at:" in made.logs)
        job = job_for(lab, "http://127.0.0.1:9/v1", Stage(arrivals=ClosedLoop(1), requests=1))
        with pytest.raises(NetworkError, match="has no workers"):
            asyncio.run(measured(made.address, job))


def test_no_scheduler_is_exit_code_3(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_WITHIN_S", 1.0)
    with pytest.raises(SystemExit) as ended:
        main(["load", serve().url, "--executor", "dask://127.0.0.1:9", "--requests", "1"])
    assert ended.value.code == 3
    assert "error: no dask scheduler at tcp://127.0.0.1:9" in capsys.readouterr().err


def test_more_shards_than_threads_are_refused(lab: ModuleType, two_workers: Any) -> None:
    job = job_for(lab, "http://127.0.0.1:9/v1", Stage(arrivals=ClosedLoop(8), requests=8), processes=5)
    with pytest.raises(UsageError, match="5 load processes need as many worker threads; the cluster has 4"):
        asyncio.run(measured(two_workers.address, job))


def test_an_error_of_a_shard_keeps_its_class(lab: ModuleType, two_workers: Any) -> None:
    job = job_for(lab, "http://no-such-host.invalid/v1", Stage(arrivals=ClosedLoop(2), requests=2))
    with pytest.raises(NetworkError, match="no-such-host"):
        asyncio.run(measured(two_workers.address, job))
    assert KEY not in two_workers.logs


def test_the_cluster_may_speak_tls(
    serve: Serve, lab: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "host.pem")
    names = [str(tmp_path / "ca.pem"), str(tmp_path / "host.pem")]
    options = ["--tls-ca-file", names[0], "--tls-cert", names[1], "--tls-key", names[1]]
    job = job_for(lab, serve().url, Stage(arrivals=ClosedLoop(2), requests=4))
    with dask_cluster.running(tmp_path, tls=True, options=options) as made:
        with pytest.raises(UsageError, match="cannot connect to tls://"):
            asyncio.run(measured(made.address, job))
        import dask

        at = "distributed.comm.tls"
        settings = {f"{at}.ca-file": names[0], f"{at}.client.cert": names[1], f"{at}.client.key": names[1]}
        with dask.config.set(settings):
            result = asyncio.run(measured(made.address, job))
        assert len(result.records) == 4


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("dask://10.0.0.5:8786", "tcp://10.0.0.5:8786"),
        ("tcp://host:1/", "tcp://host:1"),
        ("tls://host:8786", "tls://host:8786"),
        ("dask://[::1]:8786", "tcp://[::1]:8786"),
    ],
)
def test_addresses_of_schedulers(given: str, meant: str) -> None:
    assert scheduler_address(given) == meant


@pytest.mark.parametrize(
    "text", ["", "dask://", "dask://host", "10.0.0.5:8786", "http://host:1", "dask://h:1/x"]
)
def test_what_names_no_scheduler_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--executor takes dask://HOST:PORT"):
        scheduler_address(text)


def test_a_task_shows_no_secret_and_survives_the_wire(lab: ModuleType) -> None:
    job = job_for(lab, "http://127.0.0.1:9/v1", Stage(arrivals=ClosedLoop(2), requests=4))
    task = ShardTask.of(job, Shard(1, 2))
    assert KEY not in f"{task!r} {task}"
    again = pickle.loads(pickle.dumps(task))
    assert again.read() == (replace(job), Shard(1, 2))


def test_the_shortest_round_trip_gives_the_offset() -> None:
    # Their monotonic clock is 5 s ahead and their wall clock 2 s behind. The first answer waited 80 ms on its way back.
    slow = RoundTrip(Reading(0, 1_000_000_000_000), 100_000_000, Reading(5_010_000_000, 998_010_000_000))
    quick = RoundTrip(
        Reading(200_000_000, 1_000_200_000_000), 204_000_000, Reading(5_201_500_000, 998_201_500_000)
    )
    found = clock_offset([slow, quick])
    # In the middle of the quick one's 4 ms it was 0.202 s here; the true offset is within those 2 ms.
    assert found.monotonic_ns == 4_999_500_000
    assert found.unix_s == pytest.approx(-2.0005)
    assert found.uncertainty_s == 0.002
