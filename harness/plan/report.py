"""What a linter run found: per file and in all. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from harness.diagnostics import Diagnostic, Severity
from harness.plan.fixes import Replacement
from harness.plan.spans import Source
from harness.plan.unchecked import NotChecked


@dataclass(frozen=True, slots=True)
class Finding:
    """A diagnostic, and the change of the file that mends it (empty: none is known, or none is safe)."""

    diagnostic: Diagnostic
    replacements: tuple[Replacement, ...] = ()


class Silenced(NamedTuple):
    """A finding that a comment in the file silences, and the comment's reason ("" for none)."""

    diagnostic: Diagnostic
    reason: str


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file. ``source`` is None when it could not be read; ``lists`` counts the parameter lists judged.

    ``not_checked`` has what could not be judged and why. ``is_usable`` is False when the file itself is wrong, whatever
    its parameters are.
    """

    path: str
    findings: tuple[Finding, ...]
    source: Source | None = None
    lists: int = 0
    cells: int = 0
    silenced: tuple[Silenced, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    is_usable: bool = True
    is_recognised: bool = True

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Every diagnostic of the file, by place."""
        return tuple(finding.diagnostic for finding in self.findings)


@dataclass(frozen=True, slots=True)
class LintReport:
    """All files of a run, in the order they were looked at.

    ``passed_over`` counts files that hold no engine parameters and that nobody named. ``may_be_empty`` is for hooks,
    which name files of any kind: without it a run that found nothing to lint has failed.
    """

    files: tuple[FileReport, ...]
    passed_over: int = 0
    may_be_empty: bool = False

    @property
    def is_empty(self) -> bool:
        """True when there was nothing to lint."""
        return not self.files

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding, by file and place."""
        return tuple(finding for file in self.files for finding in file.findings)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Every diagnostic, by file and place."""
        return tuple(one for file in self.files for one in file.diagnostics)

    @property
    def sources(self) -> Mapping[str, str]:
        """The files' texts by path."""
        return {file.path: file.source.text for file in self.files if file.source is not None}

    def count(self, severity: Severity) -> int:
        """How many findings have this severity."""
        return sum(finding.diagnostic.severity is severity for finding in self.findings)

    def exit_code(self, *, fail_on: Severity = Severity.ERROR) -> int:
        """2 when a file cannot be used or there is none, 1 when a finding is at least as bad as ``fail_on``, else 0."""
        if self.is_empty and not self.may_be_empty:
            return 2
        if not all(file.is_usable for file in self.files):
            return 2
        bad = {Severity.ERROR, fail_on} if fail_on is not Severity.INFO else set(Severity)
        return 1 if any(finding.diagnostic.severity in bad for finding in self.findings) else 0
