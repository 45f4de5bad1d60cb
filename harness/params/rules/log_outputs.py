"""Logging what the model answers needs logging of requests.

Wrong::

    --enable-log-outputs

Right::

    --enable-log-outputs --enable-log-requests
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "log-outputs"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("enable-log-outputs",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when the second flag is missing or switched off."""
    settings = Settings(context)
    if settings.switch("enable-log-outputs") and not settings.switch("enable-log-requests"):
        message = "--enable-log-outputs needs --enable-log-requests"
        yield context.error(CODE, settings.span("enable-log-outputs"), message)
