"""Inline suppression: ``# harness: ignore[code] reason``, on the line it is about or alone on the line above. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.plan.spans import Source, Span

NO_REASON = "suppression-without-reason"
UNUSED = "suppression-unused"

_COMMENT = r"#[ \t]*harness:[ \t]*ignore\[([^\]\r\n]*)\][ \t]*([^\r\n]*)"


class Suppression(NamedTuple):
    """One comment: the line whose findings it silences, the codes, and why."""

    line: int
    codes: tuple[str, ...]
    reason: str
    span: Span


def find_suppressions(source: Source) -> tuple[Suppression, ...]:
    """Every suppression in a file. One alone on its line is about the next line that is not a comment."""
    return tuple(_suppressions(source)) if "harness:" in source.text else ()


def _suppressions(source: Source) -> Iterator[Suppression]:
    for match in re.finditer(_COMMENT, source.text):
        line, column = source.position(match.start())
        if not source.line(line)[: column - 1].strip():
            line += 1
            while line < len(source.line_starts) and source.line(line).lstrip().startswith("#"):
                line += 1
        codes = tuple(code.strip() for code in match[1].split(",") if code.strip())
        yield Suppression(line, codes, match[2].strip(), match.span())


def apply_suppressions(
    diagnostics: Iterable[Diagnostic], source: Source, suppressions: tuple[Suppression, ...]
) -> tuple[list[Diagnostic], int]:
    """What remains, with a warning for each comment without a reason or without effect; and how many were silenced."""
    kept: list[Diagnostic] = []
    used: set[tuple[int, str]] = set()
    silenced = 0
    for diagnostic in diagnostics:
        line = diagnostic.location.line if diagnostic.location is not None else 0
        hits = [
            index
            for index, one in enumerate(suppressions)
            if one.line == line and diagnostic.code in one.codes
        ]
        used.update((index, diagnostic.code) for index in hits)
        if hits:
            silenced += 1
        else:
            kept.append(diagnostic)
    for index, one in enumerate(suppressions):
        if not one.reason:
            kept.append(
                _warning(NO_REASON, source, one, "say why after the bracket: # harness: ignore[code] reason")
            )
        unused = [code for code in one.codes if (index, code) not in used]
        if unused or not one.codes:
            names = ", ".join(unused) or "nothing"
            kept.append(
                _warning(UNUSED, source, one, f"no finding here is called {names}; remove the comment")
            )
    return kept, silenced


def _warning(code: str, source: Source, one: Suppression, message: str) -> Diagnostic:
    return Diagnostic(code, Severity.WARNING, Stage.STYLE, message, location=source.location(*one.span))
