"""Structured values against their schema, as leniently as the engine's validator is. Pure.

The engine converts while it validates: ``"3"`` and ``3.0`` are integers, ``"yes"`` is a boolean. The rules here follow
what pydantic does with JSON input in its default, lax mode.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from harness.params.schema import FieldKind, Schema

_INTEGER_TEXT = re.compile(r"(?:\+?0[0_]*|\+|-)?(?:(?<=[0_])|[0-9]+(?:_[0-9]+)*)(?:\.0+)?", re.ASCII)
_FLOAT_TEXT = re.compile(
    r"[+-]?(?:inf|infinity|nan|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)", re.ASCII | re.IGNORECASE
)
_BOOLEAN_TEXTS = {"0", "off", "f", "false", "n", "no", "1", "on", "t", "true", "y", "yes"}
_RUST_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_MAX_DIGITS = 4300
_PIECEWISE_BACKENDS = {"", "eager", "inductor"}
_VLLM_COMPILE = 3


class RefusalKind(StrEnum):
    """Why a value is refused."""

    TYPE = "type"
    CHOICE = "choice"
    JSON = "json"
    KEY = "key"
    FIELD = "field"
    CONDITION = "condition"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason to refuse a value.

    ``detail`` says what would have been right, or what JSON's reader said. ``path`` leads to the key inside a
    structured value; ``offset`` is a character offset inside the text. ``choices`` are the known keys or names.
    """

    kind: RefusalKind
    detail: str
    path: tuple[str, ...] = ()
    offset: int | None = None
    choices: tuple[str, ...] = ()


def check_structure(value: object, schema: Schema) -> tuple[Refusal, ...]:
    """Every reason to refuse decoded JSON as an instance of ``schema``.

    Its further conditions are looked at only when every type is right.
    """
    found = tuple(_check_fields(value, schema, ()))
    return found or tuple(_check_conditions(value, schema))


def unknown_keys(value: object, schema: Schema) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Paths of keys that ``schema`` does not have, and the schema of the object they stand in."""
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        field = schema.fields.get(key)
        if field is None:
            yield (key,), schema
        elif field.schema is not None:
            for path, inner in unknown_keys(item, field.schema):
                yield (key, *path), inner


def _check_fields(value: object, schema: Schema, path: tuple[str, ...]) -> Iterator[Refusal]:
    if not isinstance(value, dict):
        yield Refusal(RefusalKind.FIELD if path else RefusalKind.TYPE, "a JSON object", path)
        return
    for key, item in value.items():
        field = schema.fields.get(key)
        if field is None:
            if not schema.ignores_unknown_keys:
                yield Refusal(RefusalKind.KEY, "", (*path, key), choices=tuple(schema.fields))
        elif item is None and field.nullable:
            continue
        elif field.schema is not None:
            yield from _check_fields(item, field.schema, (*path, key))
        elif not any(_fits(item, kind) for kind in field.kinds):
            yield Refusal(RefusalKind.FIELD, field.text, (*path, key), choices=field.names)


def _fits(value: object, kind: FieldKind) -> bool:
    match kind.type:
        case "bool":
            return _is_boolean(value)
        case "int":
            number = integer_of(value)
            return number is not None and (kind.minimum is None or number >= kind.minimum)
        case "float":
            return _is_number(value)
        case "str":
            return isinstance(value, str)
        case "one of":
            return isinstance(value, str) and value in kind.names
        case "int of":
            return isinstance(value, (int, float)) and not isinstance(value, bool) and value in kind.numbers
        case "name of":
            if isinstance(value, str):
                return value.upper() in kind.names
            return integer_of(value) in kind.numbers
        case "list":
            return isinstance(value, list) and all(
                any(_fits(item, inner) for inner in kind.items) for item in value
            )
        case _:
            return isinstance(value, dict) and all(
                not kind.items or any(_fits(item, inner) for inner in kind.items) for item in value.values()
            )


def _is_boolean(value: object) -> bool:
    if isinstance(value, str):
        return value.lower() in _BOOLEAN_TEXTS
    return isinstance(value, (bool, int, float)) and value in (0, 1)


def integer_of(value: object) -> int | None:
    """The integer a JSON value is taken for, or None: whole floats, booleans and decimal text are integers too."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() and -(2.0**63) < value < 2.0**63 else None
    if not isinstance(value, str) or len(value) > _MAX_DIGITS:
        return None
    text = value.strip(_RUST_SPACE)
    if _INTEGER_TEXT.fullmatch(text) is None:
        return None
    digits = text.partition(".")[0].replace("_", "")
    return int(digits) if digits.lstrip("+-") else None


def _is_number(value: object) -> bool:
    if isinstance(value, (int, float)):
        return isinstance(value, float) or _fits_double(value)
    if not isinstance(value, str):
        return False
    text = value.strip(_RUST_SPACE)
    if "_" in text:
        if text.startswith("_") or text.endswith("_") or "__" in text:
            return False
        text = text.replace("_", "")
    return _FLOAT_TEXT.fullmatch(text) is not None


def _fits_double(value: int) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return True


def _check_conditions(value: object, schema: Schema) -> Iterator[Refusal]:
    if not isinstance(value, dict):
        return
    for name in schema.checks:
        check = _CONDITIONS.get(name)
        refusal = check(value, schema) if check is not None else None
        if refusal is not None:
            yield refusal


Condition = Callable[[Mapping[str, object], Schema], Refusal | None]


def _condition(key: str, detail: str) -> Refusal:
    return Refusal(RefusalKind.CONDITION, detail, (key,))


def _truth(value: object) -> bool:
    if isinstance(value, str):
        return value.lower() in {"1", "on", "t", "true", "y", "yes"}
    return bool(value)


def _custom_operations(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    operations = value.get("custom_ops")
    if not isinstance(operations, list):
        return None
    if operations.count("none") + operations.count("all") > 1:
        return _condition("custom_ops", "only one 'none' or 'all' may be given")
    for operation in operations:
        if operation not in ("all", "none") and not str(operation).startswith(("+", "-")):
            return _condition("custom_ops", f"{operation!r} is not 'all', 'none', '+name' or '-name'")
    return None


def _inductor_passes(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    if value.get("inductor_passes"):
        return _condition("inductor_passes", "names must be importable functions of the engine's image")
    return None


def _piecewise_backend(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    mode = value.get("mode")
    if mode is None:
        mode = value.get("level")
        compiled = integer_of(mode) == _VLLM_COMPILE
    else:
        compiled = (
            mode.upper() == "VLLM_COMPILE" if isinstance(mode, str) else integer_of(mode) == _VLLM_COMPILE
        )
    if compiled and value.get("backend", "") not in _PIECEWISE_BACKENDS:
        return _condition("backend", "mode 3 (VLLM_COMPILE) takes the backend eager or inductor")
    return None


def _structured_outputs(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    backend = value.get("backend", "auto")
    if _truth(value.get("disable_any_whitespace")) and backend not in ("xgrammar", "guidance"):
        return _condition("disable_any_whitespace", "needs the backend xgrammar or guidance")
    if _truth(value.get("disable_additional_properties")) and backend != "guidance":
        return _condition("disable_additional_properties", "needs the backend guidance")
    return None


def _reasoning_parser(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    parser = value.get("reasoning_parser", "")
    if parser == "" or parser in schema.reasoning_parsers:
        return None
    names = schema.reasoning_parsers
    return Refusal(RefusalKind.CONDITION, "not a reasoning parser", ("reasoning_parser",), choices=names)


def _role(prefix: str) -> Condition:
    def check(value: Mapping[str, object], schema: Schema) -> Refusal | None:
        if value.get(f"{prefix}_connector") is not None and value.get(f"{prefix}_role") is None:
            return _condition(f"{prefix}_connector", f"{prefix}_role must be given with it")
        return None

    return check


def _balancedness_interval(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    interval = integer_of(value.get("log_balancedness_interval", 1))
    if _truth(value.get("log_balancedness")) and interval is not None and interval <= 0:
        return _condition("log_balancedness_interval", "must be above 0 when log_balancedness is on")
    return None


def _one_pooling_type(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    if not value.get("pooling_type"):
        return None
    for other in ("seq_pooling_type", "tok_pooling_type"):
        if value.get(other) is not None:
            return _condition(other, "cannot be given together with pooling_type")
    return None


def _torch_profiler_directory(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    if value.get("profiler") == "torch" and not value.get("torch_profiler_dir"):
        return _condition("profiler", "the torch profiler needs torch_profiler_dir")
    return None


_CONDITIONS: Mapping[str, Condition] = {
    "custom-operations": _custom_operations,
    "inductor-passes": _inductor_passes,
    "piecewise-backend": _piecewise_backend,
    "structured-outputs": _structured_outputs,
    "reasoning-parser": _reasoning_parser,
    "kv-role": _role("kv"),
    "ec-role": _role("ec"),
    "balancedness-interval": _balancedness_interval,
    "one-pooling-type": _one_pooling_type,
    "torch-profiler-directory": _torch_profiler_directory,
}
