"""The simulated API's operations: from path, query and body to the document of a success, or a Refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.simulator import bodies
from harness.simulator.cloud import Cloud
from harness.simulator.inventory import ZONE
from harness.simulator.refusal import Dialect, Refusal, not_found


@dataclass(frozen=True, slots=True)
class Call:
    """One request as an operation needs it."""

    cloud: Cloud
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


Handler = Callable[[Call], Any]


def _create(call: Call) -> Any:
    return call.cloud.create(bodies.read_create(call.body, versions=call.cloud.versions)).document()


def _get(call: Call) -> Any:
    return call.cloud.deployment(call.path["id"]).document(call.cloud.settings.dialect)


def _list(call: Call) -> Any:
    dialect = call.cloud.settings.dialect
    now = call.cloud.clock.now()
    shown = [record for record in call.cloud.deployments.values() if record.listed_from <= now]
    entries = [record.entry(dialect) for record in shown]
    if dialect is Dialect.RFC9457:
        if call.query.get("visibility") not in (None, "private", "public"):
            raise Refusal(400, "The visibility must be private or public.")
        entries.append(PUBLIC_ENTRY)
        entries = [
            entry
            for entry in entries
            if call.query.get("visibility", entry["visibility"]) == entry["visibility"]
        ]
    return {"deployments": entries}


def _update(call: Call) -> Any:
    return call.cloud.update(
        call.path["id"], bodies.read_update(call.body, versions=call.cloud.versions)
    ).document()


def _scale(call: Call) -> Any:
    return call.cloud.scale(call.path["id"], bodies.read_scale(call.body)).document()


def _delete(call: Call) -> Any:
    return call.cloud.delete(call.path["id"]).document()


def _logs(call: Call) -> Any:
    tail = call.query.get("tail")
    if tail is not None and not (tail.isascii() and tail.isdigit()):
        raise Refusal(400, "The query parameter tail must be a whole number.")
    return {"logs": call.cloud.logs(call.path["id"], tail=None if tail is None else int(tail))}


def _api_key(call: Call) -> Any:
    return {"api-key": call.cloud.api_key(call.path["id"]).reveal()}


def _instance_types(call: Call) -> Any:
    inventory = call.cloud.inventory
    return {
        "instance-types": [
            {"family": name, "authorized": inventory.is_authorized(name)} for name in inventory.families
        ]
    }


def _help(call: Call) -> Any:
    version = call.query.get("version", call.cloud.versions[-1])
    if version not in call.cloud.documents:
        raise Refusal(400, f"No inference engine version {version}.")
    return call.cloud.documents[version]


def _operation(call: Call) -> Any:
    return call.cloud.operation(call.path["id"]).document()


def _zones(call: Call) -> Any:
    return {"zones": [{"name": ZONE, "api-endpoint": f"{call.cloud.base_url}/v2"}]}


def _create_model(call: Call) -> Any:
    name, has_token = bodies.read_create_model(call.body)
    return call.cloud.create_model(name, has_token=has_token).document()


def _models(call: Call) -> Any:
    return {"models": [model.document() for model in call.cloud.models.values()]}


def _model(call: Call) -> Any:
    return call.cloud.model(call.path["id"]).document()


def _delete_model(call: Call) -> Any:
    return call.cloud.delete_model(call.path["id"]).document()


def _quotas(call: Call) -> Any:
    inventory = call.cloud.inventory
    quotas = [
        {"resource": family.name, "usage": inventory.used.get(family.name, 0), "limit": family.quota}
        for family in inventory.families.values()
    ]
    return {"quotas": [*quotas, {"resource": "instance", "usage": 0, "limit": -1}]}


def _quota(call: Call) -> Any:
    for quota in _quotas(call)["quotas"]:
        if quota["resource"] == call.path["id"]:
            return quota
    raise not_found("The quota")


PUBLIC_ENTRY = {
    "name": "managed-offer",
    "state": "ready",
    "deployment-url": "https://inference.example.com/v1",
    "model": {"name": "Qwen/Qwen3-32B"},
    "visibility": "public",
}
OPERATIONS: tuple[tuple[str, str, str, Handler], ...] = (
    ("POST", "/ai/deployment", "create-deployment", _create),
    ("GET", "/ai/deployment", "list-deployments", _list),
    ("GET", "/ai/deployment/{id}", "get-deployment", _get),
    ("PATCH", "/ai/deployment/{id}", "update-deployment", _update),
    ("DELETE", "/ai/deployment/{id}", "delete-deployment", _delete),
    ("POST", "/ai/deployment/{id}/scale", "scale-deployment", _scale),
    ("GET", "/ai/deployment/{id}/logs", "get-deployment-logs", _logs),
    ("GET", "/ai/deployment/{id}/api-key", "reveal-deployment-api-key", _api_key),
    ("GET", "/ai/instance-type", "list-ai-instance-types", _instance_types),
    ("GET", "/ai/help/inference-engine-parameters", "get-inference-engine-help", _help),
    ("POST", "/ai/model", "create-model", _create_model),
    ("GET", "/ai/model", "list-models", _models),
    ("GET", "/ai/model/{id}", "get-model", _model),
    ("DELETE", "/ai/model/{id}", "delete-model", _delete_model),
    ("GET", "/operation/{id}", "get-operation", _operation),
    ("GET", "/zone", "list-zones", _zones),
    ("GET", "/quota", "list-quotas", _quotas),
    ("GET", "/quota/{id}", "get-quota", _quota),
)
