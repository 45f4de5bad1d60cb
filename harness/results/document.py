"""A report before it is Markdown or HTML: statements first, then sections of text, plots, tables and facts. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.results.canvas import Plot


@dataclass(frozen=True, slots=True)
class TableCell:
    """One field of a table; ``faint`` for a figure that rests on too few requests, ``code`` for a command."""

    text: str
    faint: bool = False
    number: bool = False
    code: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A caption, column heads and rows; the first column names the row. ``folded``: shown on request."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report: text, then plots, then tables, then ``facts`` (names and values)."""

    title: str
    text: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    tables: tuple[Table, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def anchor(self) -> str:
        """The title as the name of a place in a page."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to show."""
        return not (self.text or self.plots or self.tables or self.facts)


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report. ``answers`` come first; ``warnings`` are what a reader must know before believing them."""

    title: str
    simulated: bool
    question: str | None
    answers: tuple[str, ...]
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]

    @property
    def plots(self) -> tuple[Plot, ...]:
        """Every plot, in the report's order."""
        return tuple(plot for section in self.sections for plot in section.plots)
