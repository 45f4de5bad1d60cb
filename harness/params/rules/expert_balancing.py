"""Expert load balancing needs expert parallelism over more than one GPU, and redundant experts need balancing.

Wrong::

    --enable-eplb --tensor-parallel-size 2

Right::

    --enable-eplb --enable-expert-parallel --tensor-parallel-size 2
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "expert-balancing"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("enable-eplb", "eplb-config")


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding, about the first condition that does not hold."""
    settings = Settings(context)
    if settings.switch("enable-eplb"):
        span = settings.span("enable-eplb")
        tensor, data = settings.size("tensor-parallel-size"), settings.size("data-parallel-size")
        if not settings.switch("enable-expert-parallel"):
            hint = "add --enable-expert-parallel, or leave --enable-eplb out"
            yield context.error(CODE, span, "--enable-eplb needs --enable-expert-parallel", hint=hint)
        elif tensor * max(data, 1) <= 1:
            yield context.error(CODE, span, "--enable-eplb needs tensor or data parallelism above 1")
        return
    redundant = (settings.table("eplb-config") or {}).get("num_redundant_experts")
    if redundant not in (None, 0, "0", False):
        message = f"num_redundant_experts is {redundant} but expert load balancing is off"
        yield context.error(CODE, settings.span("eplb-config"), message, hint="add --enable-eplb")
