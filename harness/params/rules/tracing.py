"""Detailed traces need somewhere to go.

Wrong::

    --collect-detailed-traces all

Right::

    --collect-detailed-traces all --otlp-traces-endpoint http://collector:4317
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "tracing"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("collect-detailed-traces",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when there is no endpoint."""
    settings = Settings(context)
    if settings.value("collect-detailed-traces") and not settings.text("otlp-traces-endpoint"):
        message = "--collect-detailed-traces needs --otlp-traces-endpoint"
        yield context.error(CODE, settings.span("collect-detailed-traces"), message)
