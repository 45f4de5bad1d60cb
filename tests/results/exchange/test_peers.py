"""Exported files read by the tools themselves.

Each test runs when its variable is set: HARNESS_GUIDELLM names a Python that has guidellm (read: 0.8.1), HARNESS_LLMD
one that has llmd-benchmark-report (0.2.1), HARNESS_ENGINE_0_15_1 a vllm command (its plots want pandas and seaborn).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.results.exchange.guidellm import guidellm_report
from harness.results.exchange.writing import write_guidellm_reports, write_llmd_reports, write_vllm_results
from harness.results.files import write_json
from harness.results.point import Point
from harness.results.store import RunFolder

SAMPLE = Path(__file__).resolve().parents[3] / "results" / "sample"

# Loads every report, compiles its metrics anew from its requests, and prints where the two differ.
RECOMPILE = """
import json, pathlib, sys
from types import SimpleNamespace
from guidellm.benchmark.schemas.accumulator import GenerativeRequestsAccumulator
from guidellm.benchmark.schemas.metrics import GenerativeMetrics
from guidellm.benchmark.schemas.report import GenerativeBenchmarksReport

def listed(requests):
    found = GenerativeRequestsAccumulator.model_construct()
    found.requests_stats = requests
    return found

def differences(path, ours, theirs):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in theirs:
            yield from differences([*path, key], ours.get(key), theirs[key])
    elif isinstance(ours, float) and isinstance(theirs, (int, float)):
        if abs(ours - theirs) > 1e-6 * max(1, abs(theirs)):
            yield ".".join(path)
    elif ours != theirs and not (ours is None and set(theirs.values()) == {None}):
        yield ".".join(path)

compared, found = 0, []
for file in sorted(pathlib.Path(sys.argv[1]).rglob("benchmarks.json")):
    for benchmark in GenerativeBenchmarksReport.load_file(file).benchmarks:
        window = SimpleNamespace(
            finalized_measure_start=benchmark.start_time, finalized_measure_end=benchmark.end_time
        )
        accumulated = SimpleNamespace(
            config=benchmark.config, timings=window, completed=listed(benchmark.requests.successful),
            incomplete=listed(benchmark.requests.incomplete), errored=listed(benchmark.requests.errored),
        )
        theirs = GenerativeMetrics.compile(accumulated).model_dump(mode="json")
        found += differences([], benchmark.metrics.model_dump(mode="json"), theirs)
        compared += 1
print(json.dumps({"compared": compared, "differ": sorted({path.split(".")[0] for path in found})}))
"""
LLMD = """
import pathlib, sys
from llmd_benchmark_report.core import import_benchmark_report
print(sum(import_benchmark_report(str(file)).version == "0.2" for file in pathlib.Path(sys.argv[1]).glob("*.yaml")))
"""


def tool(variable: str) -> str:
    found = os.environ.get(variable)
    if not found:
        pytest.skip(f"{variable} is not set, so there is no such tool to ask")
    return found


def output_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout


@pytest.mark.peer
def test_guidellm_reads_its_reports_and_compiles_the_same_metrics(tmp_path: Path) -> None:
    python = tool("HARNESS_GUIDELLM")
    assert len(write_guidellm_reports(RunFolder.open(SAMPLE), tmp_path)) == 8
    answer = json.loads(output_of(python, "-c", RECOMPILE, str(tmp_path)).splitlines()[-1])
    # It counts 0 ms of round trips for every request that has none; we have none of these.
    assert answer == {"compared": 24, "differ": ["avg_round_trip_time_ms", "time_to_last_round_trip_ms"]}


@pytest.mark.peer
def test_guidellm_agrees_on_failures_and_arrivals_by_rate(
    tmp_path: Path, point_of: Callable[..., Point], cell_row: dict[str, Any]
) -> None:
    python = tool("HARNESS_GUIDELLM")
    for name, point in (("open", point_of(open_loop=True, failures=1)), ("lost", point_of(failures=3))):
        report = guidellm_report([point], cell=cell_row, target="http://127.0.0.1/v1", verdicts=["valid"])
        write_json(tmp_path / name / "benchmarks.json", report)
    answer = json.loads(output_of(python, "-c", RECOMPILE, str(tmp_path)).splitlines()[-1])
    assert answer == {"compared": 2, "differ": ["avg_round_trip_time_ms", "time_to_last_round_trip_ms"]}


@pytest.mark.peer
def test_llmds_own_schema_accepts_the_reports(tmp_path: Path) -> None:
    python = tool("HARNESS_LLMD")
    assert len(write_llmd_reports(RunFolder.open(SAMPLE), tmp_path)) == 24
    assert output_of(python, "-c", LLMD, str(tmp_path)).split() == ["24"]


@pytest.mark.peer
@pytest.mark.parametrize("arguments", [["plot_pareto"], ["plot", "--var-y", "p99_ttft_ms"]])
def test_vllm_plots_the_results(arguments: list[str], tmp_path: Path) -> None:
    command = tool("HARNESS_ENGINE_0_15_1")
    assert len(write_vllm_results(RunFolder.open(SAMPLE), tmp_path)) == 8
    name, *rest = arguments
    output_of(command, "bench", "sweep", name, str(tmp_path), *rest)
    assert [path.stat().st_size > 10_000 for path in tmp_path.rglob("*.png")] == [True]
