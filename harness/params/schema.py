"""The shape of structured values: keys, types and the checks made while parsing. Pure.

A field's type is written as ``bool | null``, ``int >= 0``, ``list[int | str]``, ``map[str]``, ``one of a, b``
(exact text), ``int of 2, 3``, ``name of NONE=0, FULL=2`` (a name in any case, or its number), or as another
schema's name. A ``float`` takes an integer of any size, a ``double`` only one that a double can hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class FieldKind(NamedTuple):
    """One alternative of a field's type; ``items`` are the alternatives inside a list or map."""

    type: str
    minimum: int | None = None
    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    items: tuple[FieldKind, ...] = ()


class Field(NamedTuple):
    """A field's type: its text as written, its alternatives, or the schema of a nested object."""

    text: str
    kinds: tuple[FieldKind, ...]
    nullable: bool
    schema: Schema | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The texts the field takes, where they are listed."""
        return tuple(name for kind in self.kinds for name in kind.names)


class Schema(NamedTuple):
    """One structured value: its fields by key.

    ``ignores_unknown_keys``: a key that is not a field is dropped without a word; else it is an error. ``checks``
    names further conditions (``harness.params.structure``), ``reasoning_parsers`` the names one of them needs.
    """

    name: str
    fields: Mapping[str, Field]
    ignores_unknown_keys: bool
    checks: tuple[str, ...] = ()
    reasoning_parsers: tuple[str, ...] = ()


def parse_schemas(document: Mapping[str, Any], *, reasoning_parsers: Sequence[str] = ()) -> dict[str, Schema]:
    """Schemas by name from the ``schemas`` table of a grammar file; ValueError for a type that cannot be read."""
    done: dict[str, Schema] = {}

    def schema(name: str) -> Schema:
        if name not in done:
            table = document[name]
            fields = {key: field(text) for key, text in table.get("fields", {}).items()}
            done[name] = Schema(
                name=name,
                fields=fields,
                ignores_unknown_keys=bool(table.get("ignores-unknown-keys", True)),
                checks=tuple(table.get("checks", ())),
                reasoning_parsers=tuple(reasoning_parsers),
            )
        return done[name]

    def field(text: str) -> Field:
        bare, nullable = text.removesuffix(" | null"), text.endswith(" | null")
        if bare in document:
            return Field("a JSON object", (), nullable, schema(bare))
        return Field(text, _alternatives(bare), nullable)

    return {name: schema(name) for name in document}


def _alternatives(text: str) -> tuple[FieldKind, ...]:
    if text.startswith(("one of ", "int of ", "name of ")):
        return (_listed(text),)
    if text.startswith("list["):
        return (FieldKind("list", items=_alternatives(text[5:-1])),)
    if text.startswith("map["):
        return (FieldKind("map", items=_alternatives(text[4:-1])),)
    return tuple(_simple(part) for part in text.split(" | "))


def _listed(text: str) -> FieldKind:
    kind, _, rest = text.partition(" of ")
    values = rest.split(", ")
    if kind == "int":
        return FieldKind("int of", numbers=tuple(int(value) for value in values))
    names = tuple(value.partition("=")[0] for value in values)
    numbers = tuple(int(value.partition("=")[2]) for value in values if "=" in value)
    return FieldKind(f"{kind} of", names=names, numbers=numbers)


def _simple(text: str) -> FieldKind:
    base, _, minimum = text.partition(" >= ")
    if base not in ("bool", "int", "float", "double", "str", "map"):
        raise ValueError(f"a grammar file has the unknown field type {text!r}")
    return FieldKind(base, minimum=int(minimum) if minimum else None)
