"""A headless engine starts no API server, so it cannot have a number of them.

Without an API server a deployment never answers: leave both flags out.

Wrong::

    --headless --api-server-count 1

Right::

    --api-server-count 1
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "headless"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("headless", "api-server-count")


def check(context: Context) -> Iterator[Diagnostic]:
    """An error for the contradiction, a warning for a list that serves nothing."""
    settings = Settings(context)
    servers = settings.integer("api-server-count") if settings.given("api-server-count") else None
    if settings.switch("headless"):
        if servers is not None and servers > 0 and settings.since("0.15.1"):
            message = f"--headless starts no API server, --api-server-count asks for {servers}"
            yield context.error(CODE, settings.span("api-server-count"), message)
        else:
            message = "--headless starts no API server: the deployment never answers"
            yield context.warning(CODE, settings.span("headless"), message)
    elif servers is not None and servers < 1:
        message = f"{servers} API servers: the deployment never answers"
        yield context.warning(CODE, settings.span("api-server-count"), message)
