"""What one text of a list means as a flag: exactly, abbreviated, or with its value glued to it. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import lru_cache
from typing import NamedTuple

from harness.params.grammar import Grammar, Option

MAX_REMEMBERED = 200
_NEGATIVE_NUMBER = re.compile(r"^-\d+$|^-\d*\.\d+$")


class Flag(NamedTuple):
    """What one text means as a flag: the engine's spelling, or None when it has none, and a glued value."""

    option: Option | None
    spelling: str
    glued: str | None = None
    glued_at: int = 0
    written: int = 0
    ambiguous: bool = False


def matching_flags(prefix: str, grammar: Grammar) -> list[str]:
    """The engine's spellings that start with ``prefix``, sorted."""
    flags = grammar.sorted_flags
    found = []
    for position in range(bisect_left(flags, prefix), len(flags)):
        if not flags[position].startswith(prefix):
            break
        found.append(flags[position])
    return found


def flags_meant(text: str, grammar: Grammar) -> tuple[Flag, ...]:
    """What a text with a leading dash may mean: nothing (it is a value), one flag, known or not, or several."""
    return _remembered(text, grammar) if len(text) <= MAX_REMEMBERED else _flags_meant(text, grammar)


def _flags_meant(text: str, grammar: Grammar) -> tuple[Flag, ...]:
    by_flag = grammar.by_flag
    option = by_flag.get(text)
    if option is not None:
        return (Flag(option, text, written=len(text)),)
    name, equals, value = text.partition("=")
    option = by_flag.get(name) if equals else None
    if option is not None:
        return (Flag(option, name, value, len(name) + 1, len(name)),)
    if text.startswith("--"):
        at, glued = (len(name) + 1, value) if equals else (0, None)
        found = [Flag(by_flag[flag], flag, glued, at, len(name)) for flag in matching_flags(name, grammar)]
    else:
        found = [Flag(by_flag[flag], flag, written=len(text)) for flag in matching_flags(text, grammar)]
        short = by_flag.get(text[:2])
        if short is not None:
            found.append(Flag(short, text[:2], text[2:], 2, 2))
    if found:
        return tuple(found)
    return () if _NEGATIVE_NUMBER.match(text) or " " in text else (Flag(None, text),)


_remembered = lru_cache(maxsize=8192)(_flags_meant)
