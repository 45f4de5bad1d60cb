"""What people mean by a value the engine does not take: a number, some JSON. Pure."""

from __future__ import annotations

import json
import re

from harness.params.values import plain_integer

MAX_LITERAL = 10_000
_PERCENT = r"(\d+(?:\.\d+)?)\s*%"
_DECIMAL_COMMA = r"\d*,\d+"
_GROUPED = r"[1-9]\d{0,2},\d{3}"
_PAIR = r"([A-Za-z_]\w*)=([^=,\s]+)"


def plain_number(text: str) -> float | None:
    """The number meant by ``90%`` or ``0,9``; None when it is not clear."""
    text = text.strip()
    percent = re.fullmatch(_PERCENT, text)
    if percent is not None:
        return float(percent[1]) / 100
    if re.fullmatch(_DECIMAL_COMMA, text) is None or re.fullmatch(_GROUPED, text) is not None:
        return None
    return float(text.replace(",", "."))


def plain_integers(text: str) -> tuple[int, ...] | None:
    """The numbers meant by ``1,2,4`` or ``[1, 2, 4]``, for a flag that takes several items."""
    parts = text.strip().strip("[]").split(",")
    numbers = [plain_integer(part.strip()) for part in parts if part.strip()]
    found = tuple(number for number in numbers if number is not None)
    return found if found and len(found) == len(numbers) else None


def plain_json(text: str) -> str | None:
    """The JSON meant by Python's way of writing it, by ``key=value`` or by ``*``; None when it is not clear."""
    if text.strip() == "*":
        return '["*"]'
    pair = re.fullmatch(_PAIR, text.strip())
    if pair is not None:
        return json.dumps({pair[1]: _scalar(pair[2])})
    return python_literal(text)


def _scalar(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def python_literal(text: str) -> str | None:
    """The JSON of a value written as Python: single quotes, ``True``, ``None``; None when it is not that."""
    if not text.lstrip().startswith(("{", "[")) or len(text) > MAX_LITERAL:
        return None
    import ast
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = ast.literal_eval(text.strip())
        return json.dumps(value, allow_nan=False) if isinstance(value, (dict, list)) else None
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
