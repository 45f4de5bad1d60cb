"""Lints files: finds the parameter lists, judges each, and says where in the file every finding stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.errors import ConfigError
from harness.plan.detect import find_targets
from harness.plan.files import Candidate, discover
from harness.plan.findings import Findings
from harness.plan.judge import Judge, LintOptions, read_model_config
from harness.plan.report import FileReport, Finding, LintReport
from harness.plan.source import read_source
from harness.plan.spans import Source
from harness.plan.suppress import apply_suppressions, find_suppressions, known_codes
from harness.plan.targets import Target

# What callers need beside the functions here.
__all__ = [
    "Judge",
    "LintOptions",
    "collected",
    "lint_file",
    "lint_paths",
    "lint_source",
    "lint_targets",
    "read_model_config",
]


def lint_paths(paths: Sequence[str], options: LintOptions | None = None) -> LintReport:
    """The report on every file behind ``paths``; a file that cannot be used is part of the report, not an error."""
    judge = Judge(options or LintOptions())
    reports = ((candidate, lint_file(candidate.path, judge)) for candidate in discover(paths))
    return collected(reports, judge.options)


def collected(reports: Iterable[tuple[Candidate, FileReport]], options: LintOptions) -> LintReport:
    """The reports that are of something to lint; the others are counted."""
    looked_at = [(report, is_wanted(candidate, report, options)) for candidate, report in reports]
    return LintReport(
        tuple(report for report, wanted in looked_at if wanted),
        passed_over=sum(not wanted for _, wanted in looked_at),
        may_be_empty=options.skip_unrecognised,
    )


def is_wanted(candidate: Candidate, report: FileReport, options: LintOptions) -> bool:
    """False for a file that is nothing to lint and that nobody insists on."""
    return report.is_recognised or (candidate.is_named and not options.skip_unrecognised)


def lint_file(path: str, judge: Judge) -> FileReport:
    """The report on one file, or on standard input."""
    try:
        source = read_source(path)
    except ConfigError as error:
        return _unusable(path, error)
    return lint_source(source, judge)


def lint_source(source: Source, judge: Judge) -> FileReport:
    """The report on a text that is at hand."""
    findings = Findings(source)
    try:
        targets = find_targets(source, findings)
    except ConfigError as error:
        return _unusable(source.path, error, source)
    if targets is None:
        return _unrecognised(source)
    return lint_targets(source, targets, judge, findings)


def lint_targets(
    source: Source, targets: Sequence[Target], judge: Judge, findings: Findings | None = None
) -> FileReport:
    """The report on lists that were found in a source, together with what is wrong with the source itself."""
    about_file = findings or Findings(source)
    try:
        judged = judge.all(targets)
    except ConfigError as error:
        return _unusable(source.path, error, source)
    by_diagnostic = {id(finding.diagnostic): finding for finding in judged.findings}
    every = [*about_file.diagnostics, *(finding.diagnostic for finding in judged.findings)]
    comments = find_suppressions(source)
    known = known_codes() if comments else ()
    kept, silenced = apply_suppressions(every, source, comments, known=known)
    return FileReport(
        path=source.path,
        findings=tuple(by_diagnostic.get(id(one)) or Finding(one) for one in sorted(kept, key=_place)),
        source=source,
        lists=len(targets),
        cells=sum(len(target.cells) for target in targets),
        silenced=silenced,
        not_checked=judged.not_checked,
        is_usable=not about_file.has_errors,
    )


def _place(diagnostic: Diagnostic) -> tuple[int, int]:
    location = diagnostic.location
    return (0, 0) if location is None else (location.line, location.column)


def _unusable(path: str, error: ConfigError, source: Source | None = None) -> FileReport:
    diagnostics = error.diagnostics or (
        Diagnostic("config-unreadable", Severity.ERROR, Stage.STYLE, str(error)),
    )
    return FileReport(path, tuple(map(Finding, diagnostics)), source, is_usable=False)


def _unrecognised(source: Source) -> FileReport:
    message = f"{source.path}: no engine parameters here"
    hint = (
        "expected a sweep (matrix:), a deployment (inference-engine-parameters:), a list of parameters, "
        "container args or a vllm serve line"
    )
    finding = Finding(Diagnostic("config-unrecognised", Severity.ERROR, Stage.STYLE, message, hint=hint))
    return FileReport(source.path, (finding,), source, is_usable=False, is_recognised=False)
