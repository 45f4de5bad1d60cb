"""Overlapping two micro-batches works with the DeepEP all-to-all backends only.

Wrong::

    --enable-dbo

Right::

    --enable-dbo --all2all-backend deepep_low_latency
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "microbatching"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("enable-dbo", "ubatch-size")
ABLE = ("deepep_low_latency", "deepep_high_throughput")


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when micro-batches are on and the backend is another one, or the default."""
    settings = Settings(context)
    wanted = settings.switch("enable-dbo") or (settings.integer("ubatch-size") or 0) > 1
    backend = settings.text("all2all-backend")
    if not wanted or backend in ABLE:
        return
    flag = "--enable-dbo" if settings.switch("enable-dbo") else "--ubatch-size"
    shown = "the default" if settings.given("all2all-backend") is None else f"'{backend}'"
    message = f"{flag} needs an all-to-all backend {' or '.join(ABLE)}, not {shown}"
    yield context.error(CODE, settings.span(*FLAGS), message)
