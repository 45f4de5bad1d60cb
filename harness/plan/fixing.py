"""Mends files: makes the changes the findings carry, keeps those that help, and writes the file back."""

from __future__ import annotations

from collections.abc import Sequence

from harness.plan.files import write_back
from harness.plan.fixes import apply_replacements, compatible
from harness.plan.lint import Judge, lint_file, lint_source
from harness.plan.report import FileReport, Finding
from harness.plan.spans import Source

MAX_ROUNDS = 20


def fix_file(path: str, judge: Judge) -> tuple[FileReport, int]:
    """Mends what can be mended in a file; the report on what remains and how many findings were mended.

    A change is kept only when it makes findings go away and brings no new error.
    """
    report = lint_file(path, judge)
    first, refused = report, set[tuple[object, ...]]()
    for _ in range(MAX_ROUNDS):
        if report.source is None or not report.is_usable:
            break
        wanted = [one for one in report.findings if one.replacements and one.replacements not in refused]
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
        report = better
    mended = len(first.findings) - len(report.findings)
    if report.source is not None and first.source is not None and report.source.text != first.source.text:
        write_back(path, report.source.text)
    return report, mended


def _apply(report: FileReport, wanted: Sequence[Finding], judge: Judge) -> FileReport | None:
    """The report after the changes, or None when it is no better than before."""
    assert report.source is not None
    text = apply_replacements(report.source.text, compatible([one.replacements for one in wanted]))
    after = lint_source(Source.of(report.source.path, text), judge)
    is_better = len(after.findings) < len(report.findings) and _errors(after) <= _errors(report)
    return after if is_better and after.is_usable and after.lists == report.lists else None


def _errors(report: FileReport) -> set[tuple[str, str]]:
    diagnostics = (finding.diagnostic for finding in report.findings)
    return {(one.code, one.message) for one in diagnostics if one.is_error}
