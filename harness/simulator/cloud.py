"""The simulated zone: what each operation checks, changes and answers. No HTTP here; ``lifecycle`` does the rest.

All methods run on one event loop. A mutation answers at once with an operation; what it began goes on in a task.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.secret import Secret
from harness.simulator.admission import Admission
from harness.simulator.bodies import CreateRequest, UpdateRequest
from harness.simulator.clock import SimulatedClock
from harness.simulator.faults import Fault, FaultPlan
from harness.simulator.inventory import MODELS, UNLISTED_MODEL_BYTES, Inventory
from harness.simulator.judge import Judge
from harness.simulator.lifecycle import Lifecycle
from harness.simulator.records import DeploymentRecord, ModelRecord, OperationRecord, timestamp
from harness.simulator.refusal import Dialect, Refusal, not_found

DEPLOYMENT_LINK = "/v2/ai/deployment/"
MODEL_LINK = "/v2/ai/model/"
DEFAULT_LOG_LINES = 50


@dataclass(slots=True)
class Settings:
    """How the zone behaves. ``create_ends_served`` keeps a create pending until the deployment is ready."""

    seed: int = 0
    dialect: Dialect = Dialect.SEED
    create_ends_served: bool = False
    foreign: tuple[str, ...] = ()


@dataclass(slots=True)
class Ledger:
    """Everything that was ever begun and ended, by deployment name, for tests to ask."""

    created: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


class Cloud:
    """One zone. ``base_url`` is where deployments' URLs begin: scheme, host and port; ``make_id`` gives ids."""

    def __init__(
        self,
        settings: Settings,
        *,
        base_url: str,
        clock: SimulatedClock,
        documents: Mapping[str, dict[str, Any]],
        faults: FaultPlan,
        inventory: Inventory | None = None,
        make_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.settings = settings
        self._make_id = make_id
        self.clock = clock
        self.documents = documents
        self.faults = faults
        self.inventory = inventory or Inventory()
        self.base_url = base_url
        self.judges = {version: Judge(version, document) for version, document in documents.items()}
        self.deployments: dict[str, DeploymentRecord] = {}
        self.operations: dict[str, OperationRecord] = {}
        self.models: dict[str, ModelRecord] = {}
        self.ledger = Ledger()
        self._admission = Admission(self.inventory, self.judges, faults)
        self._lifecycle = Lifecycle(self)
        for name, size in MODELS.items():
            self._add_model(name, state="ready", size_bytes=size)
        for name in settings.foreign:
            self._add_foreign(name)

    @property
    def versions(self) -> tuple[str, ...]:
        """Engine versions on offer, oldest first."""
        return tuple(self.documents)

    async def close(self) -> None:
        """Ends every task and engine."""
        await self._lifecycle.close()

    def deployment(self, deployment_id: str) -> DeploymentRecord:
        """The record; 404 when there is none."""
        try:
            return self.deployments[deployment_id]
        except KeyError:
            raise not_found("The deployment") from None

    def create(self, request: CreateRequest) -> OperationRecord:
        """Begins a deployment once everything about it holds: model, GPUs, names of parameters, quota, capacity."""
        model = self._admission.check_create(request, self.models.values())
        record = DeploymentRecord(
            id=self._make_id(),
            name=request.name,
            model_id=model.id,
            model_name=model.name,
            gpu_type=request.gpu_type,
            gpu_count=request.gpu_count,
            replicas=request.replicas,
            version=request.version,
            parameters=request.parameters,
            api_key=Secret(secrets.token_urlsafe(24)),
        )
        self.inventory.take(record.gpu_type, record.gpus)
        late = self.faults.draw(
            Fault.UNLISTED, operation="create-deployment", subjects=(record.name, record.gpu_type)
        )
        record.listed_from = self.clock.now() + late.seconds if late else 0.0
        self.deployments[record.id] = record
        self.ledger.created.append(record.name)
        operation = self._begin(record, "create-deployment")
        self._lifecycle.create(record, operation)
        return operation

    def update(self, deployment_id: str, request: UpdateRequest) -> OperationRecord:
        """Changes the name at once; a new version or new parameters restart the engine."""
        record = self._idle(deployment_id)
        version = request.version or record.version
        parameters = record.parameters if request.parameters is None else request.parameters
        self._admission.check_names(version, parameters)
        restarts = request.version is not None or request.parameters is not None
        before = (record.version, record.parameters)
        record.name = request.name or record.name
        record.version, record.parameters = version, parameters

        def undo() -> None:
            record.version, record.parameters = before

        operation = self._begin(record, "update-deployment")
        if restarts:
            self._lifecycle.restart(record, operation, state="updating", undo=undo)
        else:
            operation.end()
        return operation

    def scale(self, deployment_id: str, replicas: int) -> OperationRecord:
        """Changes the number of replicas; 0 stops the engine and frees the GPUs."""
        record = self._idle(deployment_id)
        more = (replicas - record.replicas) * record.gpu_count
        if more > 0:
            self._admission.check_gpus(record.gpu_type, more, operation="scale-deployment", name=record.name)
        before = record.replicas
        self.inventory.take(record.gpu_type, more)
        record.replicas = replicas

        def undo() -> None:
            self.inventory.take(record.gpu_type, -more)
            record.replicas = before

        operation = self._begin(record, "scale-deployment")
        self._lifecycle.restart(record, operation, state="scaling", undo=undo)
        return operation

    def delete(self, deployment_id: str) -> OperationRecord:
        """Begins the end of a deployment; interrupts its creation, 409 while another operation is under way."""
        record = self.deployment(deployment_id)
        if record.operation is not None and record.operation.interruptible:
            record.operation.end(failure="interrupted by delete-deployment", reason="interrupted")
        record = self._idle(deployment_id)
        operation = self._begin(record, "delete-deployment")
        self._lifecycle.delete(record, operation)
        return operation

    def logs(self, deployment_id: str, *, tail: int | None) -> list[dict[str, str]]:
        """The last lines that have appeared by now; 404 while there is no engine to write any."""
        record = self.deployment(deployment_id)
        now = self.clock.now()
        lines = [entry for entry in record.log if entry[0] <= now]
        if not lines and record.state in ("creating", "preparing"):
            raise not_found("The log of the deployment")
        shown = lines[-(DEFAULT_LOG_LINES if tail is None else tail) :] if tail != 0 else []
        return [{"time": timestamp(), "node": node, "message": message} for _, node, message in shown]

    def api_key(self, deployment_id: str) -> Secret:
        """The endpoint's key; 404 until it is there."""
        record = self.deployment(deployment_id)
        if self.clock.now() < record.key_from:
            raise not_found("The API key of the deployment")
        return record.api_key

    def operation(self, operation_id: str) -> OperationRecord:
        """The record; 404 when there is none, or not yet."""
        operation = self.operations.get(operation_id)
        if operation is None or self.clock.now() < operation.visible_at:
            raise not_found("The operation")
        return operation

    def create_model(self, name: str, *, has_token: bool) -> OperationRecord:
        """Begins the import of a repository."""
        if any(model.name == name for model in self.models.values()):
            raise Refusal(409, f"A model named {name} exists already.")
        size = MODELS.get(name, UNLISTED_MODEL_BYTES)
        model = self._add_model(name, state="created", size_bytes=size)
        operation = self._operation("create-model", model.id, MODEL_LINK)
        self._lifecycle.download(model, operation, has_token=has_token)
        return operation

    def model(self, model_id: str) -> ModelRecord:
        """The record; 404 when there is none."""
        try:
            return self.models[model_id]
        except KeyError:
            raise not_found("The model") from None

    def delete_model(self, model_id: str) -> OperationRecord:
        """Removes a model that no deployment uses; 412 with the deployments' names otherwise."""
        model = self.model(model_id)
        users = [record.name for record in self.deployments.values() if record.model_id == model_id]
        if users:
            raise Refusal(412, "The model is in use.", document={"deployments": users})
        del self.models[model.id]
        operation = self._operation("delete-model", model_id, MODEL_LINK)
        operation.end()
        return operation

    async def restart_engine(self, record: DeploymentRecord, *, down_s: float) -> None:
        """Ends the engine with all its requests and counters; another takes its place after ``down_s``."""
        await self._lifecycle.crash(record, down_s=down_s)

    def forget(self, record: DeploymentRecord) -> None:
        """Takes a deployment off the books and gives its GPUs back."""
        if self.deployments.pop(record.id, None) is not None:
            self.inventory.take(record.gpu_type, -record.gpus)
            self.ledger.deleted.append(record.name)

    def _idle(self, deployment_id: str) -> DeploymentRecord:
        record = self.deployment(deployment_id)
        if record.is_busy:
            raise Refusal(409, "Another operation on the deployment is in progress.")
        return record

    def _begin(self, record: DeploymentRecord, command: str) -> OperationRecord:
        operation = self._operation(command, record.id, DEPLOYMENT_LINK)
        subjects = (record.name, record.gpu_type)
        if self.faults.draw(Fault.NO_REFERENCE, operation=command, subjects=subjects):
            operation.has_reference = False
        if rule := self.faults.draw(Fault.OPERATION_UNKNOWN, operation=command, subjects=subjects):
            operation.visible_at = self.clock.now() + rule.seconds
        record.operation = operation
        return operation

    def _operation(self, command: str, subject_id: str, link: str) -> OperationRecord:
        operation = OperationRecord(
            id=self._make_id(), command=command, subject_id=subject_id, link=link + subject_id
        )
        self.operations[operation.id] = operation
        return operation

    def _add_model(self, name: str, *, state: str, size_bytes: int) -> ModelRecord:
        model = ModelRecord(id=self._make_id(), name=name, state=state, size_bytes=size_bytes)
        self.models[model.id] = model
        return model

    def _add_foreign(self, name: str) -> None:
        """A ready deployment of somebody else in the same organisation, without an engine behind it."""
        model = next(iter(self.models.values()))
        record = DeploymentRecord(
            id=self._make_id(),
            name=name,
            model_id=model.id,
            model_name=model.name,
            gpu_type="gpu3080ti",
            gpu_count=1,
            replicas=1,
            version=self.versions[-1],
            parameters=(),
            api_key=Secret(secrets.token_urlsafe(24)),
            state="ready",
            foreign=True,
        )
        self.inventory.take(record.gpu_type, record.gpus)
        self.deployments[record.id] = record
        record.url = f"{self.base_url}/deployments/{record.id}/v1"
