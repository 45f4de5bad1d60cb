"""What goes on in the simulated zone after an operation was accepted: provisioning, restarts, removal, downloads.

One task a change. Times are the zone's seconds, drawn from a generator seeded by the deployment's name, so that
the order of events elsewhere does not move them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from harness.simulator.endpoint import VllmEndpoint
from harness.simulator.faults import Fault, Rule
from harness.simulator.inventory import DOWNLOAD_BYTES_PER_S, GATED_OWNERS
from harness.simulator.records import DeploymentRecord, ModelRecord, OperationRecord
from harness.simulator.startup import EndpointSpec, StartUp, start_up

if TYPE_CHECKING:
    from harness.simulator.cloud import Cloud

ACCEPT_S = (1.0, 3.0)
CREATE_S = (5.0, 20.0)
DELETE_S = (2.0, 8.0)
SCALE_DOWN_S = (1.0, 4.0)
ARGUMENT_FAILURE_S = 12.0


class Lifecycle:
    """The tasks under way in one zone."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Cancels every task and stops every engine."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for record in self._cloud.deployments.values():
            await self._stop_engine(record)

    def create(self, record: DeploymentRecord, operation: OperationRecord) -> None:
        """Accept, create, deploy; ``ready`` or ``error`` at the end."""
        self._pursue(record, operation, self._create(record, operation))

    def restart(
        self, record: DeploymentRecord, operation: OperationRecord, *, state: str, undo: Callable[[], None]
    ) -> None:
        """Stop the engine and start it as the record now says; with no replicas, only stop it.

        ``undo`` puts the record back as it was, should the operation fail before the engine is touched.
        """
        _cancel(record.task)
        self._pursue(record, operation, self._restart(record, operation, state, undo))

    async def crash(self, record: DeploymentRecord, *, down_s: float) -> None:
        """End a serving engine as a crash would; the state stays ``ready``, as nobody tells the API."""
        endpoint = record.endpoint
        if endpoint is not None:
            await self._stop_engine(record)
            record.task = self._spawn(self._revive(record, endpoint.spec, down_s))

    def delete(self, record: DeploymentRecord, operation: OperationRecord) -> None:
        """Stop whatever goes on, then forget the deployment."""
        _cancel(record.task)
        self._pursue(record, operation, self._delete(record, operation))

    def download(self, model: ModelRecord, operation: OperationRecord, *, has_token: bool) -> None:
        """Download a model; ``error`` for a name that is no repository, or a gated one without a token."""
        self._spawn(self._download(model, operation, has_token))

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _pursue(
        self, record: DeploymentRecord, operation: OperationRecord, coroutine: Coroutine[Any, Any, None]
    ) -> None:
        """Runs a change of a deployment; a defect of the simulator ends it as a failure instead of hanging it."""

        def settle(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                message = f"the simulator failed: {type(error).__name__}: {error}"
                record.move_to("error", details=message)
                operation.end(failure=message)

        record.task = self._spawn(coroutine)
        record.task.add_done_callback(settle)

    async def _create(self, record: DeploymentRecord, operation: OperationRecord) -> None:
        generator = self._generator(record)
        clock = self._cloud.clock
        await clock.sleep(generator.uniform(*ACCEPT_S))
        if await self._failed_or_stuck(record, operation):
            record.move_to("error", details=operation.message or "")
            return
        if self._cloud.settings.create_ends_served:
            operation.interruptible = True
        else:
            operation.end()
        await self._linger(record, "creating", generator.uniform(*CREATE_S))
        await self._start_engine(record, operation, state="deploying")

    async def _restart(
        self, record: DeploymentRecord, operation: OperationRecord, state: str, undo: Callable[[], None]
    ) -> None:
        record.move_to(state)
        if await self._failed_or_stuck(record, operation):
            undo()
            record.move_to(
                "ready" if record.endpoint is not None else "error", details=operation.message or ""
            )
            return
        await self._stop_engine(record)
        if record.replicas == 0:
            await self._cloud.clock.sleep(self._generator(record).uniform(*SCALE_DOWN_S))
            record.move_to("ready")
            operation.end()
            return
        await self._start_engine(record, operation, state=state)

    async def _start_engine(
        self, record: DeploymentRecord, operation: OperationRecord, *, state: str
    ) -> None:
        """Through ``state`` to ``ready`` or ``error``, logging on the way; ends a pending operation."""
        clock = self._cloud.clock
        spec, started = self._plan_start(record)
        origin = clock.now()
        record.log = [
            (origin + delay, f"{record.name}-{replica}", text)
            for delay, text in started.lines
            for replica in range(min(record.replicas, 2))
        ]
        slow = self._draw(record, Fault.SLOW_START)
        await self._linger(record, state, started.duration_s * (slow.factor if slow else 1.0))
        if spec is None or not started.ok:
            record.move_to("error", details=started.state_details)
            if operation.state == "pending":
                operation.end(failure=started.state_details)
            return
        record.endpoint = await self._started(spec)
        record.url = f"{self._cloud.base_url}/deployments/{record.id}/v1"
        late = self._draw(record, Fault.URL_UNAVAILABLE)
        record.url_from = clock.now() + (late.seconds if late else 0.0)
        locked = self._draw(record, Fault.KEY_LATE)
        record.key_from = clock.now() + (locked.seconds if locked else 0.0)
        record.shown_parameters = () if self._draw(record, Fault.PARAMETERS_DROPPED) else None
        record.move_to("ready")
        if operation.state == "pending":
            operation.end()

    def _plan_start(self, record: DeploymentRecord) -> tuple[EndpointSpec | None, StartUp]:
        """What the engine will do with these arguments; no spec when its argument parser ends it."""
        if rule := self._draw(record, Fault.DEPLOYMENT_ERROR):
            return None, _failure(rule.message)
        judgement = self._cloud.judges[record.version].judge(record.parameters)
        if judgement.arguments is None:
            return None, _failure(judgement.failure or "the engine ended without a message")
        spec = EndpointSpec(
            engine_version=record.version,
            model=record.model_name,
            gpu_type=record.gpu_type,
            gpu_count=record.gpu_count,
            replicas=record.replicas,
            arguments=judgement.arguments,
            api_key=record.api_key,
            seed=self._generator(record).randrange(2**31),
        )
        return spec, start_up(spec)

    async def _revive(self, record: DeploymentRecord, spec: EndpointSpec, down_s: float) -> None:
        await self._cloud.clock.sleep(down_s)
        record.endpoint = await self._started(spec)

    async def _delete(self, record: DeploymentRecord, operation: OperationRecord) -> None:
        await self._cloud.clock.sleep(self._generator(record).uniform(*DELETE_S))
        if await self._failed_or_stuck(record, operation):
            return
        self._cloud.forget(record)
        await self._stop_engine(record)
        operation.end()

    async def _download(self, model: ModelRecord, operation: OperationRecord, has_token: bool) -> None:
        model.state = "downloading"
        is_gated = model.name.startswith(GATED_OWNERS) and not has_token
        if "/" not in model.name or is_gated:
            await self._cloud.clock.sleep(ACCEPT_S[1])
            model.state = "error"
            operation.end(
                failure=f"cannot download {model.name}: {'access is gated' if is_gated else 'no such repository'}"
            )
            return
        await self._cloud.clock.sleep(model.size_bytes / DOWNLOAD_BYTES_PER_S)
        model.state = "ready"
        operation.end()

    async def _started(self, spec: EndpointSpec) -> VllmEndpoint:
        """A serving engine; none is left behind when the wait for it is cancelled."""
        endpoint = VllmEndpoint(spec, clock=self._cloud.clock.real)
        try:
            await endpoint.start()
        except asyncio.CancelledError:
            await endpoint.stop()
            raise
        return endpoint

    async def _stop_engine(self, record: DeploymentRecord) -> None:
        endpoint, record.endpoint = record.endpoint, None
        if endpoint is not None:
            await endpoint.stop()

    async def _linger(self, record: DeploymentRecord, state: str, seconds: float) -> None:
        """Spends time in a state; a fault may make it endless, or show a state nobody knows for half of it."""
        record.move_to(state)
        if self._draw(record, Fault.DEPLOYMENT_STUCK, state):
            await asyncio.Event().wait()
        unknown = self._draw(record, Fault.UNKNOWN_STATE, state)
        if unknown:
            record.move_to(unknown.state or "rebalancing")
            await self._cloud.clock.sleep(seconds / 2)
            record.move_to(state)
            seconds /= 2
        await self._cloud.clock.sleep(seconds)

    async def _failed_or_stuck(self, record: DeploymentRecord, operation: OperationRecord) -> bool:
        """True when a fault has failed the operation, or let it hang until it timed out."""
        if rule := self._draw(record, Fault.OPERATION_STUCK, operation.command):
            await self._cloud.clock.sleep(rule.seconds)
            operation.end(failure="the operation took too long", reason="unknown", state="timeout")
            return True
        if rule := self._draw(record, Fault.OPERATION_FAILED, operation.command):
            operation.end(failure=rule.message)
            return True
        return False

    def _draw(
        self, record: DeploymentRecord, fault: Fault, operation: str = "create-deployment"
    ) -> Rule | None:
        return self._cloud.faults.draw(fault, operation=operation, subjects=(record.name, record.gpu_type))

    def _generator(self, record: DeploymentRecord) -> random.Random:
        return random.Random(f"{self._cloud.settings.seed}:{record.name}:{record.version}:{record.replicas}")


def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()


def _failure(message: str) -> StartUp:
    """An engine that ends on its arguments, or on what a fault says."""
    lines = ((2.0, "starting the engine"), (ARGUMENT_FAILURE_S - 1, message))
    return StartUp(ok=False, duration_s=ARGUMENT_FAILURE_S, lines=lines, state_details=message)
