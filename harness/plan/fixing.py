"""Mends files: makes the changes the findings carry, keeps those that help, and writes the file back."""

from __future__ import annotations

from collections.abc import Sequence

from harness.diagnostics import Severity, Stage
from harness.plan.files import write_back
from harness.plan.fixes import Replacement, apply_replacements, compatible
from harness.plan.lint import Judge, lint_file, lint_source
from harness.plan.report import FileReport, Finding
from harness.plan.spans import Source

MAX_ROUNDS = 20


def fix_file(path: str, judge: Judge) -> tuple[FileReport, int]:
    """Mends what can be mended in a file; the report on what remains and how many findings were mended.

    A change is kept only when it brings the file forward and no new error with it.
    """
    report = lint_file(path, judge)
    first, refused = report, set[tuple[Replacement, ...]]()
    mended = 0
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
        mended += sum(one not in _identities(better) for one in _identities(report))
        report = better
    if report.source is not None and first.source is not None and report.source.text != first.source.text:
        write_back(path, report.source.text)
    return report, mended


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
