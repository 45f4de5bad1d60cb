"""A parallel size is a number of GPUs, replicas or nodes, and this one is zero or negative.

vLLM divides by some of these sizes while it builds its configuration and exits with a traceback; negative ones get
further and fail in the workers.

Wrong::

    --tensor-parallel-size 0

Right::

    --tensor-parallel-size 1
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "parallel-size"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
# Refused by the configuration code when zero; the others of FLAGS fail later.
DIVISORS = ("tensor-parallel-size", "decode-context-parallel-size", "data-parallel-size")
FLAGS = (*DIVISORS, "pipeline-parallel-size", "prefill-context-parallel-size", "nnodes")


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding per size below one."""
    settings = Settings(context)
    for name in FLAGS:
        size = settings.integer(name) if settings.given(name) is not None else None
        if size is None or size > 0:
            continue
        message = f"--{name} is {size}: a parallel size is at least 1"
        if size == 0 and name in DIVISORS:
            yield context.error(CODE, settings.span(name), message)
        else:
            yield context.warning(CODE, settings.span(name), message)
