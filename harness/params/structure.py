"""Structured values against their schema, as leniently as the engine's validator is. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.params.conditions import CONDITIONS
from harness.params.lenient import fits_double, integer_of, is_boolean, is_number
from harness.params.refusals import Refusal, RefusalKind
from harness.params.schema import FieldKind, Schema


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
            return is_boolean(value)
        case "int":
            number = integer_of(value)
            return number is not None and (kind.minimum is None or number >= kind.minimum)
        case "float":
            return is_number(value)
        case "double":
            return is_number(value) and fits_double(value)
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


def _check_conditions(value: object, schema: Schema) -> Iterator[Refusal]:
    if not isinstance(value, dict):
        return
    for name in schema.checks:
        check = CONDITIONS.get(name)
        refusal = check(value, schema) if check is not None else None
        if refusal is not None:
            yield refusal
