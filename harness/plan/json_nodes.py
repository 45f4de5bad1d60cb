"""JSON text to nodes that keep their place. Pure: reads a string, not a file.

The grammar is RFC 8259's; a lone surrogate escape stays one character. A finding for every duplicate key.
"""

from __future__ import annotations

import json
import re

from harness.errors import ConfigError
from harness.plan.findings import Findings
from harness.plan.nodes import Entries, Items, Node, Plain, Scalar, Style
from harness.plan.spans import Source

MAX_DEPTH = 100

_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"', re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", re.ASCII)
_WORD = re.compile(r"true|false|null")
_WORDS: dict[str, Plain] = {"true": True, "false": False, "null": None}


def compose_json(source: Source, findings: Findings) -> Node:
    """The one value of a JSON text; what cannot be read raises ConfigError with the place."""
    return _Parser(source, findings).document()


class _Parser:
    """Reads one text from left to right; lives for that text."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self.text = source.text
        self.findings = findings
        self.at = 0

    def document(self) -> Node:
        self.blank()
        node = self.value(depth=0)
        self.blank()
        if self.at != len(self.text):
            raise self.fatal("text after the end of the JSON value")
        return node

    def blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match is not None else self.at

    def fatal(self, message: str) -> ConfigError:
        return self.findings.fatal((self.at, min(self.at + 1, len(self.text))), f"not valid JSON: {message}")

    def value(self, *, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.fatal(f"nested deeper than {MAX_DEPTH} levels")
        mark = self.text[self.at : self.at + 1]
        if mark == "{":
            return self.mapping(depth)
        if mark == "[":
            return self.list(depth)
        return self.scalar()

    def scalar(self) -> Scalar:
        start = self.at
        if self.text.startswith('"', start):
            match = _STRING.match(self.text, start)
            if match is None:
                raise self.fatal("this text is never closed, or holds a line break")
            try:
                text = json.loads(match[0])
            except ValueError:
                raise self.fatal("this text holds an escape that JSON does not have") from None
            self.at = match.end()
            return Scalar(text, text, start, self.at, Style.JSON)
        word = _WORD.match(self.text, start)
        if word is not None:
            self.at = word.end()
            return Scalar(_WORDS[word[0]], word[0], start, self.at)
        number = _NUMBER.match(self.text, start)
        if number is None:
            raise self.fatal(
                "a value was expected here" if start < len(self.text) else "the text ends too early"
            )
        self.at = number.end()
        is_float = number[1] is not None or number[2] is not None or len(number[0]) > 1000
        return Scalar(float(number[0]) if is_float else int(number[0]), number[0], start, self.at)

    def list(self, depth: int) -> Items:
        start, items = self.at, []
        self.at += 1
        self.blank()
        while not self.text.startswith("]", self.at):
            items.append(self.value(depth=depth + 1))
            self.separator("]")
        self.at += 1
        return Items(tuple(items), start, self.at, 1 + sum(item.size for item in items), flow=True)

    def mapping(self, depth: int) -> Entries:
        start, entries, seen = self.at, [], set()
        self.at += 1
        self.blank()
        while not self.text.startswith("}", self.at):
            if not self.text.startswith('"', self.at):
                raise self.fatal("a key in double quotes was expected here")
            key = self.scalar()
            self.blank()
            if not self.text.startswith(":", self.at):
                raise self.fatal("':' was expected after the key")
            self.at += 1
            self.blank()
            value = self.value(depth=depth + 1)
            if key.text in seen:
                message = f"the key {key.text!r} stands twice in one mapping"
                self.findings.error("duplicate-key", (key.start, key.end), message)
            else:
                seen.add(key.text)
                entries.append((key, value))
            self.separator("}")
        self.at += 1
        return Entries(tuple(entries), start, self.at, 1 + sum(1 + v.size for _, v in entries), flow=True)

    def separator(self, closing: str) -> None:
        """A comma before the next item, or the closing bracket."""
        self.blank()
        if self.text.startswith(",", self.at):
            self.at += 1
            self.blank()
            if self.text.startswith(closing, self.at):
                raise self.fatal("JSON has no comma before a closing bracket")
        elif not self.text.startswith(closing, self.at):
            raise self.fatal(f"',' or '{closing}' was expected here")
