"""Findings as text for people: place, message, the line itself, and carets under what is meant.

Cheap to import: the error path of every command needs it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from harness.diagnostics import Diagnostic, Location, Severity
from harness.params.secrets import secrets_in, starred, without_secrets

MAX_WIDTH = 160
MAX_CELLS = 3
SECRET = "secret-in-parameters"

_COLORS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}
_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def render_diagnostics(
    diagnostics: Sequence[Diagnostic], *, color: bool, sources: Mapping[str, str] | None = None
) -> str:
    """Every finding with its line and carets, one after another; "" for none.

    ``sources`` maps a path to its text. A path that is not in it is read, and a file that cannot be read (any more)
    costs the source line, nothing else. Keys and tokens are shown as stars.
    """
    lines: dict[str, Sequence[str]] = {}
    secrets: dict[str, Collection[str]] = {}
    blocks = []
    for diagnostic in diagnostics:
        location = diagnostic.location
        if location is not None and location.path not in lines:
            text = _text_of(location.path, sources)
            shown = _LINE_BREAK.split(starred(text)) if text is not None else []
            lines[location.path] = _masked(shown, location.path, diagnostics)
            secrets[location.path] = secrets_in(text or "")
        source = lines[location.path] if location is not None else ()
        told = diagnostic if location is None else discreet(diagnostic, secrets[location.path])
        blocks.append(render_diagnostic(told, source_lines=source, color=color))
    return "\n".join(blocks)


def render_diagnostic(diagnostic: Diagnostic, *, source_lines: Sequence[str], color: bool) -> str:
    """One finding: its headline, and its line with carets where the line is at hand."""
    place = f"{diagnostic.location}: " if diagnostic.location is not None else ""
    mark = _paint(f"{diagnostic.severity}[{diagnostic.code}]", _COLORS[diagnostic.severity], color=color)
    rendered = [f"{_paint(place, '1', color=color)}{mark}: {visible(diagnostic.message)}{_cells(diagnostic)}"]
    location = diagnostic.location
    if location is not None and 1 <= location.line <= len(source_lines):
        rendered += _excerpt(diagnostic, location, source_lines[location.line - 1], color=color)
    elif diagnostic.note:
        rendered.append(f"  = {visible(diagnostic.note)}")
    if diagnostic.hint:
        rendered.append(f"  = hint: {visible(diagnostic.hint)}")
    return "\n".join(rendered)


def discreet(diagnostic: Diagnostic, secrets: Collection[str]) -> Diagnostic:
    """The finding with stars for the secrets in its texts; what its change puts in stays as it is."""
    if not secrets:
        return diagnostic
    note, hint, fix = diagnostic.note, diagnostic.hint, diagnostic.fix
    return replace(
        diagnostic,
        message=without_secrets(diagnostic.message, secrets),
        note=note and without_secrets(note, secrets),
        hint=hint and without_secrets(hint, secrets),
        fix=fix and fix._replace(description=without_secrets(fix.description, secrets)),
    )


def visible(text: str) -> str:
    """``text`` with control characters written out, so that a file cannot drive the terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _excerpt(diagnostic: Diagnostic, location: Location, line: str, *, color: bool) -> list[str]:
    first = location.column - 1
    last = location.end_column - 1 if location.end_line == location.line else len(line.rstrip())
    last = max(last, first + 1)
    if len(line) > MAX_WIDTH:
        line, first, last = _crop(line, first, last)
    gutter = len(str(location.line))
    pad = _width(line[:first])
    carets = "^" * max(1, _width(line[first:last]) if first < len(line) else 1)
    note = f" {visible(diagnostic.note)}" if diagnostic.note else ""
    tail = _paint(f"{carets}{note}", _COLORS[diagnostic.severity], color=color)
    return [
        f"  {location.line} | {visible(line.replace(chr(9), ' '))}",
        f"  {' ' * gutter} | {' ' * pad}{tail}",
    ]


def _crop(line: str, first: int, last: int) -> tuple[str, int, int]:
    """A window of the line around the span, with what was cut shown as …."""
    start = max(0, min(first - 40, len(line) - MAX_WIDTH))
    end = min(len(line), start + MAX_WIDTH)
    before, after = ("…" if start else ""), ("…" if end < len(line) else "")
    shift = len(before) - start
    return before + line[start:end] + after, first + shift, min(last, end) + shift


def _width(text: str) -> int:
    """Columns a terminal uses: two for wide characters, none for combining ones, escapes as they print."""
    width = 0
    for character in text:
        if character == "\t":
            width += 1
        elif _CONTROL.match(character):
            width += len(visible(character))
        elif not unicodedata.combining(character):
            width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


def _masked(lines: list[str], path: str, diagnostics: Sequence[Diagnostic]) -> Sequence[str]:
    """The lines of a file, with stars over what a finding calls a secret."""
    for diagnostic in diagnostics:
        place = diagnostic.location
        if diagnostic.code != SECRET or place is None or place.path != path or place.line > len(lines):
            continue
        line, first = lines[place.line - 1], place.column - 1
        last = place.end_column - 1 if place.end_line == place.line else len(line)
        lines[place.line - 1] = line[:first] + "*" * len(line[first:last]) + line[last:]
    return lines


def _cells(diagnostic: Diagnostic) -> str:
    if not diagnostic.cells:
        return ""
    shown = ", ".join(diagnostic.cells[:MAX_CELLS])
    more = len(diagnostic.cells) - MAX_CELLS
    noun = "cell" if len(diagnostic.cells) == 1 else "cells"
    return f" ({len(diagnostic.cells)} {noun}: {shown}{f', and {more} more' if more > 0 else ''})"


def _text_of(path: str, sources: Mapping[str, str] | None) -> str | None:
    if sources is not None and path in sources:
        return sources[path]
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except (OSError, ValueError):
        return None


def _paint(text: str, code: str, *, color: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if color and text else text
