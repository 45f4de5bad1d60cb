"""Ray is not part of the engine: an executor or a data-parallel backend named ``ray`` needs it installed.

Profiling the workers with Nsight works through Ray only.

Wrong::

    --distributed-executor-backend ray

Right::

    --distributed-executor-backend mp
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import world_size
from harness.params.settings import Settings

CODE = "ray-missing"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("distributed-executor-backend", "data-parallel-backend", "ray-workers-use-nsight")


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding, about the flag that asks for Ray."""
    settings = Settings(context)
    executor = settings.text("distributed-executor-backend")
    if settings.size("nnodes") > 1:
        return  # several-nodes speaks
    if executor == "ray":
        span = settings.span("distributed-executor-backend")
        yield context.error(CODE, span, "vLLM does not bring Ray with it", hint="mp, or leave the flag out")
    elif executor is None and settings.text("data-parallel-backend") == "ray" and world_size(settings) > 1:
        if context.gpu_count is None or world_size(settings) <= context.gpu_count:
            span = settings.span("data-parallel-backend")
            yield context.error(
                CODE, span, "vLLM does not bring Ray with it", hint="mp, or leave the flag out"
            )
    elif settings.switch("ray-workers-use-nsight"):
        message = "--ray-workers-use-nsight needs workers that run with Ray"
        yield context.error(CODE, settings.span("ray-workers-use-nsight"), message)
