"""Sweeps over real HTTP against a simulated cloud that fails in every way it knows: nothing leaks, nothing lies.

Each control-plane fault is a row; the truth is the simulator's own list of deployments.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from harness.errors import HarnessError
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.retries import RetryPolicy
from harness.exoscale.waiting import Polling, delete_until_gone
from harness.plan.cells import Cell
from harness.results.journal import Journal
from harness.results.report import Reports, build_reports
from harness.results.resolved import Resolved
from harness.results.store import RunFolder
from harness.simulator.process import SimulatorProcess
from harness.simulator.server import Options
from harness.sweep.deployers import Ready, Run
from harness.sweep.exoscale_deployer import ExoscaleDeployer
from harness.sweep.exoscale_ready import CloudTiming
from harness.sweep.interrupts import Interrupts
from harness.sweep.lifecycle import Lifecycle, Patience
from harness.sweep.outcome import SweepOutcome
from harness.sweep.runner import Limits, SweepRunner
from harness.sweep.states import Result

TIME_SCALE = 600.0
CELL = Cell("gpua5000", 1, 1, "0.15.1", "Qwen/Qwen2.5-7B-Instruct", ("--max-model-len=4096",))


class FaultyCloud:
    """Runs cells, one after the other, against a simulator with the given fault rules.

    ``meanwhile`` is done, with a client of its own, to the deployment that is being measured.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.simulator: SimulatorProcess | None = None
        self.quotas: dict[str, int] = {}
        self.meanwhile: Callable[[ExoscaleClient, str], Awaitable[object]] | None = None

    def sweep(self, *rules: dict[str, object], cells: Sequence[Cell] = (CELL,)) -> SweepOutcome:
        faults = self.folder / "faults.yaml"
        document = {"seed": 5, "faults": list(rules), "quotas": self.quotas}
        faults.write_text(yaml.safe_dump(document), encoding="utf-8")
        self.simulator = SimulatorProcess(Options(time_scale=TIME_SCALE, faults=faults))
        self.simulator.start()
        resolved = Resolved("faults", "2026-01-01T00:00:00Z", True, "exoscale", tuple(cells))
        folder, journal = RunFolder.create(self.folder / "run", config=b"name: faults\n", resolved=resolved)
        with journal:
            return asyncio.run(self._run(folder, journal, cells))

    @asynccontextmanager
    async def client(self) -> AsyncIterator[ExoscaleClient]:
        assert self.simulator is not None
        policy = RetryPolicy(first_wait_s=0.01, longest_wait_s=0.05, deadline_s=5.0)
        async with ExoscaleClient(self.simulator.credentials, policy=policy, timeout_s=5.0) as client:
            yield client

    async def _run(self, folder: RunFolder, journal: Journal, cells: Sequence[Cell]) -> SweepOutcome:
        async with self.client() as client:
            timing = CloudTiming(ready_s=4.0, operation_s=3.0, pace=1 / 200)
            deployer = ExoscaleDeployer(client, simulated=True, timing=timing)
            patience = Patience(delete_s=5.0, find_s=0.3, resend_s=0.5, poll_s=0.05, retry_s=0.05)
            lifecycle = Lifecycle(deployer, journal, patience=patience)

            async def measure(run: Run, ready: Ready) -> None:
                lifecycle.record(run.id, "point-finished", point=0)
                if self.meanwhile is not None:
                    async with self.client() as other:
                        await self.meanwhile(other, str(lifecycle.ledger(run.id).deployment_id))

            runner = SweepRunner(
                lifecycle,
                measure=measure,
                keep_logs=lambda run_id, lines: f"logs/{run_id}.log",
                interrupts=Interrupts(),
                limits=Limits(parallel_deployments=1),
            )
            runs = [Run(cell, 0, f"harness-faults-{number}") for number, cell in enumerate(cells)]
            return await runner.run(runs)

    def report(self) -> Reports:
        return build_reports(RunFolder.open(self.folder / "run"))

    def state(self) -> dict[str, object]:
        assert self.simulator is not None
        return self.simulator.state()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[FaultyCloud]:
    made = FaultyCloud(tmp_path)
    yield made
    if made.simulator is not None:
        made.simulator.stop()


# The fault, and how the run must end.
SURVIVED = [
    {"fault": "rate-limited", "retry_after_s": 0, "times": 3},
    {"fault": "server-error", "operation": "get-*", "times": 3},
    {"fault": "server-error", "operation": "delete-deployment", "times": 2},
    {"fault": "reset-before", "operation": "get-*", "times": 2},
    {"fault": "reset-after", "operation": "create-deployment", "times": 1},
    {"fault": "error-after", "operation": "create-deployment", "times": 1},
    {"fault": "reset-after", "operation": "delete-deployment", "times": 1},
    {"fault": "busy", "operation": "delete-deployment", "times": 3},
    {"fault": "busy", "operation": "delete-deployment", "times": 40},
    {"fault": "no-reference", "times": 1},
    {"fault": "unlisted", "seconds": 200},
    {"fault": "operation-unknown", "times": 2, "seconds": 20},
    {"fault": "operation-failed", "operation": "delete-deployment", "times": 1},
    {"fault": "slow-start", "factor": 2},
    {"fault": "unknown-state", "state": "polishing"},
    {"fault": "key-late", "seconds": 60},
    {"fault": "url-unavailable", "seconds": 60},
]
FAILED = [
    ({"fault": "operation-stuck", "operation": "create-deployment", "times": 1}, "timeout"),
    ({"fault": "server-error", "operation": "create-deployment"}, "platform"),
    ({"fault": "reset-before", "operation": "create-deployment"}, "network"),
    ({"fault": "forbidden", "operation": "create-deployment"}, "forbidden"),
    ({"fault": "no-capacity"}, "no-capacity"),
    ({"fault": "operation-failed", "operation": "create-deployment"}, None),
    ({"fault": "deployment-error"}, "out-of-memory"),
    ({"fault": "deployment-stuck", "operation": "deploying"}, "timeout"),
    ({"fault": "deployment-stuck", "operation": "creating"}, "timeout"),
    ({"fault": "parameters-dropped"}, "not-as-asked"),
]


@pytest.mark.parametrize(
    "rule", SURVIVED, ids=lambda rule: f"{rule['fault']} {rule.get('operation', '')}".strip()
)
def test_a_passing_fault_does_not_keep_a_run_from_its_end(
    cloud: FaultyCloud, rule: dict[str, object]
) -> None:
    outcome = cloud.sweep(rule)
    ledger = outcome.ledgers[f"{CELL.id}-r0"]
    assert ledger.result is Result.MEASURED, ledger
    state = cloud.state()
    assert state["faults"], "the fault was never met"
    assert len(state["created"]) == 1
    assert state["alive"] == []
    assert outcome.exit_code == 0


@pytest.mark.parametrize(
    ("rule", "cause"),
    FAILED,
    ids=lambda value: f"{value['fault']}" if isinstance(value, dict) else str(value),
)
def test_a_lasting_fault_fails_the_run_with_its_cause_and_leaks_nothing(
    cloud: FaultyCloud, rule: dict[str, object], cause: str | None
) -> None:
    outcome = cloud.sweep(rule)
    ledger = outcome.ledgers[f"{CELL.id}-r0"]
    assert ledger.result is Result.FAILED, ledger
    assert cause in (None, ledger.cause)
    state = cloud.state()
    assert state["faults"], "the fault was never met"
    assert len(state["created"]) <= 1
    assert state["alive"] == []
    assert outcome.left_running == []
    reports = cloud.report()
    assert f"{ledger.cause}" in reports.markdown
    assert f"{ledger.cause}" in reports.html
    assert reports.summary["cells"][0]["state"] == "failed"


def test_a_deletion_that_never_works_is_left_running_and_says_so(cloud: FaultyCloud) -> None:
    outcome = cloud.sweep({"fault": "server-error", "operation": "delete-deployment"})
    assert [ledger.name for ledger in outcome.left_running] == ["harness-faults-0"]
    assert [alive["name"] for alive in cloud.state()["alive"]] == ["harness-faults-0"]
    assert outcome.exit_code == 3


def test_a_create_without_a_reference_that_is_not_listed_for_a_while_is_found(cloud: FaultyCloud) -> None:
    outcome = cloud.sweep({"fault": "no-reference"}, {"fault": "unlisted", "seconds": 300})
    assert [ledger.result for ledger in outcome.ledgers.values()] == [Result.MEASURED]
    state = cloud.state()
    assert set(state["faults"]) == {"no-reference", "unlisted"}
    assert (len(state["created"]), state["alive"]) == (1, [])


@pytest.mark.parametrize("fault", ["reset-after", "error-after"])
def test_a_create_without_an_answer_that_is_not_listed_for_a_while_is_not_repeated(
    cloud: FaultyCloud, fault: str
) -> None:
    rule = {"fault": fault, "operation": "create-deployment", "times": 1}
    outcome = cloud.sweep(rule, {"fault": "unlisted", "seconds": 100})
    assert [ledger.result for ledger in outcome.ledgers.values()] == [Result.MEASURED]
    assert (len(cloud.state()["created"]), cloud.state()["alive"]) == (1, [])


def test_a_deployment_that_somebody_deletes_under_the_load_test_is_not_measured(cloud: FaultyCloud) -> None:
    async def delete(client: ExoscaleClient, deployment_id: str) -> None:
        await delete_until_gone(client, deployment_id, polling=Polling(5.0, interval=lambda elapsed_s: 0.02))

    cloud.meanwhile = delete
    outcome = cloud.sweep()
    (ledger,) = outcome.ledgers.values()
    assert (ledger.result, ledger.cause, ledger.points) == (Result.FAILED, "gone", frozenset())
    assert "deleted by somebody else" in str(ledger.detail)
    assert outcome.left_running == []
    assert outcome.exit_code == 1
    assert "gone" in cloud.report().markdown


def test_a_deployment_that_somebody_changes_under_the_load_test_is_not_measured(cloud: FaultyCloud) -> None:
    async def change(client: ExoscaleClient, deployment_id: str) -> None:
        await client.update_deployment(deployment_id, parameters=["--max-model-len=4096", "--max-num-seqs=1"])

    cloud.meanwhile = change
    outcome = cloud.sweep()
    (ledger,) = outcome.ledgers.values()
    assert (ledger.result, ledger.cause, ledger.points) == (Result.FAILED, "not-as-asked", frozenset())
    assert "--max-num-seqs" in str(ledger.detail)
    assert cloud.state()["alive"] == []


def test_a_key_revoked_in_mid_run_is_reported_with_what_is_alive(cloud: FaultyCloud) -> None:
    forbidden = {"fault": "forbidden", "operation": "*-deployment", "skip": 4}
    outcome = cloud.sweep(forbidden, {"fault": "forbidden", "operation": "get-operation", "skip": 4})
    assert [ledger.name for ledger in outcome.left_running] == ["harness-faults-0"]
    assert isinstance(outcome.ended_by, HarnessError)
    assert outcome.exit_code == 3
    assert "may_be_alive" in cloud.report().summary
    assert cloud.report().summary["may_be_alive"] == [f"{CELL.id}-r0"]


def test_a_family_beyond_its_quota_is_set_aside_and_others_go_on(cloud: FaultyCloud) -> None:
    cloud.quotas = {"gpua5000": 0}
    other = replace(CELL, gpu_type="gpu3")
    more = replace(CELL, parameters=("--max-model-len=2048",))
    outcome = cloud.sweep(cells=(CELL, more, other))
    found = [outcome.ledgers[f"{cell.id}-r0"] for cell in (CELL, more, other)]
    assert [ledger.result for ledger in found] == [Result.FAILED, Result.SKIPPED, Result.MEASURED]
    assert found[0].cause == "forbidden"
    assert "quota" in str(found[0].detail)
    assert cloud.state()["requests"]["create-deployment"] == 2


def test_a_family_whose_creation_fails_for_want_of_gpus_is_set_aside(cloud: FaultyCloud) -> None:
    more = replace(CELL, parameters=("--max-model-len=2048",))
    message = "not enough GPUs of this type"
    outcome = cloud.sweep(
        {"fault": "operation-failed", "operation": "create-deployment", "message": message},
        cells=(CELL, more),
    )
    found = [outcome.ledgers[f"{cell.id}-r0"] for cell in (CELL, more)]
    assert [ledger.result for ledger in found] == [Result.FAILED, Result.SKIPPED]
    assert found[0].cause == "no-capacity"
    assert (len(cloud.state()["created"]), cloud.state()["alive"]) == (1, [])
