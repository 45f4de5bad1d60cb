"""JSON values as the engine's validator takes them: ``"3"`` and ``3.0`` are integers, ``"yes"`` is true. Pure.

The rules are those of pydantic's default, lax mode.
"""

from __future__ import annotations

import re

_INTEGER_TEXT = re.compile(r"([+-]?)([0-9]+(?:_[0-9]+)*)(?:\.0+)?", re.ASCII)
_FLOAT_TEXT = re.compile(
    r"[+-]?(?:inf|infinity|nan|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)", re.ASCII | re.IGNORECASE
)
_BOOLEAN_TEXTS = {"0", "off", "f", "false", "n", "no", "1", "on", "t", "true", "y", "yes"}
_RUST_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_MAX_DIGITS = 4300


def truth(value: object) -> bool:
    """Whether a value that is taken for a boolean means true."""
    if isinstance(value, str):
        return value.lower() in {"1", "on", "t", "true", "y", "yes"}
    return bool(value)


def is_boolean(value: object) -> bool:
    """Whether a JSON value is taken for a boolean."""
    if isinstance(value, str):
        return value.lower() in _BOOLEAN_TEXTS
    return isinstance(value, (bool, int, float)) and value in (0, 1)


def integer_of(value: object) -> int | None:
    """The integer a JSON value is taken for, or None: whole floats, booleans and decimal text are integers too."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() and -(2.0**63) < value < 2.0**63 else None
    if not isinstance(value, str):
        return None
    match = _INTEGER_TEXT.fullmatch(value.strip(_RUST_SPACE))
    if match is None:
        return None
    digits = match[2].replace("_", "").lstrip("0") or "0"
    return int(f"{match[1].strip('+')}{digits}") if len(digits) <= _MAX_DIGITS else None


def is_number(value: object) -> bool:
    """Whether a JSON value is taken for a number; infinities and NaN are."""
    if isinstance(value, (int, float)):
        return True
    if not isinstance(value, str):
        return False
    text = value.strip(_RUST_SPACE)
    if "_" in text:
        if text.startswith("_") or text.endswith("_") or "__" in text:
            return False
        text = text.replace("_", "")
    return _FLOAT_TEXT.fullmatch(text) is not None


def fits_double(value: object) -> bool:
    """Whether a number is small enough for a double; True for what is no integer."""
    try:
        float(value if isinstance(value, int) else 0)
    except OverflowError:
        return False
    return True
