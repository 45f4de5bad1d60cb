"""Where a key or a value stands inside a JSON text. Pure; the text is known to be JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from harness.params.reading import Span

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def find_key(text: str, path: tuple[str, ...], span: Span) -> Span:
    """The key at ``path`` with its quotes, in the coordinates of ``span``; ``span`` itself when it is not there."""
    return _shifted(_find(text, path, key=True), span)


def find_value(text: str, path: tuple[str, ...], span: Span) -> Span:
    """The value at ``path``, in the coordinates of ``span``; ``span`` itself when it is not there."""
    return _shifted(_find(text, path, key=False), span)


def _shifted(found: tuple[int, int] | None, span: Span) -> Span:
    if found is None:
        return span
    return Span(span.index, span.start + found[0], span.start + found[1])


def _find(text: str, path: tuple[str, ...], *, key: bool) -> tuple[int, int] | None:
    start = _skip(text, 0)
    found = None
    for depth, wanted in enumerate(path):
        if text[start : start + 1] != "{":
            return None
        matches = [member for member in _members(text, start) if member[0] == wanted]
        if not matches:
            return None
        _, key_start, key_end, value_start, value_end = matches[-1]
        last = depth == len(path) - 1
        found = (key_start, key_end) if key and last else (value_start, value_end)
        start = value_start
    return found


def _members(text: str, start: int) -> Iterator[tuple[str, int, int, int, int]]:
    """Key, key start and end, value start and end of each member of the object that begins at ``start``."""
    position = _skip(text, start + 1)
    while text[position : position + 1] == '"':
        name, key_end = _DECODER.raw_decode(text, position)
        value_start = _skip(text, _skip(text, key_end) + 1)
        _, value_end = _DECODER.raw_decode(text, value_start)
        yield name, position, key_end, value_start, value_end
        position = _skip(text, value_end)
        if text[position : position + 1] == ",":
            position = _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position
