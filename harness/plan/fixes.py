"""Turns a change of a parameter list into a change of the file's text, and nothing beyond it. Pure.

Only items written as one scalar, word or line are changed; an item put together from a flag and its value in a
mapping, a block scalar or a quoted shell word is left to the user.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harness.diagnostics import Edit
from harness.plan.spans import LocatedText, Span
from harness.plan.targets import Target
from harness.plan.yaml_nodes import resolve

_SAFE = r"-{0,2}[A-Za-z0-9_./][A-Za-z0-9_./=:+@-]*"
_SCALARS = ("plain", "single-quoted", "double-quoted", "json", "toml")


class Replacement(NamedTuple):
    """Characters ``start`` to ``end`` (exclusive) of a file become ``text``."""

    start: int
    end: int
    text: str


def replacements_for(target: Target, edit: Edit) -> tuple[Replacement, ...] | None:
    """The edit as changes of the target's file; None when the items are not written so that it can be done."""
    old, new = target.items[edit.first : edit.last], edit.items
    if any(item.form is None or item.is_opaque for item in old):
        return None
    changes: list[Replacement | None] = [
        replace_item(item, text) for item, text in zip(old, new, strict=False) if item.text != text
    ]
    changes += [remove_item(item) for item in old[len(new) :]]
    if len(new) > len(old):
        anchor = edit.first + len(old) - 1
        if not 0 <= anchor < len(target.items):
            return None
        changes.append(insert_after(target.items[anchor], new[len(old) :]))
    made = tuple(change for change in changes if change is not None)
    return made if made and len(made) == len(changes) else None


def compatible(changes: Iterable[Sequence[Replacement]]) -> list[Replacement]:
    """The changes that can be made together: a group that touches what an earlier one changes is left out whole."""
    taken: list[Replacement] = []
    for group in changes:
        if not any(_overlap(one, other) for one in group for other in taken if one != other):
            taken += [one for one in group if one not in taken]
    return taken


def _overlap(one: Replacement, other: Replacement) -> bool:
    return (one.start < other.end and other.start < one.end) or one.start == other.start


def apply_replacements(text: str, replacements: Iterable[Replacement]) -> str:
    """The text with every replacement made; they must not overlap."""
    parts, at = [], 0
    for change in sorted(replacements):
        parts += [text[at : change.start], change.text]
        at = change.end
    return "".join([*parts, text[at:]])


def replace_item(item: LocatedText, text: str) -> Replacement | None:
    """The item's own text replaced, in the way it is written."""
    written = encode(item, text)
    return None if written is None else Replacement(*item.whole, written)


def encode(item: LocatedText, text: str) -> str | None:
    """``text`` as it must be written where ``item`` stands; None when it cannot be."""
    if "\n" in text or "\r" in text:
        return None
    raw = item.source.text[slice(*item.whole)]
    if item.form == "plain":
        is_safe = re.fullmatch(_SAFE, text) and not text.endswith(":") and isinstance(resolve(text), str)
        return text if is_safe else "'" + text.replace("'", "''") + "'"
    if item.form == "single-quoted":
        return "'" + text.replace("'", "''") + "'"
    if item.form in ("double-quoted", "json"):
        return json.dumps(text, ensure_ascii=False)
    if item.form == "toml":
        return f"'{text}'" if raw[:1] == "'" and "'" not in text else json.dumps(text, ensure_ascii=False)
    if item.form == "line":
        return text if text and text == text.strip() and not text.startswith("#") else None
    if item.form in ("word", "field"):
        return text if raw == item.text and re.fullmatch(_SAFE, text) else None
    return None


def remove_item(item: LocatedText) -> Replacement | None:
    """The item taken out of its list, with the comma, the dash or the white space that goes with it."""
    text, (start, end) = item.source.text, item.whole
    if item.form in ("word", "field"):
        lead = re.search(r"(?:[ \t]|\\\r?\n)+$", text[max(0, start - 500) : start])
        if lead is not None:
            return Replacement(start - len(lead[0]), end, "")
        trail = re.match(r"[ \t]+", text[end : end + 500])
        return Replacement(start, end + trail.end(), "") if trail is not None else None
    line_start, line_end = _line_around(text, start, end)
    before, after = text[line_start:start], text[end:line_end]
    if item.form == "line" or (item.form in _SCALARS and re.fullmatch(r"\s*-\s+", before)):
        return Replacement(line_start, line_end, "") if not after.strip() else None
    return _remove_from_flow(item, before, after, line=(line_start, line_end))


def _remove_from_flow(item: LocatedText, before: str, after: str, *, line: Span) -> Replacement | None:
    """An item between commas: ``before`` and ``after`` are the rest of its ``line``."""
    text, (start, end) = item.source.text, item.whole
    if after.strip() == ",":
        if not before.strip():
            return Replacement(*line, "")  # the only one on its line, which goes with it
        return Replacement(start - len(before) + len(before.rstrip()), end + after.index(",") + 1, "")
    following = re.match(r"\s*,[ \t]*", text[end : end + 500])
    if following is not None:
        return Replacement(start, end + following.end(), "")
    preceding = re.search(r"\s*,\s*$", text[max(0, start - 500) : start])
    if preceding is not None:
        return Replacement(start - len(preceding[0]), end, "")
    is_alone = text[start - 1 : start] == "[" and text[end : end + 1] == "]"
    return Replacement(start, end, "") if is_alone else None


def insert_after(item: LocatedText, texts: Sequence[str]) -> Replacement | None:
    """New items behind one that stands in the file."""
    written = [encode(item, text) for text in texts]
    if any(one is None for one in written):
        return None
    parts = [one for one in written if one is not None]
    text, (start, end) = item.source.text, item.whole
    if item.form in ("word", "field"):
        return Replacement(end, end, "".join(f" {part}" for part in parts))
    line_start, line_end = _line_around(text, start, end)
    line_break = "\r\n" if text[:line_end].endswith("\r\n") else "\n"
    dash = re.fullmatch(r"\s*-\s+", text[line_start:start])
    if item.form == "line" or dash is not None:
        if text[end:line_end].strip():
            return None
        lead = text[line_start:start]
        return Replacement(end, end, "".join(f"{line_break}{lead}{part}" for part in parts))
    return Replacement(end, end, "".join(f", {part}" for part in parts))


def _line_around(text: str, start: int, end: int) -> tuple[int, int]:
    """Where the line of ``start`` begins and the line of ``end`` stops, its line break included."""
    line_end = text.find("\n", end)
    return text.rfind("\n", 0, start) + 1, len(text) if line_end < 0 else line_end + 1
