"""The client has every operation on models and deployments that the vendor's document describes, and no other.

What each request looks like is held against the same document in ``tests/simulator/test_vendor_client.py``.
"""

from __future__ import annotations

import inspect
import json
from importlib import resources

from harness.exoscale.client import ExoscaleClient

# What else a sweep needs to know of an organisation and its zones.
BESIDES = {"get-operation", "list-zones", "list-quotas", "get-quota"}

# Keys and quotas of the models that the vendor serves to all; a deployment has a key of its own.
NOT_OURS = {
    "create-ai-api-key",
    "delete-ai-api-key",
    "get-ai-api-key",
    "get-user-org-consumption-quota",
    "list-ai-api-keys",
}


def test_every_operation_of_the_document_is_a_method_and_every_method_an_operation() -> None:
    text = resources.files("exoscale").joinpath("openapi.json").read_text(encoding="utf-8")
    described = {
        operation["operationId"]: path
        for path, methods in json.loads(text)["paths"].items()
        for operation in methods.values()
    }
    inference = {name for name, path in described.items() if path.startswith("/ai/")}
    assert len(inference) >= 13
    ours = {
        name.replace("_", "-")
        for name, member in vars(ExoscaleClient).items()
        if inspect.iscoroutinefunction(member) and not name.startswith("_")
    }
    assert inference >= NOT_OURS
    assert ours == inference - NOT_OURS | BESIDES
    assert set(described) >= BESIDES
