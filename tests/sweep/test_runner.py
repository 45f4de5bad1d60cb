"""The run loop against a platform in memory: what is created is deleted, every run is accounted for once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ApiError, EngineStartError, LeftRunningError, NetworkError
from harness.results.journal import Journal, read_events
from harness.sweep.deployers import Ready, Run
from harness.sweep.interrupts import Interrupts
from harness.sweep.lifecycle import Lifecycle
from harness.sweep.outcome import SweepOutcome, require_nothing_left
from harness.sweep.runner import Limits, SweepRunner
from harness.sweep.states import Life, Result, replay


def sweep(lifecycle: Lifecycle, runs: list[Run], **options: Any) -> SweepOutcome:
    return asyncio.run(sweep_async(lifecycle, runs, **options))


async def sweep_async(
    lifecycle: Lifecycle,
    runs: list[Run],
    *,
    interrupts: Interrupts | None = None,
    measured: list[str] | None = None,
    measure: Any = None,
    limits: Limits | None = None,
    admit: Any = lambda run: None,
) -> SweepOutcome:
    async def note(run: Run, ready: Ready) -> None:
        if measured is not None:
            measured.append(run.id)

    runner = SweepRunner(
        lifecycle,
        measure=measure or note,
        keep_logs=lambda run_id, lines: f"logs/{run_id}.log",
        interrupts=interrupts or Interrupts(),
        limits=limits,
        admit=admit,
    )
    return await runner.run(runs)


def results(outcome: SweepOutcome) -> list[Result]:
    return [ledger.result for ledger in outcome.ledgers.values()]


def test_every_run_is_measured_and_deleted(lifecycle, platform, runs) -> None:
    measured: list[str] = []
    outcome = sweep(lifecycle, runs, measured=measured)
    assert sorted(measured) == sorted(run.id for run in runs)
    assert results(outcome) == [Result.MEASURED] * 4
    assert outcome.exit_code == 0
    assert len(platform.created) == 4
    assert sorted(platform.created) == sorted(platform.deleted)


def test_provisioning_overlaps_up_to_the_limit_and_no_further(lifecycle, platform, runs) -> None:
    platform.ready_s = 0.01
    sweep(lifecycle, runs, limits=Limits(parallel_deployments=3))
    assert platform.most_alive == 3


def test_measurements_do_not_overlap(lifecycle, runs) -> None:
    busy = [0, 0]

    async def measure(run: Run, ready: Ready) -> None:
        busy[0] += 1
        busy[1] = max(busy)
        await asyncio.sleep(0.005)
        busy[0] -= 1

    sweep(lifecycle, runs, measure=measure, limits=Limits(parallel_deployments=4))
    assert busy[1] == 1


def test_a_lost_create_answer_is_found_by_name_and_not_created_twice(lifecycle, platform, runs) -> None:
    platform.lost_answers = 1
    outcome = sweep(lifecycle, runs[:1])
    assert results(outcome) == [Result.MEASURED]
    assert len(platform.created) == 1
    assert platform.deleted == platform.created


def test_a_create_that_never_arrived_fails_the_run_and_leaves_nothing(lifecycle, platform, runs) -> None:
    platform.faults["create"] = [ApiError("create-deployment", status=503, detail="temporarily unavailable")]
    outcome = sweep(lifecycle, runs[:1])
    assert results(outcome) == [Result.FAILED]
    assert platform.created == []
    assert outcome.left_running == []


def test_an_engine_that_does_not_start_fails_its_run_alone(lifecycle, platform, runs) -> None:
    platform.faults["ready"] = [EngineStartError("no room", cause="out-of-memory")]
    outcome = sweep(lifecycle, runs)
    assert sorted(results(outcome)) == sorted([Result.FAILED] + [Result.MEASURED] * 3)
    failed = next(ledger for ledger in outcome.ledgers.values() if ledger.result is Result.FAILED)
    assert failed.cause == "out-of-memory"
    assert outcome.exit_code == 1
    assert sorted(platform.created) == sorted(platform.deleted)


def test_a_family_without_capacity_is_set_aside_not_hammered(lifecycle, platform, runs, no_capacity) -> None:
    platform.faults["create"] = [no_capacity] * 4
    outcome = sweep(lifecycle, runs, limits=Limits(parallel_deployments=1))
    assert results(outcome) == [Result.FAILED] + [Result.SKIPPED] * 3
    assert len(platform.faults["create"]) == 3
    assert outcome.left_running == []


def test_a_refused_deletion_is_sent_again_until_it_is_gone(lifecycle, platform, runs) -> None:
    busy = [ApiError("delete-deployment", status=409, detail="busy") for _ in range(3)]
    platform.faults["delete"] = [*busy, NetworkError("reset")]
    outcome = sweep(lifecycle, runs[:1])
    assert platform.deleted == platform.created
    assert outcome.left_running == []
    assert outcome.exit_code == 0


def test_an_accepted_deletion_that_does_nothing_is_sent_again(lifecycle, platform, runs) -> None:
    real_delete, calls = platform.delete, []

    async def lazy_delete(deployment_id: str) -> None:
        calls.append(deployment_id)
        if len(calls) > 1:
            await real_delete(deployment_id)

    platform.delete = lazy_delete
    sweep(lifecycle, runs[:1])
    assert len(calls) == 2
    assert platform.alive == {}


def test_a_deletion_that_never_succeeds_is_reported_by_name(platform, journal, runs) -> None:
    from harness.sweep.lifecycle import Patience

    impatient = Lifecycle(platform, journal, patience=Patience(0.05, 0.0, 0.05, 0.0, 0.001))
    platform.faults["delete"] = [
        ApiError("delete-deployment", status=500, detail="no") for _ in range(100_000)
    ]
    outcome = sweep(impatient, runs[:1])
    assert [ledger.name for ledger in outcome.left_running] == ["harness-0"]
    assert outcome.exit_code == 3
    with pytest.raises(LeftRunningError, match=r"harness-0 \(id-0\)"):
        require_nothing_left(outcome)


def test_a_lost_network_ends_the_sweep_after_tear_down(lifecycle, platform, runs) -> None:
    platform.faults["ready"] = [NetworkError("no route")]
    outcome = sweep(lifecycle, runs, limits=Limits(parallel_deployments=1))
    assert isinstance(outcome.ended_by, NetworkError)
    assert len(platform.created) == 1
    assert platform.deleted == platform.created
    assert outcome.exit_code == 3


def test_the_first_interrupt_stops_launching_and_tears_down(lifecycle, platform, runs) -> None:
    async def interrupted() -> SweepOutcome:
        interrupts = Interrupts()
        platform.ready_s = 60.0
        task = asyncio.create_task(sweep_async(lifecycle, runs, interrupts=interrupts))
        await platform.reached.wait()
        interrupts.notice("SIGINT")
        return await task

    outcome = asyncio.run(interrupted())
    assert outcome.interrupted_by == "SIGINT"
    assert 1 <= len(platform.created) <= 2
    assert sorted(platform.deleted) == sorted(platform.created)
    assert outcome.exit_code == 3


def test_the_second_interrupt_lets_go_and_names_what_is_alive(lifecycle, platform, runs) -> None:
    async def interrupted() -> SweepOutcome:
        interrupts = Interrupts()
        platform.ready_s = 60.0
        platform.faults["delete"] = [NetworkError("no route") for _ in range(1_000_000)]
        task = asyncio.create_task(sweep_async(lifecycle, runs[:1], interrupts=interrupts))
        await platform.reached.wait()
        interrupts.notice("SIGINT")
        await asyncio.sleep(0.02)
        interrupts.notice("SIGINT")
        tries = len(platform.faults["delete"])
        outcome = await task
        assert tries - len(platform.faults["delete"]) <= 20, "it went on deleting after it was told to let go"
        return outcome

    outcome = asyncio.run(interrupted())
    assert [ledger.name for ledger in outcome.left_running] == ["harness-0"]


def test_an_interrupt_during_a_create_waits_for_its_answer_and_deletes(lifecycle, platform, runs) -> None:
    async def interrupted() -> SweepOutcome:
        interrupts, inside, answer = Interrupts(), asyncio.Event(), asyncio.Event()
        real_create = platform.create

        async def slow_create(run: Run) -> str:
            inside.set()
            await answer.wait()
            return await real_create(run)

        platform.create = slow_create
        task = asyncio.create_task(sweep_async(lifecycle, runs[:1], interrupts=interrupts))
        await inside.wait()
        interrupts.notice("SIGTERM")
        await asyncio.sleep(0.01)
        answer.set()
        return await task

    outcome = asyncio.run(interrupted())
    assert platform.created == platform.deleted == ["id-0"]
    assert outcome.left_running == []


def test_a_run_that_is_not_admitted_is_skipped_with_the_reason(lifecycle, platform, runs) -> None:
    outcome = sweep(lifecycle, runs[:2], admit=lambda run: "the budget is spent")
    assert results(outcome) == [Result.SKIPPED] * 2
    assert {ledger.cause for ledger in outcome.ledgers.values()} == {"the budget is spent"}
    assert platform.created == []


def test_a_defect_in_a_measurement_still_tears_down(lifecycle, platform, runs) -> None:
    async def broken(run: Run, ready: Ready) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sweep(lifecycle, runs, measure=broken)
    assert platform.created
    assert sorted(platform.created) == sorted(platform.deleted)


def test_the_intent_is_on_disk_before_the_create(platform, tmp_path: Path, runs) -> None:
    path = tmp_path / "own.sqlite"
    seen: list[list[str]] = []
    real_create = platform.create

    async def watching_create(run: Run) -> str:
        seen.append([event.kind for event in read_events(path)])
        return await real_create(run)

    platform.create = watching_create
    with Journal.create(path) as journal:
        sweep(Lifecycle(platform, journal), runs[:1])
    assert seen == [["create-intended"]]
    final = replay(read_events(path))[runs[0].id]
    assert (final.life, final.result) == (Life.GONE, Result.MEASURED)


def test_a_signal_in_the_last_moment_is_not_told_to_closed_books() -> None:
    told: list[str] = []

    async def late() -> None:
        interrupts = Interrupts(on_first=told.append)
        with interrupts.installed():
            # What the loop does with a signal it has caught.
            asyncio.get_running_loop().call_soon(interrupts.notice, "SIGTERM")
        await asyncio.sleep(0)

    asyncio.run(late())
    assert told == []


def test_a_create_that_comes_about_late_is_torn_down_when_looked_for_again(lifecycle, platform, runs) -> None:
    platform.faults["create"] = [NetworkError("create-deployment: timed out")]

    async def late() -> list[str]:
        await sweep_async(lifecycle, runs[:1])
        platform.alive["id-late"] = runs[0].name
        return await lifecycle.look_again()

    assert asyncio.run(late()) == [runs[0].id]
    assert platform.alive == {}
    assert lifecycle.ledger(runs[0].id).result is Result.FAILED
