"""What the API says, as types. Parsed at the door: unknown fields are dropped, absent ones are None.

Enumerations are open: a state, version or GPU family nobody knew is kept as its text. ``is_settled`` and its
like say what this client makes of it.
"""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from harness.exoscale.urls import normalise_deployment_url

READY = "ready"
ERROR = "error"
SETTLED_STATES = frozenset({READY, ERROR})
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

Entry = TypeVar("Entry")
# A list may come as null; a missing one is an answer to something else and must not pass for an empty list.
Listed = Annotated[tuple[Entry, ...], BeforeValidator(lambda entries: () if entries is None else entries)]
DeploymentUrl = Annotated[str | None, BeforeValidator(normalise_deployment_url)]


class Wire(BaseModel):
    """A JSON object with kebab-case keys; frozen, tolerant of more keys than are named here."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=True,
        coerce_numbers_to_str=True,
        protected_namespaces=(),
    )


class Reference(Wire):
    """What an operation is about."""

    id: str | None = None
    link: str | None = None
    command: str | None = None


class Operation(Wire):
    """An asynchronous change. ``reference.id`` is the deployment's id, ``id`` the operation's own."""

    id: str | None = None
    state: str | None = None
    reason: str | None = None
    message: str | None = None
    reference: Reference | None = None

    @property
    def succeeded(self) -> bool:
        """True when the change is done."""
        return self.state == "success"

    @property
    def failed(self) -> bool:
        """True when it ended without being done; an unknown state is neither done nor failed."""
        return self.state in ("failure", "timeout")

    @property
    def subject_id(self) -> str | None:
        """The id of what the operation is about, when it says so."""
        return self.reference.id if self.reference else None


class ModelRef(Wire):
    """A model by id, by its Hugging Face name, or both."""

    id: str | None = None
    name: str | None = None


def model_ref(text: str) -> ModelRef:
    """A reference by id when ``text`` is a UUID, else by name."""
    return ModelRef(id=text) if UUID.fullmatch(text) else ModelRef(name=text)


class Deployment(Wire):
    """A deployment. Entries of a list lack the parameters, the version and the details; public ones even the id.

    ``deployment_url`` ends in ``/v1`` and is None until there is one.
    """

    id: str | None = None
    name: str | None = None
    state: str | None = None
    state_details: str | None = None
    gpu_type: str | None = None
    gpu_count: int | None = None
    replicas: int | None = None
    service_level: str | None = None
    deployment_url: DeploymentUrl = None
    inference_engine_parameters: tuple[str, ...] | None = None
    inference_engine_version: str | None = None
    model: ModelRef | None = None
    created_at: str | None = None
    updated_at: str | None = None
    visibility: str | None = None

    @property
    def is_settled(self) -> bool:
        """True in ``ready`` and ``error``; an unknown state counts as on its way."""
        return self.state in SETTLED_STATES

    @property
    def is_public(self) -> bool:
        """True for an entry of the shared offer, which is nobody's to delete."""
        return self.visibility == "public"


class Model(Wire):
    """A model in this zone. ``model_size`` is in bytes, None or 0 while it downloads."""

    id: str | None = None
    name: str | None = None
    state: str | None = None
    model_size: int | None = None
    created_at: str | None = None
    updated_at: str | None = None

    @property
    def is_settled(self) -> bool:
        """True in ``ready`` and ``error``."""
        return self.state in SETTLED_STATES


class InstanceType(Wire):
    """A GPU family. ``authorized`` mixes the right to use it with what is free just now."""

    family: str
    authorized: bool = False


class LogEntry(Wire):
    """One line of a deployment's log; the lines of several nodes interleave."""

    time: str | None = None
    node: str | None = None
    message: Annotated[str, BeforeValidator(lambda text: "" if text is None else text)] = ""


class Zone(Wire):
    """A zone and where its API is."""

    name: str
    api_endpoint: str | None = None
    sos_endpoint: str | None = None


class Quota(Wire):
    """How much of a resource may be used; ``limit`` is None when it is without bound or not told."""

    resource: str
    usage: int | None = None
    limit: Annotated[int | None, BeforeValidator(lambda limit: None if limit == -1 else limit)] = None


class DeploymentList(Wire):
    """The answer of list-deployments."""

    deployments: Listed[Deployment]


class ModelList(Wire):
    """The answer of list-models."""

    models: Listed[Model]


class InstanceTypeList(Wire):
    """The answer of list-ai-instance-types."""

    instance_types: Listed[InstanceType]


class LogList(Wire):
    """The answer of get-deployment-logs."""

    logs: Listed[LogEntry]


class ZoneList(Wire):
    """The answer of list-zones."""

    zones: Listed[Zone]


class QuotaList(Wire):
    """The answer of list-quotas."""

    quotas: Listed[Quota]


class RevealedKey(Wire):
    """The answer of reveal-deployment-api-key, to be wrapped at once."""

    api_key: str
