"""How the engine reads numbers and switches inside JSON values: its models accept more than the exact type. Pure."""

from __future__ import annotations

import re

_TRUE = {"1", "true", "t", "yes", "y", "on"}
_FALSE = {"0", "false", "f", "no", "n", "off"}
_WHOLE = re.compile(r"\s*[+-]?\d+(?:_\d+)*(?:\.0*)?\s*")


def lax_integer(value: object) -> int | None:
    """The whole number a JSON value stands for (``3``, ``3.0``, ``"3"``, ``true``), None when it stands for none."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and _WHOLE.fullmatch(value) and len(value) < 4000:
        return int(value.strip().partition(".")[0])
    return None


def lax_boolean(value: object) -> bool | None:
    """The truth value a JSON value stands for, None when it stands for none."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        lowered = value.lower()
        return True if lowered in _TRUE else False if lowered in _FALSE else None
    return None
