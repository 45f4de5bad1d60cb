"""Request bodies of the simulated API, checked as its schema says. Pure: a body in, a request or a Refusal out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.simulator.refusal import Refusal

LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """create-deployment's body. Exactly one of ``model_id`` and ``model_name`` may be missing."""

    name: str
    model_id: str | None
    model_name: str | None
    gpu_type: str
    gpu_count: int
    replicas: int
    version: str
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """update-deployment's body; None for what is to stay."""

    name: str | None
    version: str | None
    parameters: tuple[str, ...] | None


class Body:
    """A JSON object whose fields are taken out one by one; what is wrong is collected and raised by ``check``."""

    def __init__(self, content: bytes) -> None:
        try:
            document = json.loads(content or b"null")
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise Refusal(400, "The request body is not a JSON object.")
        self._document: dict[str, Any] = document
        self._places: list[tuple[str, str]] = []

    def text(self, key: str, *, required: bool = False) -> str | None:
        """A string of at least one character."""
        value = self._get(key, required=required)
        if value is None:
            return None
        if isinstance(value, str) and value:
            return value
        self._wrong(key, "is not a string" if value != "" else "is shorter than 1 character")
        return None

    def integer(self, key: str, *, least: int) -> int:
        """A required whole number; ``least`` when it is wrong, which ``check`` will tell."""
        value = self._get(key, required=True)
        if value is None:
            return least
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST_INTEGER:
            self._wrong(key, "is not an integer")
            return least
        if value < least:
            self._wrong(key, f"is less than {least}")
            return least
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of strings."""
        value = self._get(key, required=False)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._wrong(key, "is not an array of strings")
            return None
        return tuple(value)

    def member(self, key: str, allowed: Sequence[str]) -> str | None:
        """A string out of a fixed enumeration."""
        value = self._get(key, required=False)
        if value is None or value in allowed:
            return value if isinstance(value, str) else None
        quoted = ", ".join(json.dumps(item) for item in allowed)
        self._wrong(key, f"does not have a value in the enumeration [{quoted}]")
        return None

    def model(self) -> tuple[str | None, str | None]:
        """Id and name of the model reference, at least one of them."""
        value = self._get("model", required=True)
        reference = value if isinstance(value, dict) else {}
        found = [reference.get(key) for key in ("id", "name")]
        texts = [text if isinstance(text, str) and text else None for text in found]
        if value is not None and not any(texts):
            self._wrong("model", "needs either id or name")
        return texts[0], texts[1]

    def check(self) -> None:
        """Refusal (422) naming every wrong field."""
        if self._places:
            raise Refusal(422, "Invalid request body.", places=self._places)

    def _get(self, key: str, *, required: bool) -> Any:
        value = self._document.get(key)
        if value is None and required:
            self._wrong(key, "is missing but it is required")
        return value

    def _wrong(self, key: str, what: str) -> None:
        self._places.append((f"$['{key}']", what))


def read_create(content: bytes, *, versions: Sequence[str]) -> CreateRequest:
    """The create request; the newest of ``versions`` (their order is by age) when none is named."""
    body = Body(content)
    name = body.text("name", required=True)
    model_id, model_name = body.model()
    gpu_type = body.text("gpu-type", required=True)
    gpu_count = body.integer("gpu-count", least=1)
    replicas = body.integer("replicas", least=1)
    version = body.member("inference-engine-version", versions) or versions[-1]
    parameters = body.texts("inference-engine-parameters") or ()
    body.check()
    return CreateRequest(
        name=name or "",
        model_id=model_id,
        model_name=model_name,
        gpu_type=gpu_type or "",
        gpu_count=gpu_count,
        replicas=replicas,
        version=version,
        parameters=parameters,
    )


def read_update(content: bytes, *, versions: Sequence[str]) -> UpdateRequest:
    """The update request; every field optional, the object itself not."""
    body = Body(content)
    request = UpdateRequest(
        name=body.text("name"),
        version=body.member("inference-engine-version", versions),
        parameters=body.texts("inference-engine-parameters"),
    )
    body.check()
    return request


def read_scale(content: bytes) -> int:
    """The wanted number of replicas, 0 included."""
    body = Body(content)
    replicas = body.integer("replicas", least=0)
    body.check()
    return replicas


def read_create_model(content: bytes) -> tuple[str, bool]:
    """The repository's name, and whether a token came with it; the token itself is not kept."""
    body = Body(content)
    name, token = body.text("name", required=True), body.text("huggingface-token")
    body.check()
    return name or "", token is not None
