"""Sweeps over real HTTP against a simulated cloud that fails in every way it knows: nothing leaks, nothing lies.

Each control-plane fault is a row; the truth is the simulator's own list of deployments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from harness.exoscale.client import ExoscaleClient
from harness.exoscale.retries import RetryPolicy
from harness.plan.cells import Cell
from harness.results.journal import Journal
from harness.simulator.process import SimulatorProcess
from harness.simulator.server import Options
from harness.sweep.deployers import Ready, Run
from harness.sweep.exoscale_deployer import ExoscaleDeployer
from harness.sweep.exoscale_ready import CloudTiming
from harness.sweep.interrupts import Interrupts
from harness.sweep.lifecycle import Lifecycle, Patience
from harness.sweep.runner import SweepOutcome, SweepRunner
from harness.sweep.states import Result

TIME_SCALE = 600.0
CELL = Cell("gpua5000", 1, 1, "0.15.1", "Qwen/Qwen2.5-7B-Instruct", ("--max-model-len=4096",))


class FaultyCloud:
    """Runs one cell against a simulator with the given fault rules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.simulator: SimulatorProcess | None = None

    def sweep(self, *rules: dict[str, object], cell: Cell = CELL) -> SweepOutcome:
        faults = self.folder / "faults.yaml"
        faults.write_text(yaml.safe_dump({"seed": 5, "faults": list(rules)}), encoding="utf-8")
        self.simulator = SimulatorProcess(Options(time_scale=TIME_SCALE, faults=faults))
        self.simulator.start()
        with Journal.create(self.folder / "journal.sqlite") as journal:
            return asyncio.run(self._run(journal, cell))

    async def _run(self, journal: Journal, cell: Cell) -> SweepOutcome:
        assert self.simulator is not None
        policy = RetryPolicy(first_wait_s=0.01, longest_wait_s=0.05, deadline_s=5.0)
        async with ExoscaleClient(self.simulator.credentials, policy=policy, timeout_s=5.0) as client:
            timing = CloudTiming(ready_s=4.0, operation_s=3.0, pace=1 / 200)
            deployer = ExoscaleDeployer(client, simulated=True, timing=timing)
            patience = Patience(delete_s=5.0, find_s=0.3, resend_s=0.5, poll_s=0.05, retry_s=0.05)
            runner = SweepRunner(
                Lifecycle(deployer, journal, patience=patience),
                measure=self.note,
                keep_logs=lambda run_id, lines: f"logs/{run_id}.log",
                interrupts=Interrupts(),
            )
            return await runner.run([Run(cell, 0, "harness-faults-0")])

    async def note(self, run: Run, ready: Ready) -> None:
        """Reached only with an endpoint that answered a completion."""

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
    {"fault": "no-reference", "times": 1},
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


def test_a_deletion_that_never_works_is_left_running_and_says_so(cloud: FaultyCloud) -> None:
    outcome = cloud.sweep({"fault": "server-error", "operation": "delete-deployment"})
    assert [ledger.name for ledger in outcome.left_running] == ["harness-faults-0"]
    assert [alive["name"] for alive in cloud.state()["alive"]] == ["harness-faults-0"]
    assert outcome.exit_code == 3
