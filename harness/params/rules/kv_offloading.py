"""An offloading backend for the KV cache needs a size, and a size needs a backend.

In 0.12 the backend alone is refused and the size alone does nothing; since 0.15 the backend has a default and only the
size matters.

Wrong::

    --kv-offloading-backend native    # engine-version: 0.12.0

Right::

    --kv-offloading-backend native --kv-offloading-size 10    # engine-version: 0.12.0
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "kv-offloading"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("kv-offloading-backend", "kv-offloading-size")


def check(context: Context) -> Iterator[Diagnostic]:
    """An error where the engine exits, a warning where half of the pair does nothing."""
    settings = Settings(context)
    size = settings.number("kv-offloading-size")
    backend = settings.text("kv-offloading-backend")
    if settings.given("kv-offloading-backend") is not None and size is None:
        span = settings.span("kv-offloading-backend")
        message = "--kv-offloading-backend does nothing without --kv-offloading-size"
        if settings.since("0.15.1"):
            yield context.warning(CODE, span, message)
        elif backend is not None:
            yield context.error(CODE, span, "--kv-offloading-backend needs --kv-offloading-size")
    elif size is not None and backend is None:
        message = "--kv-offloading-size does nothing without --kv-offloading-backend"
        yield context.warning(CODE, settings.span("kv-offloading-size"), message)
