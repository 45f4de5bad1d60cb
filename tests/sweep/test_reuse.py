"""One deployment moved from run to run: the fewest changes, verified each time, a fresh one where it is refused."""

from __future__ import annotations

import asyncio
from typing import Any

from harness.errors import ApiError, EngineStartError
from harness.plan.cells import Cell
from harness.sweep.deployers import Ready, Run
from harness.sweep.grouping import group_runs
from harness.sweep.interrupts import Interrupts
from harness.sweep.lifecycle import Lifecycle
from harness.sweep.outcome import SweepOutcome
from harness.sweep.runner import Limits, SweepRunner
from harness.sweep.states import Result


def cell(version: str, parameter: str, *, replicas: int = 1, gpus: int = 1) -> Cell:
    return Cell("gpua5000", gpus, replicas, version, "m", (parameter,))


def sweep(
    lifecycle: Lifecycle, runs: list[Run], *, measure: Any = None, interrupts: Any = None
) -> SweepOutcome:
    async def note(run: Run, ready: Ready) -> None:
        return

    async def carry() -> SweepOutcome:
        runner = SweepRunner(
            lifecycle,
            measure=measure or note,
            keep_logs=lambda run_id, lines: "log",
            interrupts=interrupts or Interrupts(),
            limits=Limits(parallel_deployments=2, reuse=True),
        )
        return await runner.run(runs)

    return asyncio.run(carry())


def named(cells: list[Cell], *, repeat: int = 0) -> list[Run]:
    return [Run(each, repeat, f"harness-{repeat}-{number}") for number, each in enumerate(cells)]


def test_groups_share_gpus_and_model_and_change_replicas_last() -> None:
    cells = [
        cell("0.15.1", "--seed=1", replicas=2),
        cell("0.12.0", "--seed=2"),
        cell("0.15.1", "--seed=1", gpus=2),
        cell("0.12.0", "--seed=1"),
        cell("0.15.1", "--seed=3"),
    ]
    first, second = group_runs(named(cells))
    assert [(run.cell.replicas, run.cell.engine_version, run.cell.parameters[0]) for run in first] == [
        (1, "0.12.0", "--seed=1"),
        (1, "0.12.0", "--seed=2"),
        (1, "0.15.1", "--seed=3"),
        (2, "0.15.1", "--seed=1"),
    ]
    assert [run.cell.gpu_count for run in second] == [2]


def test_repeats_stay_apart_and_meet_at_the_same_cell() -> None:
    cells = [cell("0.15.1", f"--seed={number}") for number in range(3)]
    (group,) = group_runs([*named(cells), *named(cells, repeat=1)])
    assert [(run.repeat, run.cell.parameters[0][-1]) for run in group] == [
        (0, "0"), (0, "1"), (0, "2"), (1, "2"), (1, "1"), (1, "0"),
    ]  # fmt: skip


def test_one_deployment_serves_a_whole_group(lifecycle, platform) -> None:
    outcome = sweep(lifecycle, named([cell("0.15.1", f"--seed={number}") for number in range(4)]))
    assert [ledger.result for ledger in outcome.ledgers.values()] == [Result.MEASURED] * 4
    assert len(platform.created) == 1
    assert len(platform.moved) == 3
    assert platform.deleted == platform.created
    assert outcome.left_running == []


def test_a_refused_move_falls_back_to_a_fresh_deployment(lifecycle, platform) -> None:
    platform.faults["move"] = [ApiError("update-deployment", status=400, detail="not while updating")]
    outcome = sweep(lifecycle, named([cell("0.15.1", f"--seed={number}") for number in range(3)]))
    assert [ledger.result for ledger in outcome.ledgers.values()] == [Result.MEASURED] * 3
    assert len(platform.created) == 2
    assert sorted(platform.deleted) == sorted(platform.created)


def test_a_cell_that_does_not_start_does_not_spoil_the_next(lifecycle, platform) -> None:
    broken = EngineStartError("no room", cause="out-of-memory")
    runs = named([cell("0.15.1", f"--seed={number}") for number in range(3)])
    waits, real_wait = [], platform.wait_ready

    async def wait(run: Run, deployment_id: str, on_state: Any) -> Ready:
        waits.append(run.cell.parameters[0])
        if run.cell.parameters[0] == "--seed=1":
            raise broken
        return await real_wait(run, deployment_id, on_state)

    platform.wait_ready = wait
    outcome = sweep(lifecycle, runs)
    results = {run.cell.parameters[0]: outcome.ledgers[run.id].result for run in runs}
    assert results == {"--seed=0": Result.MEASURED, "--seed=1": Result.FAILED, "--seed=2": Result.MEASURED}
    assert waits.count("--seed=1") == 2  # moved, then once more on a deployment of its own
    assert sorted(platform.deleted) == sorted(platform.created)


def test_an_interrupt_between_two_cells_leaves_nothing(lifecycle, platform) -> None:
    interrupts = Interrupts()

    async def measure(run: Run, ready: Ready) -> None:
        if run.cell.parameters[0] == "--seed=1":
            interrupts.notice("SIGINT")
            await asyncio.sleep(5)

    outcome = sweep(
        lifecycle,
        named([cell("0.15.1", f"--seed={number}") for number in range(4)]),
        measure=measure,
        interrupts=interrupts,
    )
    assert platform.alive == {}
    assert outcome.left_running == []
    assert len(platform.created) == 1
