"""TOML text to nodes that keep their place. Pure: reads a string, not a file.

``tomllib`` judges the text first; the reader here only finds again where each value stands, so it may be simpler than
the grammar. Dates and times are texts.
"""

from __future__ import annotations

import re
import tomllib

from harness.plan.findings import Findings
from harness.plan.nodes import Entries, Items, Node, Scalar, Style
from harness.plan.spans import Source

MAX_DEPTH = 100

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\n\r]*")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"""(?!")"{0,2}', re.DOTALL),
    re.compile(r"'''.*?'''(?!')'{0,2}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_PLACE = re.compile(r"\(at (?:line (\d+), column (\d+)|end of document)\)")


def compose_toml(source: Source, findings: Findings) -> Node:
    """The root table of a TOML text; what cannot be read raises ConfigError with the place."""
    try:
        tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        raise findings.fatal(_place(source, str(error)), f"not valid TOML: {_reason(str(error))}") from None
    except RecursionError:
        raise findings.fatal((0, 1), f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise findings.fatal((0, 1), f"not usable TOML: {error}") from None
    return _Finder(source, findings).document()


def _reason(message: str) -> str:
    reason = _PLACE.sub("", message).strip()
    return reason[:1].lower() + reason[1:]


def _place(source: Source, message: str) -> tuple[int, int]:
    place = _PLACE.search(message)
    if place is None or place[1] is None:
        return len(source.text), len(source.text)
    offset = source.line_starts[min(int(place[1]), len(source.line_starts)) - 1] + int(place[2]) - 1
    return offset, min(offset + 1, len(source.text))


class _Table:
    """A table that may still grow: keys with their values, in order."""

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.values: dict[str, tuple[Scalar, Node | _Table | list[_Table]]] = {}

    def node(self) -> Entries:
        entries: list[tuple[Scalar, Node]] = []
        for key, value in self.values.values():
            if isinstance(value, _Table):
                entries.append((key, value.node()))
            elif isinstance(value, list):
                tables = tuple(table.node() for table in value)
                size = 1 + sum(table.size for table in tables)
                entries.append((key, Items(tables, tables[0].start, tables[-1].end, size)))
            else:
                entries.append((key, value))
        return Entries(tuple(entries), self.start, self.end, 1 + sum(1 + v.size for _, v in entries))


class _Finder:
    """Walks a valid text from left to right; lives for that text."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self.source = source
        self.text = source.text
        self.findings = findings
        self.at = 0

    def document(self) -> Node:
        root = table = _Table(0)
        self.blank()
        while self.at < len(self.text):
            if self.text.startswith("[", self.at):
                table = self.header(root)
            else:
                self.pair(table)
            self.blank()
        return root.node()

    def blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match is not None else self.at

    def header(self, root: _Table) -> _Table:
        start = self.at
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        keys = self.keys()
        self.at += 2 if is_array else 1
        parent = self.descend(root, keys[:-1])
        key, table = keys[-1], _Table(start)
        table.end = self.at
        if is_array:
            held = parent.values.setdefault(key.text, (key, []))[1]
            if isinstance(held, list):
                held.append(table)
            return table
        existing = parent.values.get(key.text)
        if existing is not None and isinstance(existing[1], _Table):
            return existing[1]
        parent.values[key.text] = (key, table)
        return table

    def descend(self, table: _Table, keys: list[Scalar]) -> _Table:
        for key in keys:
            held = table.values.setdefault(key.text, (key, _Table(key.start)))[1]
            if isinstance(held, list):
                table = held[-1]
            elif isinstance(held, _Table):
                table = held
        return table

    def pair(self, table: _Table) -> None:
        keys = self.keys()
        self.at += 1
        self.blank()
        value = self.value(depth=0)
        table.end = max(table.end, value.end)
        self.descend(table, keys[:-1]).values[keys[-1].text] = (keys[-1], value)

    def keys(self) -> list[Scalar]:
        """A dotted key, up to what follows it."""
        keys: list[Scalar] = []
        while True:
            self.blank()
            bare = _BARE_KEY.match(self.text, self.at)
            if bare is not None:
                keys.append(Scalar(bare[0], bare[0], self.at, bare.end()))
                self.at = bare.end()
            else:
                keys.append(self.scalar())
            self.blank()
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def value(self, *, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.findings.fatal((self.at, self.at + 1), f"nested deeper than {MAX_DEPTH} levels")
        mark = self.text[self.at : self.at + 1]
        if mark == "[":
            return self.list(depth)
        if mark == "{":
            return self.inline_table(depth)
        return self.scalar()

    def list(self, depth: int) -> Items:
        start, items = self.at, []
        self.at += 1
        self.blank()
        while not self.text.startswith("]", self.at):
            items.append(self.value(depth=depth + 1))
            self.separator()
        self.at += 1
        return Items(tuple(items), start, self.at, 1 + sum(item.size for item in items), flow=True)

    def inline_table(self, depth: int) -> Entries:
        table = _Table(self.at)
        self.at += 1
        self.blank()
        while not self.text.startswith("}", self.at):
            keys = self.keys()
            self.at += 1
            self.blank()
            value = self.value(depth=depth + 1)
            self.descend(table, keys[:-1]).values[keys[-1].text] = (keys[-1], value)
            self.separator()
        self.at += 1
        table.end = self.at
        return table.node()

    def separator(self) -> None:
        self.blank()
        if self.text.startswith(",", self.at):
            self.at += 1
            self.blank()

    def scalar(self) -> Scalar:
        start = self.at
        for pattern in _STRINGS:
            match = pattern.match(self.text, start)
            if match is not None:
                self.at = match.end()
                return Scalar(text := self.decode(match[0]), text, start, self.at, Style.TOML)
        match = _BARE_VALUE.match(self.text, start)
        written = match[0].rstrip() if match is not None else ""
        if not written:
            raise self.findings.fatal((start, min(start + 1, len(self.text))), "a value was expected here")
        self.at = start + len(written)
        value = tomllib.loads(f"x = {written}")["x"]
        return Scalar(value if isinstance(value, bool | int | float) else written, written, start, self.at)

    def decode(self, written: str) -> str:
        return str(tomllib.loads(f"x = {written}")["x"])
