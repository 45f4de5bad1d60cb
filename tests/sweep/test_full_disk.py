"""A disk that fills at any moment: nothing is created that is not on record, and what was created is deleted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ApiError, HarnessError, LeftRunningError
from harness.results.files import StoreError
from harness.results.journal import Journal, JournalError
from harness.sweep.deployers import Ready, Run
from harness.sweep.interrupts import Interrupts
from harness.sweep.lifecycle import Lifecycle, Patience
from harness.sweep.outcome import SweepOutcome
from harness.sweep.runner import Limits, SweepRunner
from harness.sweep.states import Result, replay

PATIENCE = Patience(delete_s=5.0, find_s=0.0, resend_s=0.05, poll_s=0.0, retry_s=0.0)
# create-intended, created, provisioning, ready, measured, engine-log, delete-intended, delete-sent, deleted
EVENTS_A_RUN = 9


class FullDisk:
    """A journal with room for so many entries."""

    def __init__(self, journal: Journal, room: int) -> None:
        self.journal = journal
        self.room = room

    def append(self, kind: str, *, run_id: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        if self.room <= 0:
            raise JournalError("cannot write the journal: database or disk is full")
        self.room -= 1
        self.journal.append(kind, run_id=run_id, data=data)


def sweep(
    lifecycle: Lifecycle, runs: list[Run], *, keep_logs: Any = lambda run_id, lines: "log"
) -> SweepOutcome:
    async def measure(run: Run, ready: Ready) -> None:
        return

    async def carry() -> SweepOutcome:
        limits = Limits(parallel_deployments=1)
        runner = SweepRunner(
            lifecycle, measure=measure, keep_logs=keep_logs, interrupts=Interrupts(), limits=limits
        )
        return await runner.run(runs)

    return asyncio.run(carry())


@pytest.mark.parametrize("room", range(2 * EVENTS_A_RUN))
def test_a_disk_that_is_full_at_any_moment_keeps_nothing_from_being_deleted(
    platform, journal: Journal, runs: list[Run], room: int
) -> None:
    outcome = sweep(Lifecycle(platform, FullDisk(journal, room), patience=PATIENCE), runs)  # type: ignore[arg-type]
    assert platform.alive == {}
    assert sorted(platform.created) == sorted(platform.deleted)
    assert outcome.left_running == []
    assert isinstance(outcome.ended_by, JournalError)
    assert outcome.exit_code == 3
    # Nothing was launched after the disk was full, and what was is on record.
    assert len(platform.created) <= room // EVENTS_A_RUN + 1
    intended = [event for event in journal.events() if event.kind == "create-intended"]
    assert len(platform.created) <= len(intended)
    # What a clean-up reads is at worst a deployment that is gone already.
    assert sum(ledger.may_cost for ledger in replay(journal.events()).values()) <= 1


def test_a_log_that_cannot_be_written_keeps_nothing_from_being_deleted(lifecycle, platform, runs) -> None:
    def full(run_id: str, lines: object) -> str:
        raise StoreError("cannot write 'logs/x.log': No space left on device")

    outcome = sweep(lifecycle, runs, keep_logs=full)
    assert platform.created == platform.deleted == ["id-0"]
    assert isinstance(outcome.ended_by, StoreError)
    assert outcome.exit_code == 3


def test_records_that_cannot_be_written_end_the_sweep_instead_of_paying_for_more(
    lifecycle, platform, runs
) -> None:
    async def measure(run: Run, ready: Ready) -> None:
        raise StoreError("cannot write 'records/x.parquet': No space left on device")

    async def carry() -> SweepOutcome:
        runner = SweepRunner(
            lifecycle,
            measure=measure,
            keep_logs=lambda run_id, lines: "log",
            interrupts=Interrupts(),
            limits=Limits(parallel_deployments=1),
        )
        return await runner.run(runs)

    outcome = asyncio.run(carry())
    assert isinstance(outcome.ended_by, HarnessError)
    assert platform.created == platform.deleted == ["id-0"]
    assert [ledger.result for ledger in outcome.ledgers.values()] == [Result.FAILED]


def test_a_defect_does_not_hide_what_may_be_alive(platform, journal: Journal, runs: list[Run]) -> None:

    platform.faults["delete"] = [ApiError("delete-deployment", status=500, detail="no")] * 100_000
    impatient = Lifecycle(platform, journal, patience=Patience(0.05, 0.0, 0.05, 0.0, 0.001))

    async def broken(run: Run, ready: Ready) -> None:
        raise ZeroDivisionError("a defect")

    async def carry() -> SweepOutcome:
        runner = SweepRunner(
            impatient, measure=broken, keep_logs=lambda run_id, lines: "log", interrupts=Interrupts()
        )
        return await runner.run(runs[:1])

    with pytest.raises(LeftRunningError, match=r"harness-0 \(id-0\).*ZeroDivisionError: a defect"):
        asyncio.run(carry())


def test_a_journal_is_written_by_a_clock_that_is_not_set_back(tmp_path: Path, monkeypatch) -> None:

    with Journal.create(tmp_path / "journal.sqlite") as journal:
        journal.append("sweep-started")
        monkeypatch.setattr(time, "time", lambda: 0.0)
        journal.append("sweep-finished")
        first, second = journal.events()
    assert 0.0 <= second.at_unix - first.at_unix < 60.0
