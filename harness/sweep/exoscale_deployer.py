"""A deployment on Exoscale's Dedicated Inference, or on whatever speaks its API, as the endpoint of a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import httpx

from harness.errors import (
    EngineStartError,
    ForbiddenError,
    NotFoundError,
    OperationFailed,
    PlatformError,
    QuotaError,
)
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.waiting import (
    StillPending,
    created_deployment_id,
    find_deployment,
    wait_for_operation,
)
from harness.exoscale.wire import ERROR, READY, Deployment, Operation
from harness.secret import Secret
from harness.sweep.classify import classify_log
from harness.sweep.deployers import Ready, Run, StateCallback
from harness.sweep.exoscale_ready import (
    CloudTiming,
    answering,
    engine_differences,
    settled,
    shape_differences,
    without_keys,
)
from harness.sweep.failures import GONE, NOT_AS_ASKED, TIMEOUT, UNKNOWN
from harness.sweep.readiness import NotAnswering

LOG_TAIL = 200


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
        self._asked_before: dict[str, tuple[str, ...]] = {}
        self._keys: set[Secret] = set()

    async def create(self, run: Run) -> str:
        """Ask for the deployment; its id, from the operation's reference or by its name."""
        cell, started = run.cell, self._clock()
        try:
            operation = await self._client.create_deployment(
                name=run.name,
                model=cell.model,
                gpu_type=cell.gpu_type,
                gpu_count=cell.gpu_count,
                replicas=cell.replicas,
                engine_version=cell.engine_version,
                parameters=cell.parameters,
            )
        except ForbiddenError as refusal:
            raise await self._told_apart(refusal) from refusal
        identity = await created_deployment_id(
            self._client, operation, name=run.name, polling=self._timing.polling(self._timing.operation_s)
        )
        self._created_at[identity] = started
        self._creations[identity] = operation
        return identity

    async def _told_apart(self, refusal: ForbiddenError) -> ForbiddenError:
        """The refusal itself when the key is good for nothing any more, else QuotaError: it is of this request."""
        try:
            await self._client.list_ai_instance_types()
        except PlatformError:
            return refusal
        return QuotaError(
            refusal.operation, status=refusal.status, detail=refusal.detail, errors=refusal.errors
        )

    async def find(self, name: str) -> str | None:
        """The id of the deployment of exactly this name."""
        found = await find_deployment(self._client, name)
        return None if found is None else found.id

    async def wait_ready(self, run: Run, deployment_id: str, on_state: StateCallback) -> Ready:
        """Ready means: settled as ``ready``, running what was asked, and one completion answered."""
        started = self._created_at.get(deployment_id, self._clock())
        deadline = started + self._timing.ready_s
        try:
            deployment = await settled(
                self._client,
                deployment_id,
                on_state,
                creation=self._creations.get(deployment_id),
                polling=self._timing.polling(max(1e-3, deadline - self._clock())),
            )
        except StillPending as error:
            raise await self._failure(deployment_id, TIMEOUT, str(error)) from error
        except OperationFailed as error:
            raise await self._failure(deployment_id, None, str(error)) from error
        if deployment.state == ERROR:
            raise await self._failure(
                deployment_id, None, deployment.state_details or "the deployment is in error"
            )
        says_what_it_runs = await self._refuse_otherwise(run, deployment_id, deployment)
        try:
            endpoint = await answering(
                self._client,
                run,
                deployment_id,
                deployment,
                timing=self._timing,
                deadline=deadline,
                clock=self._clock,
                on_key=self._keys.add,
                transport=self._transport,
            )
        except NotAnswering as trouble:
            raise await self._failure(deployment_id, TIMEOUT, f"ready, but {trouble}") from trouble
        facts = {
            "engine_version": deployment.inference_engine_version,
            "parameters": list(deployment.inference_engine_parameters or ()),
            "service_level": deployment.service_level,
            "log_checked": says_what_it_runs,
        }
        return Ready(endpoint, (self._clock() - started) / self._timing.pace, facts)

    async def _refuse_otherwise(self, run: Run, deployment_id: str, deployment: Deployment) -> bool:
        """EngineStartError when the answer or the engine's log says it runs something else; True if the log spoke."""
        before = self._asked_before.get(deployment_id, ())
        told = await engine_differences(self._client, run.cell, deployment_id, before=before)
        otherwise = [*shape_differences(run.cell, deployment), *(told or ())]
        if otherwise:
            raise EngineStartError("; ".join(otherwise), cause=NOT_AS_ASKED)
        return told is not None

    async def check(self, run: Run, deployment_id: str) -> None:
        """Still there, ready, and what was asked: nobody took it away or changed it meanwhile."""
        try:
            deployment = await self._client.get_deployment(deployment_id)
        except NotFoundError as error:
            raise EngineStartError(
                "the deployment was deleted by somebody else meanwhile", cause=GONE
            ) from error
        otherwise = shape_differences(run.cell, deployment)
        if deployment.state != READY:
            otherwise.append(f"it is {deployment.state!r}, not ready")
        if otherwise:
            raise EngineStartError(f"changed meanwhile: {'; '.join(otherwise)}", cause=NOT_AS_ASKED)

    async def move(self, run: Run, deployment_id: str) -> None:
        """Change parameters and version by PATCH, replicas by scale, whichever differ; waits for each operation."""
        cell = run.cell
        now = await self._client.get_deployment(deployment_id)
        self._starts_anew(deployment_id)
        asked = (cell.engine_version, cell.parameters)
        if (now.inference_engine_version, now.inference_engine_parameters) != asked:
            self._asked_before[deployment_id] = tuple(now.inference_engine_parameters or ())
            operation = await self._client.update_deployment(
                deployment_id, engine_version=cell.engine_version, parameters=cell.parameters
            )
            await self._done(operation)
        if now.replicas != cell.replicas:
            await self.scale(deployment_id, replicas=cell.replicas)

    async def scale(self, deployment_id: str, *, replicas: int) -> None:
        """Change the number of replicas; waits for the operation."""
        self._starts_anew(deployment_id)
        await self._done(await self._client.scale_deployment(deployment_id, replicas=replicas))

    def _starts_anew(self, deployment_id: str) -> None:
        """From now on its deadline and its time to ready are counted, and its creation says nothing any more."""
        self._created_at[deployment_id] = self._clock()
        self._creations.pop(deployment_id, None)

    async def _done(self, operation: Operation) -> None:
        polling = self._timing.polling(self._timing.ready_s)
        await wait_for_operation(self._client, operation, polling=polling)

    async def _failure(self, deployment_id: str, cause: str | None, what: str) -> EngineStartError:
        """What went wrong, with the class and the words of the engine's own log, or else of the platform."""
        try:
            lines = list(await self.logs(deployment_id))
        except PlatformError:
            lines = []
        found = classify_log(lines)
        if found.cause == UNKNOWN:
            found = replace(classify_log([what]), message=found.message)
        said = f"; the engine said: {found.message}" if lines and found.message not in what else ""
        return EngineStartError(
            f"{what}{said}", cause=cause or found.cause, log_tail=lines[-20:], rule=found.rule
        )

    async def logs(self, deployment_id: str) -> Sequence[str]:
        """The last log lines' messages."""
        entries = await self._client.get_deployment_logs(deployment_id, tail=LOG_TAIL)
        return [without_keys(entry.message, tuple(self._keys)) for entry in entries]

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
