"""The optimization level is 0, 1, 2 or 3.

The parser takes any text; the configuration does not.

Wrong::

    -O4

Right::

    -O3
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.lenient import integer_of
from harness.params.settings import Settings

CODE = "optimization-level"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("optimization-level",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for any other text."""
    settings = Settings(context)
    text = settings.text("optimization-level")
    if text is None or integer_of(text) in {0, 1, 2, 3}:
        return
    message = f"there is no optimization level '{text}'"
    yield context.error(CODE, settings.span("optimization-level"), message, hint="-O0, -O1, -O2 or -O3")
