"""From a checked plan and an opened folder to an outcome on disk: carries out the runs, closes the books."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import HarnessError, LeftRunningError
from harness.plan.config import SweepConfig
from harness.results.clock import elapsed_s
from harness.results.files import write_bytes
from harness.results.journal import Journal, JournalError
from harness.results.store import RunFolder
from harness.sweep.budget import Budget, Meter
from harness.sweep.deployers import Deployer, Run
from harness.sweep.estimates import Timing
from harness.sweep.interrupts import Interrupts, StopRequested, race
from harness.sweep.lifecycle import Lifecycle, Notice, Patience
from harness.sweep.loads import levels, workload
from harness.sweep.measure import Instruments, LoadPlan, Measurer, OnProgress
from harness.sweep.opening import plan_runs
from harness.sweep.outcome import SweepOutcome
from harness.sweep.pacing import Pacing
from harness.sweep.preflight import Preflight
from harness.sweep.runner import Limits, SweepRunner
from harness.sweep.states import Ledger, Result, leftovers, unproven

WATCH_S = 10.0  # how often the time limit is looked at: an event loop's own timers stand still while a machine sleeps


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a sweep is carried out. ``where`` goes into the journal so that a clean-up finds the same cloud again.

    ``clock`` is the cloud's time in seconds: limits, turns and ``ttl_s`` go by it, as the journal's dates do, so that
    what is held to a limit is what is paid for. With a budget and ``times`` deployments are made when their load
    test's turn is near. ``ttl_s`` is for this attempt as a whole: it was begun ``running_s`` ago. ``token`` is what
    the names of this attempt's deployments have in common; None draws one.
    """

    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    budget: Budget | None = None
    times: Timing | None = None
    ttl_s: float | None = None
    running_s: float = 0.0
    clock: Callable[[], float] = elapsed_s
    where: Mapping[str, Any] = field(default_factory=dict)
    notice: Notice = lambda run_id, kind, data: None
    on_progress: OnProgress = lambda run_id, point, progress: None
    on_interrupt: Callable[[str], None] = lambda name: None
    instruments: Instruments = field(default_factory=Instruments)
    token: str | None = None


async def conduct(
    config: SweepConfig,
    plan: Preflight,
    deployer: Deployer,
    folder: RunFolder,
    journal: Journal,
    how: Conduct,
    *,
    ledgers: Mapping[str, Ledger] | None = None,
) -> SweepOutcome:
    """Carry out the accepted cells; every deployment is gone or named in the outcome when this returns."""
    token = how.token or secrets.token_hex(4)
    runs = plan_runs(plan.accepted, config.repeats, token=token)
    started = {"token": token, "runs": len(runs), "deployer": deployer.kind, "simulated": deployer.simulated}
    journal.append("sweep-started", data={**started, **how.where})
    interrupts = Interrupts(on_first=_journaled(journal, how.on_interrupt))
    lifecycle = Lifecycle(deployer, journal, ledgers=ledgers, patience=how.patience, notice=_metered(how))
    load = LoadPlan(levels(config), workload(config.workload), config.workload.seed, token, config.slo)
    runner = SweepRunner(
        lifecycle,
        measure=Measurer(
            load,
            folder,
            lifecycle,
            simulated=deployer.simulated,
            on_progress=how.on_progress,
            instruments=how.instruments,
        ),
        keep_logs=_log_writer(folder),
        interrupts=interrupts,
        limits=how.limits,
        admit=_admission(how),
        pacing=_pacing(how),
    )
    left_s = None if how.ttl_s is None else how.ttl_s - how.running_s
    with interrupts.installed(), _Watchdog(interrupts, left_s, clock=how.clock):
        trouble = await _end_leftovers(lifecycle, interrupts)
        if trouble is None:
            _take_up_again(lifecycle, runs)
            outcome = await _looked_again(lifecycle, await runner.run(runs), interrupts)
        else:
            known = dict(lifecycle.ledgers)
            outcome = SweepOutcome(known, leftovers(known.values()), interrupts.first_signal, trouble)
    outcome.unfound = tuple(unproven(journal.events()))
    try:
        journal.append("sweep-finished", data={"counts": counts(outcome.ledgers.values(), runs)})
    except JournalError as error:
        outcome.ended_by = outcome.ended_by or error
    return outcome


async def _end_leftovers(lifecycle: Lifecycle, interrupts: Interrupts) -> HarnessError | None:
    """Delete all that an earlier, dead attempt left alive; the first error that kept one from going, if any did."""
    left = [ledger.run_id for ledger in leftovers(lifecycle.ledgers.values())]

    async def end_all() -> list[BaseException | None]:
        return await asyncio.gather(*(lifecycle.tear_down(run) for run in left), return_exceptions=True)

    try:
        ended = await race(end_all(), interrupts.abandon, StopRequested)
    except StopRequested:
        return LeftRunningError("told to let go before everything of the last attempt was gone")
    for error in ended:
        if isinstance(error, BaseException) and not isinstance(error, HarnessError):
            raise error
    return next((error for error in ended if isinstance(error, HarnessError)), lifecycle.journal_trouble)


async def _looked_again(lifecycle: Lifecycle, outcome: SweepOutcome, interrupts: Interrupts) -> SweepOutcome:
    """The outcome once creates without an answer were looked for a last time, unless told to let go."""
    trouble: HarnessError | None = None
    try:
        await race(lifecycle.look_again(), interrupts.abandon, StopRequested)
    except StopRequested:
        pass
    except HarnessError as error:
        trouble = error
    known = dict(lifecycle.ledgers)
    ended_by = outcome.ended_by or trouble
    return SweepOutcome(known, leftovers(known.values()), interrupts.first_signal, ended_by)


def _take_up_again(lifecycle: Lifecycle, runs: Sequence[Run]) -> None:
    """Runs that failed or were skipped in an earlier attempt get another chance, under new names."""
    for run in runs:
        if lifecycle.ledger(run.id).result in (Result.FAILED, Result.SKIPPED):
            lifecycle.record(run.id, "retried")


def _journaled(journal: Journal, then: Callable[[str], None]) -> Callable[[str], None]:
    def on_first(name: str) -> None:
        with contextlib.suppress(JournalError):  # what cannot be written there is told by the outcome
            journal.append("sweep-interrupted", data={"signal": name})
        then(name)

    return on_first


def _admission(how: Conduct) -> Callable[[Run], str | None]:
    budget = how.budget
    return lambda run: None if budget is None else budget.admit(run.id, now_s=how.clock())


def _pacing(how: Conduct) -> Pacing | None:
    """The timetable of the load tests, by what the budget expects of them."""
    if how.budget is None or how.times is None:
        return None
    return Pacing(
        {run_id: estimate.load_s for run_id, estimate in how.budget.estimates.items()},
        cold=how.times.cold,
        warm=how.times.warm,
        down_s=how.times.down_s,
        clock=how.clock,
        slots=how.limits.parallel_measurements,
    )


def _metered(how: Conduct) -> Notice:
    """The caller's notice, told after the budget has heard the event."""
    if how.budget is None:
        return how.notice
    meter = Meter(how.budget, clock=how.clock)

    def notice(run_id: str, kind: str, data: Mapping[str, Any]) -> None:
        meter(run_id, kind, data)
        how.notice(run_id, kind, data)

    return notice


def _log_writer(folder: RunFolder) -> Callable[[str, Sequence[str]], str]:
    def write(run: str, lines: Sequence[str]) -> str:
        path = folder.log_path(run)
        write_bytes(path, ("\n".join(lines) + "\n").encode())
        return f"logs/{path.name}"

    return write


class _Watchdog:
    """Asks to stop after ``left_s``, as a signal would; time for which the machine slept counts."""

    def __init__(self, interrupts: Interrupts, left_s: float | None, *, clock: Callable[[], float]) -> None:
        self._interrupts = interrupts
        self._clock = clock
        self._ends_s = None if left_s is None else clock() + left_s
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        self._look()

    def _look(self) -> None:
        if self._ends_s is None:
            return
        left_s = self._ends_s - self._clock()
        if left_s <= 0:
            self._interrupts.notice("the time limit")
        else:
            again_s = min(left_s, WATCH_S)
            self._timer = asyncio.get_running_loop().call_later(again_s, self._look)

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()


def counts(ledgers: Iterable[Ledger], runs: Sequence[Run]) -> dict[str, int]:
    """Runs by result; the planned ones that were never begun count as pending."""
    by_id = {ledger.run_id: ledger.result for ledger in ledgers}
    for run in runs:
        by_id.setdefault(run.id, Result.PENDING)
    return {result.value: sum(each is result for each in by_id.values()) for result in Result}
