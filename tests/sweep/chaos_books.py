"""What has been seen of sweeps under chaos, and the books that are kept of it."""

from __future__ import annotations

import hashlib
import random
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from harness.results.journal import Event, read_events
from harness.sweep.opening import plan_runs
from harness.sweep.states import Result, leftovers, replay
from tests.sweep.chaos_round import Task

QUIET_ROUNDS = 25
SETTLING = ("measured", "failed", "skipped", "cell-refused")


@dataclass
class Counts:
    """What is printed in the end; the second half of the numbers has to be 0."""

    sweeps: int = 0
    rounds: int = 0
    runs: int = 0
    measured: int = 0
    points_finished: int = 0
    deployments_created: int = 0
    deployments_left: int = 0
    deployments_unintended: int = 0
    foreign_deleted: int = 0
    points_lost: int = 0
    unaccounted: int = 0
    defects: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    blows: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    scaled_to_zero: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        """True when nothing leaked and nothing was lost."""
        return not (
            self.deployments_left
            or self.deployments_unintended
            or self.foreign_deleted
            or self.points_lost
            or self.unaccounted
            or self.defects
        )


@dataclass
class Sweep:
    """One sweep, what may still happen to it, and what has been seen of it so far."""

    number: int
    task: Task
    draw: random.Random
    wild_rounds: int
    round: int = 0
    cleans: bool = False
    finished: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    pid: int = 0
    started_at: float = 0.0
    kills: list[tuple[float, signal.Signals]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.task.folder

    def events(self) -> list[Event]:
        journal = self.folder / "journal.sqlite"
        return read_events(journal) if journal.exists() else []


def note(sweep: Sweep, text: str) -> None:
    with sweep.folder.with_suffix(".txt").open("a", encoding="utf-8") as file:
        file.write(f"round {sweep.round}: {text}\n")


def look(sweep: Sweep, counts: Counts) -> bool:
    """Holds the folder against what was known before; True when the sweep is done with."""
    events = sweep.events()
    present = {
        str(event.data["file"]): digest(sweep.folder / str(event.data["file"]))
        for event in events
        if event.kind == "point-finished"
    }
    lost = [file for file, known in sweep.finished.items() if present.get(file) != known]
    lost += [file for file, found in present.items() if found is None]
    for file in lost:
        note(sweep, f"lost {file}")
    counts.points_lost += len(lost)
    sweep.finished |= {file: found for file, found in present.items() if found is not None}
    is_over = sweep.exit_code in (0, 1) and not sweep.cleans
    if sweep.round < sweep.wild_rounds:
        return False
    if not is_over and sweep.round < sweep.wild_rounds + QUIET_ROUNDS:
        sweep.cleans = bool(leftovers(replay(events).values())) and not sweep.cleans
        return False
    account(sweep, events, counts)
    return True


def digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def account(sweep: Sweep, events: list[Event], counts: Counts) -> None:
    """Every run the file asks for has exactly one outcome, and a reason where it was not measured."""
    ledgers = replay(events)
    plan = sweep.task.plan
    cells = [*plan.accepted, *(refusal.cell for refusal in plan.refused)]
    counts.sweeps += 1
    counts.rounds += sweep.round
    counts.points_finished += len(sweep.finished)
    counts.scaled_to_zero += sum(event.kind == "scaled" and not event.data["replicas"] for event in events)
    for run in plan_runs(cells, 1, token=""):
        counts.runs += 1
        ledger = ledgers.get(run.id)
        result = Result.PENDING if ledger is None else ledger.result
        reasons = since_last_try([event.kind for event in events if event.run_id == run.id])
        points = sum(file.startswith(f"records/{run.id}-") for file in sweep.finished)
        wants_points = len(sweep.task.config.load) if result is Result.MEASURED else points
        is_whole = len(reasons) == 1 and points == wants_points
        if ledger is None or not ledger.settled or not is_whole:
            counts.unaccounted += 1
            note(sweep, f"{run.id} ended as {ledger} with {reasons}, {points} points")
            continue
        counts.measured += result is Result.MEASURED
        if result is not Result.MEASURED and not ledger.cause:
            counts.unaccounted += 1
            note(sweep, f"{run.id} is {result} for no reason")
        because = "" if result in (Result.MEASURED, Result.SKIPPED) else f": {ledger.cause}"
        counts.outcomes[f"{result}{because}"] += 1


def since_last_try(kinds: list[str]) -> list[str]:
    last = max((place for place, kind in enumerate(kinds) if kind == "retried"), default=-1)
    return [kind for kind in kinds[last + 1 :] if kind in SETTLING]
