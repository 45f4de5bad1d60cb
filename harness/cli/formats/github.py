"""Findings as workflow commands, which GitHub shows beside the lines of a pull request."""

from __future__ import annotations

from harness.diagnostics import Diagnostic, Severity
from harness.plan.report import LintReport

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(report: LintReport, *, color: bool, fail_on: Severity) -> str:
    """One command a finding."""
    del color, fail_on
    return "\n".join(
        command(file.path, finding.diagnostic) for file in report.files for finding in file.findings
    )


def command(path: str, diagnostic: Diagnostic) -> str:
    """``::error file=…,line=…,col=…,title=…::message``."""
    location = diagnostic.location
    properties = {"file": path}
    if location is not None:
        properties |= {"line": str(location.line), "col": str(location.column)}
        if location.end_line == location.line:
            properties |= {
                "endLine": str(location.end_line),
                "endColumn": str(max(location.column, location.end_column - 1)),
            }
    properties["title"] = diagnostic.code
    text = ", ".join(part for part in (diagnostic.message, diagnostic.note, diagnostic.hint) if part)
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{_LEVELS[diagnostic.severity]} {listed}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
