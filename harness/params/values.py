"""One value's text to what it means, by the engine's own rules; refusals are returned, not raised. Pure.

Numbers follow Python's ``int()`` and ``float()``, JSON follows Python's ``json``, as in the engine.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import NamedTuple

from harness.params.grammar import Option, ValueKind
from harness.params.refusals import Refusal, RefusalKind
from harness.params.structure import check_structure

# The engine's pattern library counts these, and not the separators \x1c to \x1f, as white space.
_SPACE = r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_BRACES = rf"(?s){_SPACE}*\{{.*\}}{_SPACE}*\n?\Z"
_HUMAN_INTEGER = re.compile(r"(\d+(?:\.\d+)?)([kKmMgGtT])")
_MULTIPLIERS = {
    **{letter: 1000**power for power, letter in enumerate("kmgt", start=1)},
    **{letter: 1024**power for power, letter in enumerate("KMGT", start=1)},
}
# Deeper than this the engine's validator refuses; empty objects and arrays do not count.
MAX_DEPTH = 200
MAX_REMEMBERED = 200
_LORA_KEYS = {"name", "path", "base_model_name"}


class Conversion(NamedTuple):
    """What a text means, or why it means nothing; ``value`` is None in the second case, and for null."""

    value: object
    refusals: tuple[Refusal, ...] = ()


def convert(option: Option, text: str) -> Conversion:
    """The meaning of one value of ``option``, choices included. Short texts are remembered: do not change the value."""
    return _remembered(option, text) if len(text) <= MAX_REMEMBERED else _convert(option, text)


def _convert(option: Option, text: str) -> Conversion:
    if option.nullable and text in ("", "None"):
        if option.choices is not None:
            return _refuse(RefusalKind.CHOICE, "null is not among the values")
        return Conversion(None)
    conversion = _convert_kind(option, text)
    if conversion.refusals or option.choices is None:
        return conversion
    if option.kind is ValueKind.INTEGER:
        allowed = any(
            choice.lstrip("-").isdigit() and int(choice) == conversion.value for choice in option.choices
        )
    else:
        allowed = conversion.value in option.choices
    return conversion if allowed else _refuse(RefusalKind.CHOICE, "")


_remembered = lru_cache(maxsize=8192)(_convert)


def _convert_kind(option: Option, text: str) -> Conversion:
    match option.kind:
        case ValueKind.TEXT:
            return Conversion(text)
        case ValueKind.INTEGER:
            return _integer(text)
        case ValueKind.NUMBER:
            return _number(text)
        case ValueKind.HUMAN_INTEGER:
            return _human_integer(option, text)
        case ValueKind.JSON:
            return parse_json(text)
        case ValueKind.JSON_OR_TEXT:
            return parse_json(text) if re.match(_BRACES, text) else Conversion(text)
        case ValueKind.STRUCTURE:
            return _structure(option, text)
        case ValueKind.LORA_MODULE:
            return _lora_module(text)


def _refuse(kind: RefusalKind, detail: str, *, offset: int | None = None) -> Conversion:
    return Conversion(None, (Refusal(kind, detail, offset=offset),))


def _integer(text: str) -> Conversion:
    try:
        return Conversion(int(text))
    except ValueError:
        return _refuse(RefusalKind.TYPE, "an integer")


def _number(text: str) -> Conversion:
    try:
        return Conversion(float(text))
    except ValueError:
        return _refuse(RefusalKind.TYPE, "a number")


def _human_integer(option: Option, text: str) -> Conversion:
    stripped = text.strip()
    if option.automatic and (stripped == "-1" or stripped.lower() == "auto"):
        return Conversion(-1)
    match = _HUMAN_INTEGER.fullmatch(stripped)
    try:
        if match is None or match[2] not in option.suffixes:
            return Conversion(int(stripped))
        number, suffix = match.groups()
        if suffix.islower():
            return Conversion(int(float(number) * _MULTIPLIERS[suffix]))
        return Conversion(int(number) * _MULTIPLIERS[suffix])
    except (ValueError, OverflowError):
        return _refuse(RefusalKind.TYPE, "an integer, 32k (32000) or 32K (32768)")


def parse_json(text: str) -> Conversion:
    """Decoded JSON; NaN and infinities are JSON here. ``offset`` of a refusal is where reading stopped."""
    try:
        return Conversion(json.loads(text))
    except json.JSONDecodeError as error:
        return _refuse(RefusalKind.JSON, error.msg, offset=error.pos)
    except ValueError as error:
        return _refuse(RefusalKind.JSON, str(error))
    except RecursionError:
        return _refuse(RefusalKind.JSON, "nested too deeply")


def plain_integer(text: str) -> int | None:
    """The whole number people mean by ``16k``, ``1K``, ``1,000``, ``1e3`` or ``8.0``; None when it is not clear."""
    match = _HUMAN_INTEGER.fullmatch(text.strip())
    try:
        if match is not None and "." not in match[1]:
            scale: int = _MULTIPLIERS[match[2]]
            return int(match[1]) * scale
        grouped = re.fullmatch(r"\d{1,3}([ ,']\d{3})+", text.strip())
        value = float(re.sub("[ ,']", "", text) if grouped else text)
        return int(value) if value.is_integer() and abs(value) < 1e15 else None
    except (ValueError, OverflowError):
        return None


def _structure(option: Option, text: str) -> Conversion:
    conversion = parse_json(text)
    if conversion.refusals or option.schema is None:
        return conversion
    if not _encodable(text) or ("\\u" in text and not _encodable_inside(conversion.value)):
        return _refuse(RefusalKind.JSON, "half of a surrogate pair")
    if text.count("[") + text.count("{") > MAX_DEPTH and nesting(conversion.value) > MAX_DEPTH:
        return _refuse(RefusalKind.JSON, "nested too deeply")
    refusals = check_structure(conversion.value, option.schema)
    return Conversion(None, refusals) if refusals else conversion


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encodable_inside(value: object) -> bool:
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, dict):
        return all(_encodable(key) and _encodable_inside(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_encodable_inside, value))
    return True


def nesting(value: object) -> int:
    """How deep objects and arrays that are not empty stand inside each other."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, (dict, list)) and item]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


def _lora_module(text: str) -> Conversion:
    if text == "":
        return Conversion(None)
    if "=" in text and "," not in text:
        if text.count("=") > 1:
            return _refuse(RefusalKind.TYPE, "name=path with one '='")
        return Conversion(tuple(text.split("=")))
    conversion = parse_json(text)
    if conversion.refusals:
        return conversion
    value = conversion.value
    if not isinstance(value, dict):
        return _refuse(RefusalKind.TYPE, "name=path or a JSON object")
    if not {"name", "path"} <= value.keys() or not value.keys() <= _LORA_KEYS:
        return _refuse(RefusalKind.TYPE, "an object with name, path and perhaps base_model_name")
    return conversion
