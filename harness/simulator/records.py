"""What the simulated zone remembers of deployments, operations and models, and how it shows them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from harness.secret import Secret
from harness.simulator.endpoint import VllmEndpoint
from harness.simulator.refusal import Dialect

NEWER_STATES = {"updating": "deploying", "scaling": "deploying", "preparing": "creating"}


def timestamp() -> str:
    """Now, as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class ModelRecord:
    """A model in the zone. ``gone`` is set when its removal has begun."""

    id: str
    name: str
    state: str
    size_bytes: int
    created_at: str = field(default_factory=timestamp)
    updated_at: str = field(default_factory=timestamp)

    def document(self) -> dict[str, Any]:
        """The model as list-models and get-model show it."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "model-size": self.size_bytes if self.state == "ready" else 0,
            "created-at": self.created_at,
            "updated-at": self.updated_at,
        }


@dataclass(slots=True)
class OperationRecord:
    """An asynchronous change. ``visible_at`` is the zone second from which it can be looked up; a delete may end
    an ``interruptible`` one.
    """

    id: str
    command: str
    subject_id: str
    link: str
    state: str = "pending"
    reason: str | None = None
    message: str | None = None
    has_reference: bool = True
    visible_at: float = 0.0
    interruptible: bool = False

    def document(self) -> dict[str, Any]:
        """The operation as every mutation answers it."""
        shown: dict[str, Any] = {"id": self.id, "state": self.state}
        if self.has_reference:
            shown["reference"] = {"id": self.subject_id, "link": self.link, "command": self.command}
        if self.reason is not None:
            shown["reason"] = self.reason
        if self.message is not None:
            shown["message"] = self.message
        return shown

    def end(self, *, failure: str | None = None, reason: str = "fault", state: str = "failure") -> None:
        """Success, or with a ``failure`` message the given state and reason."""
        self.interruptible = False
        self.state = "success" if failure is None else state
        self.reason = None if failure is None else reason
        self.message = failure


@dataclass(slots=True)
class DeploymentRecord:
    """A deployment. ``log`` holds (zone second at which the line appears, node, text), in order of time.

    ``endpoint`` serves while the deployment is ready with at least one replica. ``url_from`` and ``key_from`` are
    the zone seconds from which the URL and the key are there, ``listed_from`` those from which a list shows it.
    """

    id: str
    name: str
    model_id: str
    model_name: str
    gpu_type: str
    gpu_count: int
    replicas: int
    version: str
    parameters: tuple[str, ...]
    api_key: Secret
    state: str = "creating"
    state_details: str = ""
    url: str | None = None
    foreign: bool = False
    created_at: str = field(default_factory=timestamp)
    updated_at: str = field(default_factory=timestamp)
    operation: OperationRecord | None = None
    endpoint: VllmEndpoint | None = None
    task: asyncio.Task[None] | None = None
    log: list[tuple[float, str, str]] = field(default_factory=list)
    url_from: float = 0.0
    key_from: float = 0.0
    listed_from: float = 0.0
    shown_parameters: tuple[str, ...] | None = None

    @property
    def gpus(self) -> int:
        """GPUs it holds."""
        return self.gpu_count * self.replicas

    @property
    def is_busy(self) -> bool:
        """True while an operation on it is under way."""
        return self.operation is not None and self.operation.state == "pending"

    def move_to(self, state: str, *, details: str = "") -> None:
        """Changes the state and the time of the last change."""
        self.state, self.state_details, self.updated_at = state, details, timestamp()

    def entry(self, dialect: Dialect) -> dict[str, Any]:
        """The deployment as list-deployments shows it."""
        newer = dialect is Dialect.RFC9457
        shown: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "state": self.state if newer else NEWER_STATES.get(self.state, self.state),
            "gpu-type": self.gpu_type,
            "gpu-count": self.gpu_count,
            "replicas": self.replicas,
            "service-level": "pro",
            "deployment-url": self.url if self.url is not None or not newer else "",
            "model": {"id": self.model_id, "name": self.model_name},
            "created-at": self.created_at,
            "updated-at": self.updated_at,
        }
        if newer:
            shown["visibility"] = "private"
        return shown

    def document(self, dialect: Dialect) -> dict[str, Any]:
        """The deployment as get-deployment shows it."""
        shown = self.entry(dialect)
        shown["inference-engine-version"] = self.version
        shown["inference-engine-parameters"] = list(
            self.parameters if self.shown_parameters is None else self.shown_parameters
        )
        if self.state_details:
            shown["state-details"] = self.state_details
        return shown
