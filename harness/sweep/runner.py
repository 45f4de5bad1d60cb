"""The run loop: provision, measure, tear down, as a pipeline that survives failures and interrupts.

Deployments overlap up to a limit; measurements do not, unless told otherwise. Whatever happens to a run, its
tear-down is awaited, and it ends with one event that accounts for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from harness.errors import (
    ApiError,
    EndpointError,
    EngineStartError,
    ForbiddenError,
    HarnessError,
    LeftRunningError,
    NetworkError,
    OperationFailed,
    QuotaError,
)
from harness.results.files import StoreError
from harness.results.journal import JournalError
from harness.sweep.classify import classify_error
from harness.sweep.deployers import Ready, Run
from harness.sweep.failures import NO_CAPACITY
from harness.sweep.grouping import group_runs
from harness.sweep.interrupts import Interrupts, StopRequested
from harness.sweep.lifecycle import Lifecycle
from harness.sweep.outcome import SweepOutcome, may_be_running
from harness.sweep.pacing import Pacing
from harness.sweep.pool import GpuPool
from harness.sweep.states import Action, Life, leftovers, next_action
from harness.sweep.turns import Turns

Measure = Callable[[Run, Ready], Awaitable[None]]
KeepLogs = Callable[[str, Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Limits:
    """``parallel_deployments`` may exist at a time, ``parallel_measurements`` may load at a time.

    ``family_gpus`` bounds the GPUs held of a family, replicas counted; what may be launched at all: ``sweep.budget``.
    ``reuse`` moves one deployment from run to run where GPUs and model are the same.
    """

    parallel_deployments: int = 2
    parallel_measurements: int = 1
    family_gpus: Mapping[str, int] = field(default_factory=dict)
    reuse: bool = False


class SweepRunner:
    """Carries runs from plan to proof of deletion; ``admit`` says before each launch whether it may go ahead.

    ``pacing`` knows when each load test's turn will come; without it every deployment is made as soon as it may be.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        *,
        measure: Measure,
        keep_logs: KeepLogs,
        interrupts: Interrupts,
        limits: Limits | None = None,
        admit: Callable[[Run], str | None] = lambda run: None,
        pacing: Pacing | None = None,
    ) -> None:
        self._lifecycle = lifecycle
        self._measure = measure
        self._keep_logs = keep_logs
        self._interrupts = interrupts
        self._limits = limits or Limits()
        self._admit = admit
        self._turns = Turns(lifecycle, pacing)
        self._pool = GpuPool(self._limits.family_gpus)
        self._measuring = asyncio.Semaphore(self._limits.parallel_measurements)
        self._exhausted: dict[tuple[str, int], str] = {}
        self._ended_by: HarnessError | None = None

    async def run(self, runs: Sequence[Run]) -> SweepOutcome:
        """Carry out all runs in order; returns when nothing of ours is left, or when told to let go."""
        groups = group_runs(runs) if self._limits.reuse else [[run] for run in runs]
        waiting = iter(groups)
        workers = [
            asyncio.create_task(self._work(waiting))
            for _ in range(max(1, min(self._limits.parallel_deployments, len(groups))))
        ]
        everything = asyncio.create_task(_wait_all(workers), name="sweep")
        abandoned = asyncio.create_task(_wait_for(self._interrupts.abandon), name="abandon")
        try:
            await asyncio.wait({everything, abandoned}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (abandoned, *workers):
                task.cancel()
            ended = await asyncio.gather(*workers, return_exceptions=True)
        for result in ended:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                self._raise(result)
        return self._outcome()

    def _raise(self, defect: BaseException) -> NoReturn:
        """The defect itself, unless something may be alive: that has to be said first."""
        left = leftovers(self._lifecycle.ledgers.values())
        if left:
            told = f"{type(defect).__name__}: {defect}"
            raise LeftRunningError(f"{may_be_running(left)}; ended by a defect: {told}") from defect
        raise defect

    def _outcome(self) -> SweepOutcome:
        ledgers = self._lifecycle.ledgers
        ended_by = self._ended_by or self._lifecycle.journal_trouble
        return SweepOutcome(
            dict(ledgers), leftovers(ledgers.values()), self._interrupts.first_signal, ended_by
        )

    async def _work(self, waiting: Iterator[Sequence[Run]]) -> None:
        for group in waiting:
            if self._stopping():
                return
            try:
                await self._carry(group)
            except Exception:
                self._interrupts.notice("a defect")
                raise

    def _stopping(self) -> bool:
        trouble = self._ended_by or self._lifecycle.journal_trouble
        return self._interrupts.stop.is_set() or trouble is not None

    async def _carry(self, group: Sequence[Run]) -> None:
        """Runs that may share a deployment, start to end; what the last of them leaves is torn down."""
        wanted = [run for run in group if self._is_due(run)]
        if not wanted:
            return
        family, gpus = wanted[0].cell.gpu_type, max(run.cell.gpus for run in wanted)
        async with self._pool.hold(family, gpus):
            try:
                await self._carry_in_turn(wanted)
            finally:
                for run in wanted:  # at most one of them still has a deployment
                    await self._end(run)

    async def _carry_in_turn(self, wanted: Sequence[Run]) -> None:
        """One run after the other, each on the deployment of the one before where that is fit for it."""
        before: Run | None = None
        for run in wanted:
            if self._stopping():
                return
            reason = self._refusal(run)
            if reason is not None:
                self._lifecycle.note(run.id, "skipped", reason=reason)
            elif await self._carry_one(run, before):
                before = run
            else:
                for ended in (run, before):
                    if ended is not None:
                        await self._end(ended)
                before = None

    def _is_due(self, run: Run) -> bool:
        """False for a run that is settled, or that can never be held within the quotas: that one is skipped."""
        if next_action(self._lifecycle.ledger(run.id)) is Action.NOTHING:
            return False
        reason = self._pool.never_fits(run.cell.gpu_type, run.cell.gpus)
        if reason is not None:
            self._lifecycle.note(run.id, "skipped", reason=reason)
        return reason is None

    def _refusal(self, run: Run) -> str | None:
        return self._exhausted.get((run.cell.gpu_type, run.cell.gpu_count)) or self._admit(run)

    async def _carry_one(self, run: Run, before: Run | None) -> bool:
        """One run; True when its deployment is fit for the next. A failure is the run's outcome."""
        self._turns.take_place(run)
        try:
            ready = await self._interrupts.unless_stopped(self._ready_in_time(run, before))
        except StopRequested:
            return False
        except HarnessError as error:
            self._account(run, error, phase=self._phase(run))
            return False
        else:
            return await self._measured(run, ready)
        finally:
            self._turns.leave(run)

    def _phase(self, run: Run) -> str:
        """Where a run failed that was not measured: before it had a deployment, or before that served."""
        return "start" if self._lifecycle.ledger(run.id).life is Life.ALIVE else "create"

    async def _measured(self, run: Run, ready: Ready) -> bool:
        """Load it when its turn has come; True when that went well."""
        try:
            async with self._measuring:
                if self._interrupts.stop.is_set():
                    raise StopRequested
                self._turns.begin(run)
                await self._interrupts.unless_stopped(self._load(run, ready))
            self._lifecycle.record(run.id, "measured")
        except StopRequested:
            return False
        except HarnessError as error:
            self._account(run, error, phase="load")
            return False
        return True

    async def _load(self, run: Run, ready: Ready) -> None:
        """The load test, and that all the while it was the deployment that was asked for."""
        try:
            await self._measure(run, ready)
        except NetworkError as error:  # of this endpoint, which says nothing of the platform
            await self._lifecycle.confirm(run)
            raise EndpointError(str(error)) from error
        except EndpointError:
            await self._lifecycle.confirm(run)
            raise
        await self._lifecycle.confirm(run)

    async def _ready_in_time(self, run: Run, before: Run | None) -> Ready:
        """A ready deployment when the load test's turn is near; none that waits for it longer than it would start."""
        await self._turns.come_near(run, before)
        began = self._turns.now()
        ready = await self._ready(run, before)
        if before is None:
            self._turns.learn(self._turns.now() - began)
        try:
            return await self._turns.spared(run, ready)
        except (ApiError, OperationFailed, EngineStartError):
            await self._lifecycle.tear_down(run.id)
            return await self._lifecycle.provision(run)

    async def _ready(self, run: Run, before: Run | None) -> Ready:
        """The deployment of the run before turned into this one's, where that works; a fresh one otherwise."""
        if before is not None:
            await self._save_logs(before.id)
            try:
                return await self._lifecycle.move(before.id, run)
            except (ApiError, OperationFailed, EngineStartError):
                await self._lifecycle.tear_down(run.id)
        return await self._lifecycle.provision(run)

    def _account(self, run: Run, error: HarnessError, *, phase: str) -> None:
        """The one event that says why a run was not measured, and what follows for the others."""
        failure = classify_error(error)
        told = {} if failure.rule is None else {"rule": failure.rule}
        if isinstance(error, QuotaError) or failure.cause == NO_CAPACITY:
            family = run.cell.gpu_type
            self._exhausted[family, run.cell.gpu_count] = f"no capacity for {family}: {error}"
        elif isinstance(error, ForbiddenError | NetworkError | StoreError | JournalError):
            self._ended_by = self._ended_by or error
        self._lifecycle.note(run.id, "failed", cause=failure.cause, detail=str(error), phase=phase, **told)

    async def _end(self, run: Run) -> None:
        """Keep the logs, delete, prove it; what will not go, or is let go of, is left to the outcome's list."""
        if self._interrupts.abandon.is_set() or not self._lifecycle.ledger(run.id).may_cost:
            return
        await self._save_logs(run.id)
        try:
            await self._lifecycle.tear_down(run.id)
        except HarnessError as error:
            self._ended_by = self._ended_by or error

    async def _save_logs(self, run_id: str) -> None:
        """Keep the engine's log; that it cannot be written keeps nothing from being deleted."""
        lines = await self._lifecycle.keep_logs(run_id)
        if lines:
            try:
                file = self._keep_logs(run_id, lines)
            except StoreError as error:
                self._ended_by = self._ended_by or error
            else:
                self._lifecycle.note(run_id, "engine-log", file=file)


async def _wait_all(tasks: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()
