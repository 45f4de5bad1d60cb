"""What the JSON Schema of sweep files is put together from. Pure."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_NUMBER = r"(\d+(\.\d*)?|\.\d+)"
# Numbers with their units, as the reader takes them, in either case.
TIME = rf"({_NUMBER}\s*([mM]?[sS]|[mM][iI][nN]|[mMhHdD]))+"
DURATION: Schema = {
    "description": "A duration: 30s, 5m, 1h30m, or seconds.",
    "anyOf": [
        {"type": "string", "pattern": rf"^\s*({TIME}|{_NUMBER})\s*$"},
        {"type": "number", "minimum": 0},
    ],
}


def text(description: str, **limits: Any) -> Schema:
    """A text, perhaps with a ``pattern`` and the like."""
    return {"description": description, "type": "string", **limits}


def integer(description: str, *, minimum: int, maximum: int | None = None) -> Schema:
    """A whole number, limits inclusive."""
    limits = {"minimum": minimum} if maximum is None else {"minimum": minimum, "maximum": maximum}
    return {"description": description, "type": "integer", **limits}


def closed(description: str, properties: Schema, **rest: Any) -> Schema:
    """A mapping that has no other keys than these."""
    return {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        **rest,
    }
