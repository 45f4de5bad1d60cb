"""A deployment on Exoscale's Dedicated Inference, or on whatever speaks its API, as the endpoint of a cell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from harness.errors import EngineStartError, NotFoundError, OperationFailed, PlatformError
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.urls import check_deployment_url
from harness.exoscale.waiting import (
    Polling,
    StillPending,
    created_deployment_id,
    find_deployment,
    poll_interval_s,
    wait_for_operation,
    wait_until_settled,
)
from harness.exoscale.wire import ERROR, Deployment, Operation
from harness.load.records import Endpoint
from harness.sweep.classify import classify_log
from harness.sweep.deployers import Ready, Run, StateCallback
from harness.sweep.readiness import COMPLETION_TIMEOUT_S, NotAnswering, complete_once
from harness.sweep.running import differences, running_arguments

LOG_TAIL = 200


@dataclass(frozen=True, slots=True)
class CloudTiming:
    """Deadlines in seconds, and real seconds per second of the cloud: below 1 for a simulated one that hurries.

    Polling is paced by it, and the time to ready is told in the cloud's seconds.
    """

    ready_s: float = 1800.0
    operation_s: float = 600.0
    pace: float = 1.0
    clock: Callable[[], float] = time.monotonic

    def polling(self, deadline_s: float) -> Polling:
        """The polling of one wait."""
        return Polling(deadline_s, interval=self.interval_s, clock=self.clock)

    def interval_s(self, elapsed_s: float) -> float:
        """The pause after ``elapsed_s`` of waiting."""
        return poll_interval_s(elapsed_s / self.pace) * self.pace


class ExoscaleDeployer:
    """Creates one deployment per run, by a unique name, and proves each deletion by a 404.

    ``transport`` stands in for the network on the way to a deployment's own URL.
    """

    kind = "exoscale"

    def __init__(
        self,
        client: ExoscaleClient,
        *,
        simulated: bool,
        timing: CloudTiming | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.simulated = simulated
        self._client = client
        self._timing = timing or CloudTiming()
        self._clock = self._timing.clock
        self._transport = transport
        self._created_at: dict[str, float] = {}
        self._creations: dict[str, Operation] = {}
        self._deletions: dict[str, Operation] = {}

    async def create(self, run: Run) -> str:
        """Ask for the deployment; its id, from the operation's reference or by its name."""
        cell, started = run.cell, self._clock()
        operation = await self._client.create_deployment(
            name=run.name,
            model=cell.model,
            gpu_type=cell.gpu_type,
            gpu_count=cell.gpu_count,
            replicas=cell.replicas,
            engine_version=cell.engine_version,
            parameters=cell.parameters,
        )
        identity = await created_deployment_id(
            self._client, operation, name=run.name, polling=self._timing.polling(self._timing.operation_s)
        )
        self._created_at[identity] = started
        self._creations[identity] = operation
        return identity

    async def find(self, name: str) -> str | None:
        """The id of the deployment of exactly this name."""
        found = await find_deployment(self._client, name)
        return None if found is None else found.id

    async def wait_ready(self, run: Run, deployment_id: str, on_state: StateCallback) -> Ready:
        """Ready means: settled as ``ready``, running what was asked, and one completion answered."""
        started = self._created_at.get(deployment_id, self._clock())
        deadline = started + self._timing.ready_s
        try:
            deployment = await self._settled(deployment_id, on_state, left_s=deadline - self._clock())
        except StillPending as error:
            raise await self._failure(deployment_id, "timeout", str(error)) from error
        except OperationFailed as error:
            raise await self._failure(deployment_id, None, str(error)) from error
        if deployment.state == ERROR:
            raise await self._failure(
                deployment_id, None, deployment.state_details or "the deployment is in error"
            )
        await self._check_what_runs(run, deployment_id, deployment)
        endpoint = await self._answering(run, deployment_id, deployment, deadline=deadline)
        facts = {
            "engine_version": deployment.inference_engine_version,
            "parameters": list(deployment.inference_engine_parameters or ()),
            "service_level": deployment.service_level,
        }
        return Ready(endpoint, (self._clock() - started) / self._timing.pace, facts)

    async def move(self, run: Run, deployment_id: str) -> None:
        """Change parameters and version by PATCH, replicas by scale, whichever differ; waits for each operation."""
        cell, polling = run.cell, self._timing.polling(self._timing.ready_s)
        self._created_at[deployment_id] = self._clock()
        self._creations.pop(deployment_id, None)
        now = await self._client.get_deployment(deployment_id)
        asked = (cell.engine_version, cell.parameters)
        if (now.inference_engine_version, now.inference_engine_parameters) != asked:
            operation = await self._client.update_deployment(
                deployment_id, engine_version=cell.engine_version, parameters=cell.parameters
            )
            await wait_for_operation(self._client, operation, polling=polling)
        if now.replicas != cell.replicas:
            scaling = await self._client.scale_deployment(deployment_id, replicas=cell.replicas)
            await wait_for_operation(self._client, scaling, polling=polling)

    async def _settled(self, deployment_id: str, on_state: StateCallback, *, left_s: float) -> Deployment:
        """The deployment in ``ready`` or ``error``; OperationFailed as soon as its creation is known to have failed."""
        polling = self._timing.polling(max(1e-3, left_s))
        settled = asyncio.ensure_future(
            wait_until_settled(self._client, deployment_id, polling=polling, on_state=on_state)
        )
        operation = self._creations.get(deployment_id)
        waits: set[asyncio.Future[Any]] = {settled}
        if operation is not None and operation.id is not None:
            waits.add(asyncio.ensure_future(wait_for_operation(self._client, operation, polling=polling)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits - {settled}:
                if wait.done() and not settled.done():
                    wait.result()
            return await settled
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _check_what_runs(self, run: Run, deployment_id: str, deployment: Deployment) -> None:
        """Refuse a deployment that says, in its answer or in its engine's log, that it runs something else."""
        version, parameters = deployment.inference_engine_version, deployment.inference_engine_parameters
        if version is not None and version != run.cell.engine_version:
            what = f"asked for vLLM {run.cell.engine_version}, got {version}"
            raise await self._failure(deployment_id, "not-as-asked", what)
        if parameters is not None and tuple(parameters) != run.cell.parameters:
            what = f"asked for parameters {list(run.cell.parameters)}, got {list(parameters)}"
            raise await self._failure(deployment_id, "not-as-asked", what)
        try:
            running = running_arguments(await self.logs(deployment_id))
        except PlatformError:
            running = None  # logs may be out of reach while all is well
        otherwise = [] if running is None else differences(run.cell, running)
        if otherwise:
            raise await self._failure(deployment_id, "not-as-asked", "; ".join(otherwise))

    async def _answering(
        self, run: Run, deployment_id: str, deployment: Deployment, *, deadline: float
    ) -> Endpoint:
        """The endpoint once a real one-token completion came back; a late key or a 503 is waited through."""
        trouble = "it has no deployment-url"
        async with httpx.AsyncClient(timeout=COMPLETION_TIMEOUT_S, transport=self._transport) as http:
            while True:
                if deployment.deployment_url:
                    await asyncio.to_thread(
                        check_deployment_url,
                        deployment.deployment_url,
                        endpoint=self._client.credentials.endpoint,
                    )
                    try:
                        key = await self._client.reveal_deployment_api_key(deployment_id)
                        endpoint = Endpoint(deployment.deployment_url, run.cell.model, key)
                        await complete_once(http, endpoint)
                        return endpoint
                    except (NotFoundError, NotAnswering) as error:
                        trouble = str(error)
                if self._clock() >= deadline:
                    raise await self._failure(deployment_id, "timeout", f"ready, but {trouble}")
                await asyncio.sleep(self._timing.interval_s(0.0))
                deployment = await self._client.get_deployment(deployment_id)

    async def _failure(self, deployment_id: str, cause: str | None, what: str) -> EngineStartError:
        """What went wrong, with the class and the words of the engine's own log."""
        try:
            lines = list(await self.logs(deployment_id))
        except PlatformError:
            lines = []
        found = classify_log(lines or [what])
        said = f"; the engine said: {found.message}" if lines and found.message not in what else ""
        return EngineStartError(
            f"{what}{said}", cause=cause or found.cause, log_tail=lines[-20:], rule=found.rule
        )

    async def logs(self, deployment_id: str) -> Sequence[str]:
        """The last log lines' messages."""
        entries = await self._client.get_deployment_logs(deployment_id, tail=LOG_TAIL)
        return [entry.message for entry in entries]

    async def delete(self, deployment_id: str) -> None:
        """Send the deletion."""
        self._deletions[deployment_id] = await self._client.delete_deployment(deployment_id)

    async def is_gone(self, deployment_id: str) -> bool:
        """True at the 404; OperationFailed when the deletion itself ended badly."""
        try:
            await self._client.get_deployment(deployment_id)
        except NotFoundError:
            return True
        deletion = self._deletions.get(deployment_id)
        if deletion is not None and deletion.id is not None:
            try:
                operation = await self._client.get_operation(deletion.id)
            except NotFoundError:
                return False
            if operation.failed:
                raise OperationFailed(
                    f"delete-deployment ended in {operation.state}: {operation.message or ''}"
                )
        return False
