"""One deployment from intent to proof of its end, every step journaled before and after.

The rule of this file: nothing is created before its intent is on disk, and nothing created is forgotten before
a lookup by id has said that it is gone. A journal that cannot be written keeps nothing from being deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import (
    ApiError,
    EngineStartError,
    HarnessError,
    InternalError,
    NotFoundError,
    OperationFailed,
    PlatformError,
)
from harness.plan.cells import Cell
from harness.results.journal import Journal, JournalError
from harness.sweep.deployers import Deployer, Ready, Run
from harness.sweep.interrupts import CreatedWhileStopping, finish_first
from harness.sweep.states import Action, Ledger, Life, apply, next_action, unproven

Notice = Callable[[str, str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each step may take, in seconds. ``poll_s`` is the pause between two looks at a deletion."""

    delete_s: float = 600.0
    find_s: float = 60.0
    resend_s: float = 60.0
    poll_s: float = 1.0
    retry_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal event as the ledger reads it."""

    kind: str
    run_id: str | None
    data: Mapping[str, Any]


class Lifecycle:
    """Performs the actions of ``sweep.states`` for runs, keeps their ledgers, tells ``notice`` of each event."""

    def __init__(
        self,
        deployer: Deployer,
        journal: Journal,
        *,
        ledgers: Mapping[str, Ledger] | None = None,
        patience: Patience | None = None,
        notice: Notice = lambda run_id, kind, data: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.deployer = deployer
        self.ledgers: dict[str, Ledger] = dict(ledgers or {})
        self.patience = patience or Patience()
        self.journal_trouble: JournalError | None = None
        self._journal = journal
        self._notice = notice
        self._sleep = sleep

    def ledger(self, run_id: str) -> Ledger:
        """What is known of a run; a blank ledger for one never heard of."""
        return self.ledgers.get(run_id) or Ledger(run_id)

    def record(self, run_id: str, kind: str, **data: Any) -> None:
        """Journal one event, then let it move the ledger, then say so. JournalError when it is not on disk."""
        self._journal.append(kind, run_id=run_id, data=data)
        self._moved(run_id, kind, data)

    def note(self, run_id: str, kind: str, **data: Any) -> None:
        """Record what has happened already: the ledger moves even when the journal cannot be written any more.

        What the journal then lacks is at worst a deployment's end, which a clean-up finds out.
        """
        try:
            self._journal.append(kind, run_id=run_id, data=data)
        except JournalError as error:
            self.journal_trouble = self.journal_trouble or error
        self._moved(run_id, kind, data)

    def _moved(self, run_id: str, kind: str, data: Mapping[str, Any]) -> None:
        self.ledgers[run_id] = apply(self.ledger(run_id), Entry(kind, run_id, data))
        self._notice(run_id, kind, data)

    async def provision(self, run: Run) -> Ready:
        """A ready endpoint for the run. On any error the deployment, if there is one, is left to ``tear_down``."""
        action = next_action(self.ledger(run.id))
        if action is Action.CREATE:
            await self._create(run)
        elif action is Action.FIND:
            await self._find(run.id, run.name)
        deployment_id = self.ledger(run.id).deployment_id
        if self.ledger(run.id).life is not Life.ALIVE or deployment_id is None:
            raise PlatformError(f"create-deployment of {run.name!r} left no deployment behind")
        return await self._wait_ready(run, deployment_id)

    async def move(self, owner_id: str, run: Run) -> Ready:
        """The owner's deployment, turned into this run's and ready. On any error it is this run's to tear down."""
        owner = self.ledger(owner_id)
        if owner.life is not Life.ALIVE or owner.deployment_id is None:
            raise InternalError(f"run {owner_id} has no deployment to hand over")
        handed = {"name": owner.name, "deployment_id": owner.deployment_id, "owner": owner_id}
        self.record(run.id, "adopted", **handed, **shape(run.cell), paused=owner.paused)
        self.note(owner_id, "handed-over", to=run.id)
        if owner.paused:
            self.record(run.id, "scale-intended", replicas=run.cell.replicas)
        await self.deployer.move(run, owner.deployment_id)
        return await self._wait_ready(run, owner.deployment_id)

    async def pause(self, run_id: str) -> bool:
        """Scale the run's deployment to zero; False when that is refused, and it idles on."""
        deployment_id = self.ledger(run_id).deployment_id
        if deployment_id is None:
            raise InternalError(f"run {run_id} has no deployment to scale")
        self.record(run_id, "scale-intended", replicas=0)
        try:
            await self.deployer.scale(deployment_id, replicas=0)
        except (ApiError, OperationFailed):
            return False
        self.record(run_id, "scaled", replicas=0)
        return True

    async def resume(self, run: Run) -> Ready:
        """The run's own deployment back from zero and ready. On any error it is left to ``tear_down``."""
        deployment_id = self.ledger(run.id).deployment_id
        if deployment_id is None:
            raise InternalError(f"run {run.id} has no deployment to scale")
        self.record(run.id, "scale-intended", replicas=run.cell.replicas)
        await self.deployer.scale(deployment_id, replicas=run.cell.replicas)
        self.record(run.id, "scaled", replicas=run.cell.replicas)
        return await self._wait_ready(run, deployment_id, resumed=True)

    async def confirm(self, run: Run) -> None:
        """That what was measured is what was asked for, to the end; EngineStartError otherwise, and it does not count.

        A platform that cannot be asked just now says nothing against it.
        """
        deployment_id = self.ledger(run.id).deployment_id
        if deployment_id is None:
            return
        try:
            await self.deployer.check(run, deployment_id)
        except EngineStartError as error:
            self.record(run.id, "invalidated", reason=str(error))
            raise
        except PlatformError:
            return

    async def _wait_ready(self, run: Run, deployment_id: str, *, resumed: bool = False) -> Ready:
        ready = await self.deployer.wait_ready(
            run, deployment_id, lambda state: self.record(run.id, "provisioning", state=state)
        )
        self.record(
            run.id,
            "ready",
            time_to_ready_s=ready.time_to_ready_s,
            url=ready.endpoint.url,
            facts=dict(ready.facts),
            **({"resumed": True} if resumed else {}),
        )
        return ready

    async def _create(self, run: Run) -> None:
        """Intent on disk, then the call; a refusal proves absence, any other failure asks for a lookup."""
        self.record(run.id, "create-intended", name=run.name, cell_id=run.cell.id, **shape(run.cell))
        try:
            deployment_id = await finish_first(self.deployer.create(run))
        except ApiError as error:
            if error.status < 500:
                self.note(run.id, "deleted", never_created=True)
                raise
            if not await self._find(run.id, run.name):
                raise
        except PlatformError:
            if not await self._find(run.id, run.name):
                raise
        except CreatedWhileStopping as stop:
            self.note(run.id, "created", deployment_id=stop.args[0])
            raise
        else:
            self.note(run.id, "created", deployment_id=deployment_id)

    async def _find(self, run_id: str, name: str) -> bool:
        """Look for a deployment of this exact name until found or ``find_s`` has passed; journal which."""
        deadline = self._now() + self.patience.find_s
        while True:
            found = await self.deployer.find(name)
            if found is not None:
                self.note(run_id, "created", deployment_id=found, found_by_name=True)
                return True
            if self._now() >= deadline:
                self.note(run_id, "deleted", never_created=True, not_found=True)
                return False
            await self._sleep(self.patience.poll_s)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def tear_down(self, run_id: str) -> None:
        """Delete what exists of the run and wait for the proof.

        Raises the last error once ``delete_s`` has passed; the ledger then still says what may be alive.
        """
        deadline = self._now() + self.patience.delete_s
        error: HarnessError = PlatformError(f"run {run_id} is still there after its deletion")
        while self._now() < deadline:
            try:
                if await self._step_down(run_id):
                    return
            except PlatformError as refusal:
                error = refusal
                self.note(run_id, "delete-refused", detail=str(refusal))
                await self._sleep(self.patience.retry_s)
        raise error

    async def look_again(self) -> list[str]:
        """Tear down what was created late, after the lookup had given up; the runs it was of.

        A run with another deployment of its own is left to the next look. Raises as ``tear_down`` does.
        """
        late = []
        for name, run_id in unproven(self._journal.events()).items():
            if self.ledger(run_id).life is Life.GONE and (found := await self.deployer.find(name)):
                late.append(run_id)
                self.note(run_id, "found-late", name=name, deployment_id=found)
                await self.tear_down(run_id)
        return late

    async def _step_down(self, run_id: str) -> bool:
        """One action towards the end; True when nothing is left to do."""
        ledger = self.ledger(run_id)
        action = next_action(ledger, stopping=True)
        if action is Action.NOTHING:
            return True
        if action is Action.FIND:
            if ledger.name is None:
                raise InternalError(f"run {run_id} has an intent without a name")
            await self._find(run_id, ledger.name)
            return False
        if ledger.deployment_id is None:
            raise InternalError(f"run {run_id} is alive without an id")
        if action is Action.DELETE:
            await self._delete(run_id, ledger.deployment_id)
            return False
        return await self._confirm(run_id, ledger.deployment_id)

    async def _delete(self, run_id: str, deployment_id: str) -> None:
        self.note(run_id, "delete-intended")
        try:
            await self.deployer.delete(deployment_id)
        except NotFoundError:
            self.note(run_id, "deleted")
        else:
            self.note(run_id, "delete-sent")

    async def _confirm(self, run_id: str, deployment_id: str) -> bool:
        """Wait for the proof; after ``resend_s`` without it the deletion counts as lost and is sent again."""
        again = self._now() + self.patience.resend_s
        while self._now() < again:
            if await self.deployer.is_gone(deployment_id):
                self.note(run_id, "deleted")
                return True
            await self._sleep(self.patience.poll_s)
        self.note(run_id, "delete-refused", detail="accepted, but the deployment is still there")
        return False

    async def keep_logs(self, run_id: str) -> list[str]:
        """The engine's last log lines; [] when there are none to be had. Never raises for a platform failure."""
        deployment_id = self.ledger(run_id).deployment_id
        if deployment_id is None:
            return []
        try:
            return list(await self.deployer.logs(deployment_id))
        except HarnessError:
            return []


def shape(cell: Cell) -> dict[str, Any]:
    """What of a cell is paid for, as the journal has it."""
    return {"gpu_type": cell.gpu_type, "gpu_count": cell.gpu_count, "replicas": cell.replicas}
