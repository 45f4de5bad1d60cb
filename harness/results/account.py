"""What became of every run a sweep planned, read off its journal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from harness.plan.cells import Cell
from harness.results.journal import Event
from harness.results.prices import PriceTable
from harness.results.spending import Paid, Spent, paid_stretches, spent


class State(StrEnum):
    """How a run ended. ``INTERRUPTED``: begun, not settled; ``NOT_STARTED``: the sweep ended before its turn."""

    MEASURED = "measured"
    REFUSED = "refused"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"
    NOT_STARTED = "not started"


@dataclass(frozen=True, slots=True)
class RunAccount:
    """One run: its state, why (None for a measured one), and what the journal says of its deployment.

    ``phase`` is where a failed run failed; ``time_to_ready_s`` is from the create to a working completion, None when
    it never came to that; ``points`` are the load levels whose records were finished; ``deleted`` is False while a
    deployment may still be alive, None when none was ever intended; ``rule`` is the lint rule that catches the failure.
    ``searches`` are what its searches found, ``skipped_levels`` the levels passed over, as the journal has them.
    """

    run_id: str
    cell_id: str
    repeat: int
    state: State = State.NOT_STARTED
    cause: str | None = None
    detail: str | None = None
    phase: str | None = None
    time_to_ready_s: float | None = None
    points: tuple[int, ...] = ()
    log_file: str | None = None
    deleted: bool | None = None
    rule: str | None = None
    searches: tuple[Mapping[str, Any], ...] = ()
    skipped_levels: tuple[Mapping[str, Any], ...] = ()

    @property
    def reason(self) -> str | None:
        """Cause and detail in one line, the cause not twice, and where to read of the lint rule."""
        repeated = self.cause and self.detail and self.detail.startswith(self.cause)
        told = ": ".join(part for part in (None if repeated else self.cause, self.detail) if part)
        return (f"{told} (harness explain {self.rule})" if self.rule else told) or None


@dataclass(frozen=True, slots=True)
class SweepAccount:
    """Every planned run in the plan's order, repeats together. ``finished`` is False for a partial sweep.

    ``interrupted_by`` names the signal that ended it, ``started_unix`` and ``ended_unix`` are the first and last event.
    ``started`` is what the latest attempt said of itself as it began: its terms, its cloud.
    ``paid`` is for how long deployments had GPUs, those of runs that are in no plan any more included.
    """

    runs: tuple[RunAccount, ...]
    finished: bool
    interrupted_by: str | None
    started_unix: float | None
    ended_unix: float | None
    paid: tuple[Paid, ...] = ()
    started: Mapping[str, Any] = field(default_factory=dict)

    def spent(self, prices: PriceTable | None = None) -> Spent:
        """GPU-hours and cost of all deployments, those that may still be alive up to the last event."""
        return spent(self.paid, prices, now_unix=self.ended_unix or 0.0)

    def counts(self) -> dict[str, int]:
        """Number of runs in each state that occurs, in the order of State."""
        found = {state.value: sum(run.state is state for run in self.runs) for state in State}
        return {state: count for state, count in found.items() if count}


SETTLING: Mapping[str, State] = {
    "measured": State.MEASURED,
    "cell-refused": State.REFUSED,
    "failed": State.FAILED,
    "skipped": State.SKIPPED,
}
BEGINNING = ("create-intended", "created", "adopted", "provisioning", "ready", "measuring-started", "retried")


def account(cells: Iterable[Cell], *, repeats: int, events: Iterable[Event]) -> SweepAccount:
    """The account of a sweep of these cells. A refusal is of the cell: all its repeats."""
    cells = list(dict.fromkeys(cells))
    runs = {
        f"{cell.id}-r{repeat}": RunAccount(f"{cell.id}-r{repeat}", cell.id, repeat)
        for cell in cells
        for repeat in range(repeats)
    }
    finished, interrupted_by = False, None
    started: Mapping[str, Any] = {}
    events = list(events)
    for event in events:
        if event.kind == "sweep-finished":
            finished = True
        elif event.kind == "sweep-interrupted":
            interrupted_by = str(event.data.get("signal", "an interrupt"))
        elif event.kind in ("sweep-started", "sweep-resumed"):
            finished, interrupted_by = False, None
            started = event.data if event.kind == "sweep-started" else started
        for run_id in _targets(event, runs):
            runs[run_id] = _after(runs[run_id], event)
    return SweepAccount(
        runs=tuple(runs.values()),
        finished=finished and interrupted_by is None,
        interrupted_by=interrupted_by,
        started_unix=events[0].at_unix if events else None,
        ended_unix=events[-1].at_unix if events else None,
        paid=tuple(paid_stretches(events, cells)),
        started=started,
    )


def _targets(event: Event, runs: Mapping[str, RunAccount]) -> list[str]:
    if event.kind == "cell-refused":
        cell_id = event.data.get("cell_id") or (event.run_id or "").rsplit("-r", 1)[0]
        return [run_id for run_id, run in runs.items() if run.cell_id == cell_id]
    return [event.run_id] if event.run_id in runs and event.run_id is not None else []


def _after(run: RunAccount, event: Event) -> RunAccount:
    data = event.data
    if event.kind in SETTLING and run.state is not State.MEASURED:
        settled = SETTLING[event.kind]
        if settled is State.MEASURED:
            return replace(run, state=settled, cause=None, detail=None, phase=None)
        return replace(
            run,
            state=settled,
            cause=data.get("cause", data.get("reason")),
            detail=data.get("detail") or "; ".join(data.get("diagnostics", ())) or None,
            phase=data.get("phase"),
            rule=data.get("rule"),
        )
    if event.kind in BEGINNING and run.state in (State.NOT_STARTED, State.FAILED, State.SKIPPED):
        run = replace(run, state=State.INTERRUPTED, cause=None, detail=None, phase=None)
    if event.kind == "ready" and not data.get("resumed"):
        run = replace(run, time_to_ready_s=data.get("time_to_ready_s"))
    elif event.kind == "point-finished":
        run = replace(run, points=tuple(sorted({*run.points, int(data["point"])})))
    elif event.kind == "search-ended":
        run = replace(run, searches=_latest(run.searches, data, key="level"))
    elif event.kind == "level-skipped":
        run = replace(run, skipped_levels=_latest(run.skipped_levels, data, key="point"))
    elif event.kind == "engine-log":
        run = replace(run, log_file=data.get("file"))
    elif event.kind == "invalidated":
        run = RunAccount(run.run_id, run.cell_id, run.repeat, deleted=run.deleted)
    elif event.kind in ("create-intended", "adopted", "found-late", "created"):
        run = replace(run, deleted=False)
    elif event.kind in ("deleted", "handed-over"):
        run = replace(run, deleted=True)
    return run


def _latest(
    known: tuple[Mapping[str, Any], ...], data: Mapping[str, Any], *, key: str
) -> tuple[Mapping[str, Any], ...]:
    """With ``data`` in the place of what was said of the same before: a resumed run says it again."""
    return (*(each for each in known if each[key] != data[key]), data)
