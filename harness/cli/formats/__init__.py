"""Lint reports for people and for machines; each format is a module with ``render``, imported when it is asked for."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Protocol, cast

from harness.cli.render import discreet
from harness.diagnostics import Severity
from harness.params.secrets import secrets_in, without_secrets
from harness.plan.report import FileReport, Finding, LintReport

NAMES = ("text", "json", "sarif", "github", "gitlab", "junit")


class Format(Protocol):
    """What a format module offers."""

    @staticmethod
    def render(report: LintReport, *, color: bool, fail_on: Severity) -> str:
        """The whole report as text, without a final line break; "" when there is nothing to say."""
        ...


def render_report(report: LintReport, name: str, *, color: bool, fail_on: Severity) -> str:
    """The report in the format ``name``, one of ``NAMES``."""
    module = cast(Format, importlib.import_module(f"harness.cli.formats.{name}"))
    told = replace(report, files=tuple(map(_discreet, report.files)))
    return module.render(told, color=color, fail_on=fail_on)


def _discreet(file: FileReport) -> FileReport:
    """The file's findings without its keys and tokens; a change that would repeat one is left to ``--fix``."""
    secrets = secrets_in(file.source.text) if file.source is not None else frozenset[str]()
    if not secrets:
        return file
    findings = tuple(
        Finding(
            discreet(one.diagnostic, secrets),
            ()
            if any(without_secrets(c.text, secrets) != c.text for c in one.replacements)
            else one.replacements,
        )
        for one in file.findings
    )
    silenced = tuple(one._replace(diagnostic=discreet(one.diagnostic, secrets)) for one in file.silenced)
    return replace(file, findings=findings, silenced=silenced)
