"""Mends files: makes the changes the findings carry, keeps those that help, and writes the file back."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.plan.files import write_back
from harness.plan.fixes import Replacement, apply_replacements, compatible
from harness.plan.lint import Judge, lint_file, lint_source
from harness.plan.report import FileReport, Finding
from harness.plan.spans import Source

MAX_ROUNDS = 20


class Mending(NamedTuple):
    """A file mended: the report on what remains, the findings that are gone in their order, the text as it was."""

    report: FileReport
    gone: tuple[Diagnostic, ...] = ()
    before: str = ""

    @property
    def after(self) -> str:
        """The mended text; the text as it was when nothing could be mended."""
        return self.before if self.report.source is None else self.report.source.text

    @property
    def diff(self) -> str:
        """The change as a unified diff, "" for none."""
        path = self.report.path
        lines = difflib.unified_diff(_lines(self.before), _lines(self.after), path, path)
        return "".join(_ended(line) for line in lines)


def _lines(text: str) -> list[str]:
    """The lines with their ends; other characters that Python ends lines at are part of them."""
    return [line for line in text.replace("\n", "\n\0").split("\0") if line]


def _ended(line: str) -> str:
    """A line of a diff, with the mark that diff and patch have for a last line without an end."""
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def fix_file(path: str, judge: Judge) -> Mending:
    """Mends what can be mended in a file, and writes it back if anything was."""
    made = mend_file(path, judge)
    if made.after != made.before:
        write_back(path, made.after)
    return made


def mend_file(path: str, judge: Judge) -> Mending:
    """What would be mended in a file, which stays as it is.

    A change is kept only when it brings the file forward and no new error with it.
    """
    report = lint_file(path, judge)
    before = "" if report.source is None else report.source.text
    refused = set[tuple[Replacement, ...]]()
    gone: list[Diagnostic] = []
    for _ in range(MAX_ROUNDS):
        wanted = _candidates(report, refused)
        if not wanted:
            break
        better = _apply(report, wanted, judge)
        if better is None:
            better = next(
                (made for one in wanted if (made := _apply(report, [one], judge)) is not None), None
            )
        if better is None:
            refused.update(one.replacements for one in wanted)
            continue
        gone += _gone(report, better)
        report = better
    return Mending(report, tuple(gone), before)


def _gone(before: FileReport, after: FileReport) -> Iterator[Diagnostic]:
    left = _identities(after)
    return (one for one in before.diagnostics if (one.code, one.message) not in left)


def _candidates(report: FileReport, refused: set[tuple[Replacement, ...]]) -> list[Finding]:
    """Findings with a change that is still to be tried, those that take least away first.

    What one mistake makes of its neighbours may look like something to remove: mending the mistake comes first.
    Notes are left alone: a value that equals the default today may have been written down on purpose.
    """
    if report.source is None or not report.is_usable:
        return []
    wanted = [
        one
        for one in report.findings
        if one.replacements
        and one.replacements not in refused
        and one.diagnostic.severity is not Severity.INFO
    ]
    return sorted(
        wanted,
        key=lambda one: sum(change.end - change.start - len(change.text) for change in one.replacements),
    )


def _apply(report: FileReport, wanted: Sequence[Finding], judge: Judge) -> FileReport | None:
    """The report after the changes, or None when it is no better than before."""
    assert report.source is not None
    text = apply_replacements(report.source.text, compatible([one.replacements for one in wanted]))
    after = lint_source(Source.of(report.source.path, text), judge)
    return after if after.is_usable and after.lists == report.lists and _is_better(report, after) else None


def _is_better(before: FileReport, after: FileReport) -> bool:
    """True for fewer errors of the parser; else for fewer findings and no new error.

    Rules of start-up speak only once the parser accepts a list, so what they say then is no fault of the change.
    """
    old, new = _errors(before, Stage.PARSE), _errors(after, Stage.PARSE)
    if not new <= old:
        return False
    if len(new) < len(old):
        return True
    return len(after.findings) < len(before.findings) and _errors(after) <= _errors(before)


def _errors(report: FileReport, stage: Stage | None = None) -> set[tuple[str, str]]:
    return {
        (one.code, one.message)
        for one in report.diagnostics
        if one.is_error and (stage is None or one.stage is stage)
    }


def _identities(report: FileReport) -> list[tuple[str, str]]:
    return [(one.code, one.message) for one in report.diagnostics]
