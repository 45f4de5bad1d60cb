"""Collects what is wrong with a file, each finding with its place. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.errors import ConfigError
from harness.plan.spans import Source, Span

MAX_FINDINGS = 100
MAX_WORDS = 500
MAX_WORD = 100


class Findings:
    """The findings of one file; lives while it is read. More than a hundred are counted, not kept."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.diagnostics: list[Diagnostic] = []
        self.left_out = 0

    def error(
        self, code: str, span: Span, message: str, *, note: str | None = None, hint: str | None = None
    ) -> None:
        """Notes something that makes the file unusable; reading goes on to find more."""
        self._add(self._diagnostic(code, Severity.ERROR, span, message, note=note, hint=hint))

    def warning(
        self, code: str, span: Span, message: str, *, note: str | None = None, hint: str | None = None
    ) -> None:
        """Notes something that is probably not what was meant."""
        self._add(self._diagnostic(code, Severity.WARNING, span, message, note=note, hint=hint))

    def fatal(self, span: Span, message: str, *, hint: str | None = None) -> ConfigError:
        """The error to raise when reading cannot go on."""
        self._add(self._diagnostic("syntax", Severity.ERROR, span, message, hint=hint))
        return self.failure()

    def failure(self) -> ConfigError:
        """One ConfigError that carries every finding so far."""
        count = sum(diagnostic.is_error for diagnostic in self.diagnostics) + self.left_out
        noun = "error" if count == 1 else "errors"
        ordered = sorted(
            self.diagnostics,
            key=lambda one: (one.location.line, one.location.column) if one.location else (0, 0),
        )
        return ConfigError(f"{self.source.path} cannot be used: {count} {noun}", diagnostics=ordered)

    @property
    def is_full(self) -> bool:
        """True when further findings are only counted, so that explaining them would be for nothing."""
        return len(self.diagnostics) >= MAX_FINDINGS

    @property
    def has_errors(self) -> bool:
        """True when the file cannot be used."""
        return any(diagnostic.is_error for diagnostic in self.diagnostics)

    def _add(self, diagnostic: Diagnostic) -> None:
        if len(self.diagnostics) < MAX_FINDINGS:
            self.diagnostics.append(diagnostic)
        else:
            self.left_out += 1

    def _diagnostic(
        self,
        code: str,
        severity: Severity,
        span: Span,
        message: str,
        *,
        note: str | None = None,
        hint: str | None = None,
    ) -> Diagnostic:
        return Diagnostic(
            code=f"config-{code}",
            severity=severity,
            stage=Stage.STYLE,
            message=message,
            note=note,
            hint=hint,
            location=self.source.location(*span),
        )


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """``did you mean 'x'?`` for the known word closest to ``word``, or None."""
    near = nearest(word, known)
    return None if near is None else f"did you mean {near!r}?"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word closest to ``word``, or None; of very many words none is tried."""
    import difflib  # only a file with a mistake needs it

    words = list(known)
    if len(words) > MAX_WORDS or len(word) > MAX_WORD:
        return None
    close = difflib.get_close_matches(word.lower().replace("_", "-"), words, n=1, cutoff=0.6)
    return close[0] if close else None
