"""Findings for people: place, message, the line and carets."""

from __future__ import annotations

from harness.cli.render import render_diagnostics, visible
from harness.diagnostics import Severity
from harness.plan.report import FileReport, LintReport
from harness.plan.unchecked import NotChecked


def render(report: LintReport, *, color: bool, fail_on: Severity) -> str:
    """Every finding, one after another; what fails the run does not show in this format."""
    del fail_on
    return render_diagnostics(report.diagnostics, color=color, sources=report.sources)


def unchecked(report: LintReport) -> str:
    """What was not checked and why, a line for each file and reason: silence there says nothing."""
    return "\n".join(_told(file, one) for file in report.files for one in file.not_checked)


def _told(file: FileReport, one: NotChecked) -> str:
    """``x.yaml: memory of 2 of 5 lists not checked: …``."""
    lists = "" if one.lists == file.lists else f" of {one.lists} of {file.lists} lists"
    return visible(f"{file.path}: {one.what}{lists} not checked: {one.reason}")
