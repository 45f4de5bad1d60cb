"""``harness sweep --simulate --virtual``: the sweep of the wall clock without its waiting, byte for byte the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import harness
from harness.results.frame import Run
from harness.results.journal import Journal, read_events
from harness.results.store import read_records
from tests.command import run_here

SWEEP = """\
name: twice
model: Qwen/Qwen2.5-7B-Instruct
engine-version: "0.15.1"
parameters: [--max-model-len=4096]
matrix:
  gpu-type: [gpua5000]
  gpu-count: [1, 2]
workload: {input-tokens: {distribution: uniform, min: 100, max: 300}, output-tokens: 24, api: chat, seed: 3}
load:
  - {concurrency: 4, requests: 40, warmup: 1s}
  - {rate: 2, duration: 10s, warmup: 1s}
repeats: 2
slo: ttft_p95<=1s,tpot_p95<=60ms
timeouts: {ready: 60s, operation: 30s, delete: 30s, request: 20s}
"""
SEEDED = ("--simulate", "--virtual", "--seed", "5")
FAULTS = """\
faults:
  - {fault: server-error, operation: "get-*", probability: 0.2}
  - {fault: stall, probability: 0.05, seconds: 1200}
  - {fault: disconnect, probability: 0.05}
  - {fault: no-done, every: 9}
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_here("sweep", *arguments, environment=os.environ)


def run_hashing(hash_seed: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process whose sets and dictionaries have an order of their own."""
    return subprocess.run(
        [sys.executable, "-m", "harness", "sweep", *arguments],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "twice.yaml"
    path.write_text(SWEEP)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the journal, whose bytes are SQLite's own."""
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("journal.sqlite")
    }
    assert sum(name.endswith(".parquet") for name in found) >= 4
    assert any(name.endswith(".png") for name in found)
    return found


def told(folder: Path) -> list[tuple[Any, ...]]:
    """The journal."""
    return [
        (event.seq, event.at_unix, event.run_id, event.kind, event.data)
        for event in read_events(folder / "journal.sqlite")
    ]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A config and the results of its virtual sweep with seed 5, for several tests to look at."""
    root = tmp_path_factory.mktemp("seeded")
    config, folder = root / "twice.yaml", root / "out"
    config.write_text(SWEEP)
    ran = run_hashing(1, str(config), *SEEDED, "--results", str(folder))
    assert ran.returncode == 0, ran.stderr
    assert "4 deployments created, 0 alive" in ran.stderr
    return config, folder


@pytest.mark.xdist_group("seeded virtual sweep")
def test_the_same_seed_gives_the_same_bytes(seeded: tuple[Path, Path], tmp_path: Path) -> None:
    config, folder = seeded
    ran = run_hashing(2, str(config), *SEEDED, "--results", str(tmp_path / "out"))
    assert ran.returncode == 0, ran.stderr
    assert contents(folder) == contents(tmp_path / "out")
    assert told(folder) == told(tmp_path / "out")


def test_the_same_seed_gives_the_same_bytes_under_faults(config: Path, tmp_path: Path) -> None:
    (tmp_path / "faults.yaml").write_text(FAULTS)
    first, second = tmp_path / "out-1", tmp_path / "out-2"
    for hash_seed, folder in ((1, first), (2, second)):
        options = ["--faults", str(tmp_path / "faults.yaml"), "--results", str(folder)]
        ran = run_hashing(hash_seed, str(config), *SEEDED, *options)
        assert ran.returncode in (0, 1), ran.stderr
        assert "4 deployments created, 0 alive" in ran.stderr
    assert contents(first) == contents(second)
    assert told(first) == told(second)


@pytest.mark.xdist_group("seeded virtual sweep")
def test_another_seed_of_the_zone_starts_its_deployments_otherwise(
    seeded: tuple[Path, Path], tmp_path: Path
) -> None:
    config, folder = seeded
    ran = run(str(config), "--simulate", "--virtual", "--seed", "6", "--results", str(tmp_path / "out"))
    assert ran.returncode == 0, ran.stderr
    assert told(folder) != told(tmp_path / "out")


@pytest.mark.xdist_group("seeded virtual sweep")
def test_a_virtual_sweep_says_what_it_is(seeded: tuple[Path, Path]) -> None:
    _, folder = seeded
    resolved = json.loads((folder / "resolved.json").read_text())
    assert (resolved["simulated"], resolved["virtual"]) == (True, True)
    files = list((folder / "records").glob("*.parquet"))
    assert len(files) == 8
    for path in files:
        meta = read_records(path).meta
        assert (meta.simulated, meta.client.clock, meta.client.cpu_s) == (True, "virtual", 0.0)
    report = (folder / "report.md").read_text()
    assert "SIMULATED" in report
    assert "virtual time" in report
    assert "--simulate --virtual" in report


def medians(found: Run) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Per cell and level: output tokens per second, and the median TTFT and TPOT."""
    figures = ("output_throughput_tok_s", "ttft_p50_s", "tpot_p50_s")
    return {
        (row["cell_id"], row["load"]): tuple(float(row[name]) for name in figures)
        for _, row in found.levels.iterrows()
    }  # type: ignore[return-value]  # three figures


def test_virtual_and_wall_clock_agree_on_the_figures(config: Path, tmp_path: Path) -> None:
    # One GPU, whose steps are long beside what a machine adds to them; one repeat, which takes half a minute.
    config.write_text(
        SWEEP.replace("gpu-count: [1, 2]", "gpu-count: [1]").replace("repeats: 2", "repeats: 1")
    )
    ran = run(str(config), "--simulate", "--virtual", "--results", str(tmp_path / "virtual"))
    assert ran.returncode == 0, ran.stderr
    virtual = medians(harness.load(tmp_path / "virtual"))
    assert len(virtual) == 2
    worst = []
    # The other work of this machine can only take them apart: the calmest of a few tries is the one to compare.
    for attempt in range(3):
        folder = tmp_path / f"real-{attempt}"
        ran = run(str(config), "--simulate", "--time-scale", "300", "--results", str(folder))
        assert ran.returncode == 0, ran.stderr
        real = medians(harness.load(folder))
        assert real.keys() == virtual.keys()
        apart = np.abs(np.array([virtual[key] for key in real]) / np.array(list(real.values())) - 1)
        worst.append(float(apart.max()))
        if worst[-1] < 0.05:
            break
    assert min(worst) < 0.05, worst


def test_a_resumed_virtual_sweep_stays_virtual(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (tmp_path / "faults.yaml").write_text("faults: [{fault: deployment-error, times: 1}]")
    options = ["--simulate", "--virtual", "--faults", str(tmp_path / "faults.yaml"), "--results", str(folder)]
    ran = run(str(config), *options)
    assert ran.returncode == 1, ran.stderr
    assert len(list((folder / "records").glob("*.parquet"))) == 6
    ran = run("--resume", str(folder), "--json", "--yes")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["measured"] == 4
    clocks = {read_records(path).meta.client.clock for path in (folder / "records").glob("*.parquet")}
    assert clocks == {"virtual"}


def test_virtual_time_is_a_way_to_simulate_and_no_other(config: Path, tmp_path: Path) -> None:
    for others in ([], ["--local"]):
        ran = run(str(config), "--virtual", *others, "--yes", "--results", str(tmp_path / "out"))
        assert ran.returncode == 2
        assert "Traceback" not in ran.stderr
    assert not (tmp_path / "out").exists()


def test_virtual_time_has_no_use_for_a_cluster(config: Path, tmp_path: Path) -> None:
    arguments = [
        "--simulate",
        "--virtual",
        "--executor",
        "dask://127.0.0.1:9",
        "--results",
        str(tmp_path / "r"),
    ]
    ended = run(str(config), *arguments)
    assert ended.returncode == 2
    assert "--executor has no part in virtual time" in ended.stderr
    assert not (tmp_path / "r").exists()


LONG = """\
name: long
model: Qwen/Qwen2.5-7B-Instruct
engine-version: "0.15.1"
parameters: [--max-model-len=4096]
matrix:
  gpu-type: [gpua5000]
  gpu-count: [1]
  parameters: {a: [--max-num-seqs=1], b: [--max-num-seqs=2], c: [--max-num-seqs=3], d: [--max-num-seqs=4], e: []}
workload: {input-tokens: 64, output-tokens: 4, api: completions}
load:
  - {rate: 0.1, arrivals: constant, duration: 600s, warmup: 0s}
"""


def long_sweep(folder: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """One cell after the other under a load of ten virtual minutes each, and the report's summary."""
    config, results = folder / "long.yaml", folder / "long"
    config.write_text(LONG)
    simulated = ("--simulate", "--virtual", "--parallel-deployments", "1", "--results", str(results))
    ran = run(str(config), *simulated, *options, "--json")
    return ran, json.loads((results / "summary.json").read_text(encoding="utf-8"))


# A run lasts its 600 s of load, and below 60 s to start, wait for an answer, drain and be deleted (starts go 60 times
# as fast as real ones): 0.1667 to 0.1833 GPU-hours, and 0.1682 by its estimate of 5 + 600 + 0.5 s.
@pytest.mark.parametrize(
    ("limit", "launched"),
    [
        (
            "0.60",
            3,
        ),  # two are 0.367 at most, a third makes 0.535; three are 0.5 at least, a fourth makes 0.668
        (
            "0.40",
            2,
        ),  # one is 0.183 at most, a second makes 0.351; two are 0.333 at least, a third makes 0.501
        ("0.16", 0),
    ],
)
def test_a_limit_on_gpu_hours_counts_the_clouds_time_to_the_cell(
    tmp_path: Path, limit: str, launched: int
) -> None:
    ran, summary = long_sweep(tmp_path, "--max-gpu-hours", limit)
    assert ran.returncode == (0 if launched else 1), ran.stderr
    told = json.loads(ran.stdout)
    assert (told["measured"], told["skipped"], told["over_budget"]) == (launched, 5 - launched, 5 - launched)
    assert 600 * launched / 3600 <= summary["gpu_hours"] <= float(limit)
    assert f"{5 - launched} runs not launched: the limit would have been passed" in ran.stderr
    assert ("error: nothing was measured" in ran.stderr) is (launched == 0)


@pytest.mark.parametrize(
    ("limit", "launched"), [("0.36", 0), ("0.37", 1)]
)  # 0.2 and a run of 0.1682 are 0.3682
def test_what_a_killed_attempt_had_in_virtual_time_counts_to_where_it_was_killed(
    tmp_path: Path, limit: str, launched: int
) -> None:
    long_sweep(tmp_path, "--max-gpu-hours", "0")
    path = tmp_path / "long" / "journal.sqlite"
    began = read_events(path)[-1].at_unix
    # As if a deployment of one GPU was there from 1000 s on, and the last word was 720 s later: 0.2 GPU-hours.
    shape = {"name": "harness-x", "gpu_type": "gpua5000", "gpu_count": 1, "replicas": 1}
    for after_s, kind, run_id, data in (
        (1000, "create-intended", "other-r0", shape),
        (1720, "sweep-interrupted", None, {"signal": "none"}),
    ):
        with Journal.open(path, clock=lambda at=began + after_s: at) as journal:
            journal.append(kind, run_id=run_id, data=data)
    ran = run("--resume", str(tmp_path / "long"), "--max-gpu-hours", limit, "--json")
    assert "earlier attempts took 0.20 GPU-hours" in ran.stderr
    assert json.loads(ran.stdout)["measured"] == launched, ran.stderr
    times = [event.at_unix for event in read_events(path)]
    assert times == sorted(times)


def test_a_time_limit_counts_the_clouds_time(tmp_path: Path) -> None:
    ran, summary = long_sweep(tmp_path, "--ttl", "15m")
    assert ran.returncode == 3, ran.stderr
    told = json.loads(ran.stdout)
    # The second run's load would end after 1200 s.
    assert told["interrupted_by"] == "the time limit"
    assert (told["measured"], told["interrupted"], told["not_started"]) == (1, 1, 3)
    # What is torn down after 900 s is gone within the minute.
    assert 900 / 3600 <= summary["gpu_hours"] <= 960 / 3600


def test_a_model_that_the_simulator_does_not_know_is_said_to_be_another(config: Path, tmp_path: Path) -> None:
    told = run(str(config), *SEEDED, "--yes", "--results", str(tmp_path / "known"))
    assert told.returncode == 0, told.stderr
    assert "has no facts of" not in told.stderr
    config.write_text(SWEEP.replace("Qwen/Qwen2.5-7B-Instruct", "somebody/nothing-7B"))
    told = run(str(config), *SEEDED, "--yes", "--results", str(tmp_path / "unknown"))
    assert (
        told.stderr.count("the simulator has no facts of somebody/nothing-7B and serves it as llama3-8b") == 1
    )
