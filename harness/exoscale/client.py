"""The client: one method per operation of the API, under its OpenAPI name. All calls are local to one zone."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from harness.exoscale.credentials import Credentials
from harness.exoscale.retries import RetryPolicy
from harness.exoscale.session import ApiSession
from harness.exoscale.wire import (
    Deployment,
    DeploymentList,
    InstanceType,
    InstanceTypeList,
    LogEntry,
    LogList,
    Model,
    ModelList,
    Operation,
    Quota,
    QuotaList,
    RevealedKey,
    Zone,
    ZoneList,
    model_ref,
)
from harness.secret import Secret

DEPLOYMENTS = "/ai/deployment"
MODELS = "/ai/model"


def _path(root: str, resource_id: str, tail: str = "") -> str:
    return f"{root}/{quote(resource_id, safe='')}{tail}"


class ExoscaleClient:
    """A client for one zone; an async context manager, safe to share between tasks of one event loop.

    Every method raises ApiError (by status one of its kinds), NetworkError or PlatformError. ``transport`` stands
    in for the network in tests.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        policy: RetryPolicy | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        self.credentials = credentials
        self._session = ApiSession(credentials, transport=transport, policy=policy, timeout_s=timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.aclose()

    async def create_deployment(
        self,
        *,
        name: str,
        model: str,
        gpu_type: str,
        gpu_count: int,
        replicas: int = 1,
        engine_version: str | None = None,
        parameters: Sequence[str] = (),
    ) -> Operation:
        """Starts a deployment of ``model``, an id or a Hugging Face name.

        Not repeated where it may have happened: after an error for which ``is_ambiguous`` holds, look the name up.
        ``engine_version`` None takes the server's default, which changes from month to month.
        """
        body: dict[str, Any] = {
            "name": name,
            "model": model_ref(model).model_dump(by_alias=True, exclude_none=True),
            "gpu-type": gpu_type,
            "gpu-count": gpu_count,
            "replicas": replicas,
        }
        if engine_version is not None:
            body["inference-engine-version"] = engine_version
        if parameters:
            body["inference-engine-parameters"] = list(parameters)
        return await self._session.call(
            "create-deployment",
            "POST",
            DEPLOYMENTS,
            body=body,
            answer=Operation,
            subject=f"{gpu_type!r} x {gpu_count * replicas}",
        )

    async def get_deployment(self, deployment_id: str) -> Deployment:
        """Everything about one deployment; NotFoundError once it is gone."""
        return await self._session.call(
            "get-deployment",
            "GET",
            _path(DEPLOYMENTS, deployment_id),
            answer=Deployment,
            subject=repr(deployment_id),
        )

    async def list_deployments(self, *, visibility: str | None = None) -> tuple[Deployment, ...]:
        """All deployments of the zone, without their parameters and versions."""
        found = await self._session.call(
            "list-deployments",
            "GET",
            DEPLOYMENTS,
            params={"visibility": visibility} if visibility else None,
            answer=DeploymentList,
        )
        return found.deployments

    async def update_deployment(
        self,
        deployment_id: str,
        *,
        name: str | None = None,
        engine_version: str | None = None,
        parameters: Sequence[str] | None = None,
    ) -> Operation:
        """Changes what is given; an empty ``parameters`` clears the list. ValueError when nothing is given."""
        body: dict[str, Any] = {}
        if name is not None:
            body["name"] = name
        if engine_version is not None:
            body["inference-engine-version"] = engine_version
        if parameters is not None:
            body["inference-engine-parameters"] = list(parameters)
        if not body:
            raise ValueError("update_deployment needs a name, a version or parameters")
        return await self._session.call(
            "update-deployment",
            "PATCH",
            _path(DEPLOYMENTS, deployment_id),
            body=body,
            answer=Operation,
            subject=repr(deployment_id),
        )

    async def scale_deployment(self, deployment_id: str, *, replicas: int) -> Operation:
        """Sets the number of replicas; 0 keeps the deployment and frees its GPUs."""
        return await self._session.call(
            "scale-deployment",
            "POST",
            _path(DEPLOYMENTS, deployment_id, "/scale"),
            body={"replicas": replicas},
            answer=Operation,
            subject=f"{deployment_id!r} to {replicas}",
        )

    async def delete_deployment(self, deployment_id: str) -> Operation:
        """Starts the end of a deployment; ConflictError while another operation is on its way."""
        return await self._session.call(
            "delete-deployment",
            "DELETE",
            _path(DEPLOYMENTS, deployment_id),
            answer=Operation,
            subject=repr(deployment_id),
        )

    async def get_deployment_logs(
        self, deployment_id: str, *, tail: int | None = None
    ) -> tuple[LogEntry, ...]:
        """The last ``tail`` lines, oldest first; the server's own number of them when None."""
        found = await self._session.call(
            "get-deployment-logs",
            "GET",
            _path(DEPLOYMENTS, deployment_id, "/logs"),
            params=None if tail is None else {"tail": str(tail)},
            answer=LogList,
            subject=repr(deployment_id),
        )
        return found.logs

    async def reveal_deployment_api_key(self, deployment_id: str) -> Secret:
        """The bearer key of the deployment's endpoint."""
        found = await self._session.call(
            "reveal-deployment-api-key",
            "GET",
            _path(DEPLOYMENTS, deployment_id, "/api-key"),
            answer=RevealedKey,
            subject=repr(deployment_id),
        )
        return Secret(found.api_key)

    async def list_ai_instance_types(self) -> tuple[InstanceType, ...]:
        """The GPU families of the zone; one without capacity may be missing."""
        found = await self._session.call(
            "list-ai-instance-types", "GET", "/ai/instance-type", answer=InstanceTypeList
        )
        return found.instance_types

    async def get_inference_engine_help(self, version: str | None = None) -> dict[str, Any]:
        """The help document as the server sent it; ``harness.params`` reads it."""
        return await self._session.call_raw(
            "get-inference-engine-help",
            "/ai/help/inference-engine-parameters",
            params={"version": version} if version else None,
        )

    async def get_operation(self, operation_id: str) -> Operation:
        """The present state of an asynchronous change; NotFoundError is possible shortly after it began."""
        return await self._session.call(
            "get-operation",
            "GET",
            _path("/operation", operation_id),
            answer=Operation,
            subject=repr(operation_id),
        )

    async def list_zones(self) -> tuple[Zone, ...]:
        """All zones; sent unsigned, because a restricted key may not read them."""
        found = await self._session.call("list-zones", "GET", "/zone", answer=ZoneList, signed=False)
        return found.zones

    async def create_model(self, name: str, *, huggingface_token: Secret | None = None) -> Operation:
        """Starts the import of a Hugging Face repository into the zone."""
        body = {"name": name}
        if huggingface_token:
            body["huggingface-token"] = huggingface_token.reveal()
        return await self._session.call(
            "create-model",
            "POST",
            MODELS,
            body=body,
            answer=Operation,
            subject=repr(name),
            hidden=(huggingface_token,) if huggingface_token else (),
        )

    async def list_models(self) -> tuple[Model, ...]:
        """The models present in the zone, in whatever state."""
        found = await self._session.call("list-models", "GET", MODELS, answer=ModelList)
        return found.models

    async def get_model(self, model_id: str) -> Model:
        """One model by its id."""
        return await self._session.call(
            "get-model", "GET", _path(MODELS, model_id), answer=Model, subject=repr(model_id)
        )

    async def delete_model(self, model_id: str) -> Operation:
        """Starts the removal of a model; ApiError (412) names the deployments that still use it."""
        return await self._session.call(
            "delete-model",
            "DELETE",
            _path(MODELS, model_id),
            answer=Operation,
            subject=repr(model_id),
        )

    async def list_quotas(self) -> tuple[Quota, ...]:
        """All quotas of the organisation in this zone; those of GPU families carry the family's name."""
        return (await self._session.call("list-quotas", "GET", "/quota", answer=QuotaList)).quotas

    async def get_quota(self, resource: str) -> Quota:
        """One quota by the name of its resource."""
        return await self._session.call(
            "get-quota", "GET", _path("/quota", resource), answer=Quota, subject=repr(resource)
        )
