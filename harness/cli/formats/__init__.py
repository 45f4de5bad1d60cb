"""Lint reports for people and for machines; each format is a module with ``render``, imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from harness.diagnostics import Severity
from harness.plan.report import LintReport

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
    return module.render(report, color=color, fail_on=fail_on)
