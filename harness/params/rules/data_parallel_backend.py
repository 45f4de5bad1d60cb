"""Data-parallel copies are started by ``mp`` (processes) or ``ray``, nothing else.

Wrong::

    --data-parallel-backend threads

Right::

    --data-parallel-backend mp
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "data-parallel-backend"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("data-parallel-backend",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for any other name; case counts."""
    settings = Settings(context)
    backend = settings.text("data-parallel-backend")
    if backend is not None and backend not in {"mp", "ray"}:
        message = f"there is no data-parallel backend '{backend}'"
        yield context.error(CODE, settings.span("data-parallel-backend"), message, hint="mp or ray")
