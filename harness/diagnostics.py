"""Findings as values: what, how bad, who would refuse it, and where. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """How bad a finding is; only ``ERROR`` makes a list not ok."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Stage(StrEnum):
    """Who would refuse it: the engine's argument parser, its start-up checks, the platform, or nobody."""

    PARSE = "parse"
    STARTUP = "startup"
    PLATFORM = "platform"
    STYLE = "style"


class Location(NamedTuple):
    """A place in a source. Lines and columns count from 1, in characters; the end is exclusive.

    ``path`` is the file as the user named it, ``-`` for standard input, ``<args>`` for the command line.
    """

    path: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


class Edit(NamedTuple):
    """A replacement inside a parameter list: items ``first`` to ``last`` (exclusive) become ``items``.

    ``description`` is an imperative phrase. Applied to the list, it removes the finding it belongs to.
    """

    first: int
    last: int
    items: tuple[str, ...]
    description: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    ``index`` is the item of the parameter list it is about (None: about the list or its surroundings),
    ``start`` and ``end`` are character offsets inside that item, end exclusive. ``location`` is the place in a
    file, where there is one. ``note`` is the short text printed under the caret (``one of: …``), ``hint`` what
    would work. ``cells`` names the cells of a matrix the finding hits, empty when it is not about cells.
    """

    code: str
    severity: Severity
    stage: Stage
    message: str
    index: int | None = None
    start: int = 0
    end: int = 0
    hint: str | None = None
    note: str | None = None
    fix: Edit | None = None
    location: Location | None = None
    cells: tuple[str, ...] = ()

    @property
    def is_error(self) -> bool:
        """True when the list it belongs to is not ok."""
        return self.severity is Severity.ERROR
