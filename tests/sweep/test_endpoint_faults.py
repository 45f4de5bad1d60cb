"""Each fault of a stream, injected by the simulator into every second request: its class, the figures, the report."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.exoscale.client import ExoscaleClient
from harness.exoscale.retries import RetryPolicy
from harness.load.arrivals import ClosedLoop
from harness.load.driver import run_stage
from harness.load.lengths import FixedLength
from harness.load.metrics import LoadMetrics, summarise
from harness.load.probe import probe_endpoint
from harness.load.records import Endpoint, Outcome, StageResult
from harness.load.slo import Slo
from harness.load.stage import Stage
from harness.load.workload import Workload
from harness.plan.cells import Cell
from harness.results.report import build_reports
from harness.results.resolved import Resolved
from harness.results.store import RunFolder, write_records
from harness.simulator.process import SimulatorProcess
from harness.simulator.server import Options
from harness.sweep.deployers import Run
from harness.sweep.exoscale_deployer import ExoscaleDeployer
from harness.sweep.exoscale_ready import CloudTiming

MODEL = "Qwen/Qwen3-4B"
REQUESTS = 6
TOKENS = 8
SLO = "ttft_p95<=10s"
TIMEOUT_S = 1.0
HEALTHY = "healthy"
# A fault's class; the other half of the requests is served well.
FAILING = {
    "disconnect": Outcome.TRUNCATED,
    "no-done": Outcome.TRUNCATED,
    "truncated-json": Outcome.MALFORMED,
    "html": Outcome.MALFORMED,
    "stall": Outcome.TIMEOUT,
    "error-event": Outcome.ERROR_EVENT,
    "empty-stream": Outcome.EMPTY,
    "dead-replica": Outcome.HTTP_5XX,
}
# Faults that change a stream without making an answer of it wrong.
HARMLESS = ("duplicate-chunks", "merged-chunks", "no-usage", "wrong-usage")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one endpoint's stage gave, per fault, and the run folder that holds all of them."""

    results: dict[str, StageResult]
    folder: RunFolder

    def metrics(self, fault: str) -> LoadMetrics:
        return summarise(self.results[fault], slo=Slo.parse(SLO))


def cell_of(fault: str) -> Cell:
    """A cell whose arguments differ by fault, so that each has a row of its own."""
    number = (HEALTHY, *FAILING, *HARMLESS).index(fault)
    parameters = ("--max-model-len=4096", f"--seed={number}")
    return Cell("gpu3", 1, 1, "0.15.1", MODEL, parameters, parameter_set=fault)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    root = tmp_path_factory.mktemp("faults")
    rules = [
        {"fault": fault, "subject": f"n-{fault}", "every": 2, "seconds": 60_000}
        for fault in (*FAILING, *HARMLESS)
    ]
    faults = root / "faults.yaml"
    faults.write_text(json.dumps({"faults": rules, "quotas": {"gpu3": 64}, "stock": {"gpu3": 64}}))
    with SimulatorProcess(Options(time_scale=1000.0, faults=faults)) as simulator:
        results = asyncio.run(measure_all(simulator))
        yield Measured(results, written(root / "run", results))


async def measure_all(simulator: SimulatorProcess) -> dict[str, StageResult]:
    """One deployment per fault, made ready by the deployer: that is the first request, and it is not struck."""
    timing = CloudTiming(ready_s=20.0, operation_s=20.0, pace=1 / 200)
    stage = Stage(arrivals=ClosedLoop(1), requests=REQUESTS, timeout_s=TIMEOUT_S)
    workload = Workload(input_tokens=FixedLength(16), output_tokens=FixedLength(TOKENS))
    async with ExoscaleClient(
        simulator.credentials, policy=RetryPolicy(first_wait_s=0.01, deadline_s=10.0)
    ) as client:
        deployer = ExoscaleDeployer(client, simulated=True, timing=timing)

        async def stand(fault: str) -> Endpoint:
            run = Run(cell_of(fault), 0, f"n-{fault}")
            ready = await deployer.wait_ready(run, await deployer.create(run), lambda state: None)
            return ready.endpoint

        names = (HEALTHY, *FAILING, *HARMLESS)
        endpoints = dict(zip(names, await asyncio.gather(*(stand(name) for name in names)), strict=True))
    probe = await probe_endpoint(endpoints[HEALTHY], workload=workload)
    # The readiness request was each endpoint's first, which passes: the measured ones are struck first, third, ...
    return {
        name: await run_stage(endpoint, stage, workload, probe=probe) for name, endpoint in endpoints.items()
    }


def written(path: Path, results: dict[str, StageResult]) -> RunFolder:
    """A run folder with a cell per fault, as a sweep would have left it."""
    resolved = Resolved(
        "faults", "2026-01-01T00:00:00Z", True, "exoscale", tuple(map(cell_of, results)), slo=SLO
    )
    folder, journal = RunFolder.create(path, config=b"name: faults\n", resolved=resolved)
    with journal:
        for fault, result in results.items():
            cell = cell_of(fault)
            run_id = f"{cell.id}-r0"
            target = folder.records_path(run_id, 0)
            meta = {"run_id": run_id, "cell_id": cell.id, "repeat": 0, "point": 0, "simulated": True}
            write_records(target, result, metadata=meta)
            journal.append("point-finished", run_id=run_id, data={"point": 0, "file": target.name})
            journal.append("measured", run_id=run_id)
    return folder


def test_a_healthy_endpoint_has_no_failure(measured: Measured) -> None:
    metrics = measured.metrics(HEALTHY)
    assert (metrics.sent, metrics.succeeded, metrics.failed) == (REQUESTS, REQUESTS, 0)
    assert metrics.attainment == 1.0


@pytest.mark.parametrize("fault", FAILING)
def test_a_failed_request_is_of_one_class_and_in_no_latency_but_in_the_goodput(
    measured: Measured, fault: str
) -> None:
    metrics, half = measured.metrics(fault), REQUESTS // 2
    assert metrics.failures == {FAILING[fault].value: half}
    assert (metrics.sent, metrics.succeeded, metrics.failed) == (REQUESTS, half, half)
    counts = {name: getattr(metrics, name).count for name in ("ttft", "e2e", "tpot")}
    assert counts == dict.fromkeys(counts, half)
    assert metrics.e2e.max is not None
    assert metrics.e2e.max < TIMEOUT_S
    assert metrics.attainment == 0.5
    assert metrics.slo_met is False  # half of all requests count as infinitely late


@pytest.mark.parametrize("fault", HARMLESS)
def test_a_stream_that_is_odd_but_whole_succeeds(measured: Measured, fault: str) -> None:
    metrics = measured.metrics(fault)
    assert (metrics.sent, metrics.succeeded, metrics.failed) == (REQUESTS, REQUESTS, 0)
    assert metrics.ttft.count == REQUESTS
    assert metrics.attainment == 1.0


def test_merged_chunks_keep_every_token(measured: Measured) -> None:
    records = measured.results["merged-chunks"].records
    assert [int(record.chunk_tokens.sum()) for record in records] == [TOKENS] * REQUESTS


def test_a_request_without_usage_has_no_token_count_of_the_servers(measured: Measured) -> None:
    found = [record.completion_tokens for record in measured.results["no-usage"].records]
    assert len(found) == REQUESTS
    assert found.count(TOKENS) == REQUESTS // 2
    assert TOKENS + 7 not in found


def test_a_wrong_usage_is_flagged_as_an_output_of_the_wrong_length(measured: Measured) -> None:
    metrics = measured.metrics("wrong-usage")
    assert metrics.output_length_off_share == 0.5
    assert metrics.verdict.reasons


def test_the_report_shows_the_class_of_every_fault(measured: Measured) -> None:
    reports = build_reports(measured.folder)
    levels = {level["cell_id"]: level for level in reports.summary["levels"]}
    assert len(levels) == 1 + len(FAILING) + len(HARMLESS)
    for fault, outcome in FAILING.items():
        assert f"{outcome.value} {REQUESTS // 2}" in levels[cell_of(fault).id]["failures"]
    classes = {outcome.value for outcome in FAILING.values()}
    shown = reports.markdown.replace("\\_", "_")
    assert classes == {text for text in classes if text in shown}
    assert classes == {text for text in classes if text in reports.html}
