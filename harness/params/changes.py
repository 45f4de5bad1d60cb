"""What differs between two engine versions' parameters. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.params.grammar import Grammar, Option

ADDED = "added"
REMOVED = "removed"
CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: a parameter ``added`` or ``removed``, or an ``aspect`` of it ``changed``.

    ``before`` and ``after`` are texts, None where there is nothing to show.
    """

    name: str
    kind: str
    aspect: str | None = None
    before: str | None = None
    after: str | None = None


def compare(old: Grammar, new: Grammar) -> tuple[Change, ...]:
    """Every difference, by name; removed ones first, then added, then changed ones."""
    removed = [
        Change(name, REMOVED, before=_summary(old.names[name])) for name in old.names if name not in new.names
    ]
    added = [
        Change(name, ADDED, after=_summary(new.names[name])) for name in new.names if name not in old.names
    ]
    changed = [
        change
        for name, option in old.names.items()
        if name in new.names
        for change in _aspects(option, new.names[name])
    ]
    return (*sorted(removed, key=_by_name), *sorted(added, key=_by_name), *sorted(changed, key=_by_name))


def _by_name(change: Change) -> tuple[str, str]:
    return change.name, change.aspect or ""


def _aspects(old: Option, new: Option) -> Iterator[Change]:
    for aspect, before, after in (
        ("default", old.spec.default, new.spec.default),
        ("type", describe_type(old), describe_type(new)),
        ("deprecated", str(old.deprecated), str(new.deprecated)),
    ):
        if before != after:
            yield Change(old.name, CHANGED, aspect, before, after)
    for aspect, lost, gained in (
        ("flags", *_lists(old.flags, new.flags)),
        ("values", *_lists(_values(old), _values(new))),
        ("keys", *_lists(_keys(old), _keys(new))),
    ):
        if lost or gained:
            yield Change(old.name, CHANGED, aspect, f"-{', '.join(lost)}" if lost else None, _plus(gained))


def _plus(gained: tuple[str, ...]) -> str | None:
    return f"+{', '.join(gained)}" if gained else None


def _lists(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(item for item in old if item not in new), tuple(item for item in new if item not in old)


def _values(option: Option) -> tuple[str, ...]:
    return option.choices or option.known_values or ()


def _keys(option: Option) -> tuple[str, ...]:
    return tuple(option.schema.fields) if option.schema is not None else ()


def _summary(option: Option) -> str:
    return describe_type(option)


def describe_type(option: Option) -> str:
    """What follows the flag, in words: ``integer``, ``one of: a, b``, ``switch``, ``JSON object (EPLBConfig)``."""
    if option.is_switch:
        return "switch"
    text = option.kind.value
    if option.schema is not None:
        text = f"JSON object ({option.schema.name})"
    elif option.choices:
        text = "one of a list"
    if option.automatic:
        text += " or auto"
    if option.nullable:
        text += " or None"
    many = {"many": ", one or more", "optional": ", may be left out"}
    return text + many.get(option.arity.value, "")
