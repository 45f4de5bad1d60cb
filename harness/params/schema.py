"""The shape of structured values: keys, types and the checks made while parsing. Pure.

A field's type is written as in ``bool | null``, ``int >= 0``, ``list[int | str]``, ``one of a, b``, ``PassConfig``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Schema:
    """One structured value: its fields' types by key.

    ``ignores_unknown_keys``: a key that is not a field is dropped without a word; else it is an error.
    ``checks`` names further conditions (``harness.params.structure``).
    """

    name: str
    fields: Mapping[str, str]
    ignores_unknown_keys: bool
    unsettable: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()


def parse_schemas(document: Mapping[str, Any]) -> dict[str, Schema]:
    """Schemas by name from the ``schemas`` table of a grammar file."""
    return {
        name: Schema(
            name=name,
            fields=dict(table.get("fields", {})),
            ignores_unknown_keys=bool(table.get("ignores-unknown-keys", True)),
            unsettable=tuple(table.get("unsettable", ())),
            checks=tuple(table.get("checks", ())),
        )
        for name, table in document.items()
    }
