"""Inline suppression: ``# harness: ignore[code] reason``, on the line it is about or alone on the line above. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.plan.findings import nearest
from harness.plan.report import Silenced
from harness.plan.spans import Source, Span

NO_REASON = "suppression-without-reason"
NO_CODE = "suppression-without-code"
UNKNOWN = "suppression-unknown-code"
UNUSED = "suppression-unused"

_COMMENT = r"#[ \t]*harness:[ \t]*ignore\b(?:\[([^\]\r\n]*)\])?[ \t]*([^\r\n]*)"


class Suppression(NamedTuple):
    """One comment: the line whose findings it silences, the codes, and why."""

    line: int
    codes: tuple[str, ...]
    reason: str
    span: Span


class Applied(NamedTuple):
    """The findings that remain, with what is wrong with the comments themselves, and those that were silenced."""

    kept: list[Diagnostic]
    silenced: tuple[Silenced, ...]


def known_codes() -> frozenset[str]:
    """Every code that a finding can have."""
    from harness.params.explain import codes  # only a file with such a comment needs it
    from harness.plan.codes import FILE_CODES

    return frozenset((*codes(), *FILE_CODES))


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
        codes = tuple(code.strip() for code in (match[1] or "").split(",") if code.strip())
        yield Suppression(line, codes, match[2].strip(), match.span())


def apply_suppressions(
    diagnostics: Iterable[Diagnostic],
    source: Source,
    suppressions: Sequence[Suppression],
    *,
    known: Collection[str],
) -> Applied:
    """Silences what the comments name; each that has no code, no reason or no effect is a warning of its own.

    ``known`` are the codes there are: another one is told with the one that was likely meant.
    """
    kept: list[Diagnostic] = []
    silenced: list[Silenced] = []
    used: set[tuple[int, str]] = set()
    for diagnostic in diagnostics:
        line = diagnostic.location.line if diagnostic.location is not None else 0
        hits = [
            index
            for index, one in enumerate(suppressions)
            if one.line == line and diagnostic.code in one.codes
        ]
        used.update((index, diagnostic.code) for index in hits)
        if hits:
            silenced.append(Silenced(diagnostic, suppressions[hits[0]].reason))
        else:
            kept.append(diagnostic)
    for index, one in enumerate(suppressions):
        here = [found.code for found in kept if found.location and found.location.line == one.line]
        unused = [code for code in one.codes if (index, code) not in used]
        said = [*_of_codes(one, unused, known=known, here=here), *_of_reason(one)]
        kept += [_warning(code, source, one, message, hint) for code, message, hint in said]
    return Applied(kept, tuple(silenced))


def _of_codes(
    one: Suppression, unused: Sequence[str], *, known: Collection[str], here: Sequence[str]
) -> Iterator[tuple[str, str, str | None]]:
    """What is wrong with what a comment names; ``here`` are the codes of findings on its line."""
    if not one.codes:
        code = ", ".join(dict.fromkeys(here)) or "code"
        message = "this silences nothing, for it names no code in brackets"
        yield NO_CODE, message, f"# harness: ignore[{code}] reason"
    for code in unused:
        if code in known:
            continue
        near = nearest(code, known)
        hint = f"did you mean {near!r}?" if near is not None else "harness explain lists the codes"
        yield UNKNOWN, f"no finding is ever called {code!r}, so this silences nothing", hint
    idle = [code for code in unused if code in known]
    if idle:
        yield UNUSED, f"no finding here is called {', '.join(idle)}; remove the comment", None


def _of_reason(one: Suppression) -> Iterator[tuple[str, str, str | None]]:
    if one.codes and not one.reason:
        yield NO_REASON, "say why after the bracket: # harness: ignore[code] reason", None


def _warning(code: str, source: Source, one: Suppression, message: str, hint: str | None) -> Diagnostic:
    place = source.location(*one.span)
    return Diagnostic(code, Severity.WARNING, Stage.STYLE, message, hint=hint, location=place)
