"""Findings for people: place, message, the line and carets."""

from __future__ import annotations

from harness.cli.render import render_diagnostics
from harness.diagnostics import Severity
from harness.plan.report import LintReport


def render(report: LintReport, *, color: bool, fail_on: Severity) -> str:
    """Every finding, one after another; what fails the run does not show in this format."""
    del fail_on
    return render_diagnostics(report.diagnostics, color=color, sources=report.sources)
