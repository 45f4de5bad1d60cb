"""Texts that know where each of their characters stands in a file. Pure.

Offsets count characters from the start of the file; lines and columns are worked out only when asked for.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, overload

from harness.diagnostics import Location

Span = tuple[int, int]

_LINE_BREAK = re.compile(r"\r\n|\n|\r")


class Source(NamedTuple):
    """The text of one file (or of standard input), and the offset at which each of its lines starts."""

    path: str
    text: str
    line_starts: tuple[int, ...] = ()

    @classmethod
    def of(cls, path: str, text: str) -> Source:
        """A source with its line table made."""
        return cls(path, text, (0, *(match.end() for match in _LINE_BREAK.finditer(text))))

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def location(self, start: int, end: int) -> Location:
        """The place of the characters from ``start`` to ``end`` (exclusive)."""
        line, column = self.position(start)
        end_line, end_column = self.position(max(start, end))
        return Location(self.path, line, column, end_line, end_column)

    def line(self, number: int) -> str:
        """The text of a line, without its line break."""
        start = self.line_starts[number - 1]
        end = self.line_starts[number] if number < len(self.line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")


@dataclass(frozen=True, slots=True)
class StraightSpans(Sequence[Span]):
    """The spans of characters that stand in the file exactly as they are, one after another."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    @overload
    def __getitem__(self, index: int) -> Span: ...
    @overload
    def __getitem__(self, index: slice) -> StraightSpans: ...
    def __getitem__(self, index: int | slice) -> Span | StraightSpans:
        if isinstance(index, slice):
            first, last, _ = index.indices(len(self))
            return StraightSpans(self.start + first, self.start + max(first, last))
        offset = range(self.start, self.end)[index]
        return offset, offset + 1


@dataclass(frozen=True, slots=True)
class LocatedText:
    """A text with its place. ``spans`` holds one span per character, or None when only the whole is known.

    ``form`` says how the text is written where it can be replaced as a whole (a scalar's style, ``word`` of a
    shell, ``line``), None where it was put together from several places. ``is_opaque`` marks a text that
    holds something known only when it is run: a shell variable, a template.
    """

    source: Source
    text: str
    whole: Span
    spans: Sequence[Span] | None = None
    form: str | None = None
    is_opaque: bool = False

    def span(self, start: int = 0, end: int | None = None) -> Span:
        """File offsets of the characters from ``start`` to ``end``; the whole's when they are not known."""
        stop = len(self.text) if end is None else min(end, len(self.text))
        if not self.spans:
            return self.whole
        if start >= len(self.spans):
            return self.spans[-1][1], self.spans[-1][1]
        if stop <= start:
            return self.spans[start][0], self.spans[start][0]
        first, last = self.spans[start], self.spans[stop - 1]
        if last[1] >= first[1]:
            return first[0], last[1]
        # A value that an alias brings from further up: what stands together at the start is pointed at.
        together = start
        while together + 1 < stop and self.spans[together + 1][0] >= self.spans[together][0]:
            together += 1
        return first[0], self.spans[together][1]

    def location(self, start: int = 0, end: int | None = None) -> Location:
        """The place in the file of the characters from ``start`` to ``end`` (exclusive)."""
        return self.source.location(*self.span(start, end))

    def part(self, start: int, end: int) -> LocatedText:
        """The characters from ``start`` to ``end`` as a text of their own."""
        spans = self.spans[start:end] if self.spans is not None else None
        return LocatedText(self.source, self.text[start:end], self.span(start, end), spans)


def join(parts: Sequence[LocatedText]) -> LocatedText:
    """The parts' texts one after another, each character keeping its place; at least one part."""
    spans = tuple(span for part in parts for span in spans_of(part))
    whole = (min(part.whole[0] for part in parts), max(part.whole[1] for part in parts))
    return LocatedText(parts[0].source, "".join(part.text for part in parts), whole, spans)


def spans_of(text: LocatedText) -> Iterable[Span]:
    """One span per character; the whole's, repeated, when only that is known."""
    return text.spans if text.spans is not None else (text.whole,) * len(text.text)
