"""Pipeline parallelism needs an executor that can do it and a model whose layers can be cut.

The executors ``mp``, ``ray`` and ``external_launcher`` can, and so does leaving the choice to vLLM.

Wrong::

    --pipeline-parallel-size 2 --distributed-executor-backend uni    # gpu-count: 2

Right::

    --pipeline-parallel-size 2    # gpu-count: 2
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import architecture, model, world_size
from harness.params.settings import Settings

CODE = "pipeline-parallel"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("pipeline-parallel-size",)
ABLE = {None, "ray", "mp", "external_launcher"}


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding: about the executor, else about the model."""
    settings = Settings(context)
    if settings.size("pipeline-parallel-size") <= 1:
        return
    executor = settings.text("distributed-executor-backend")
    if executor not in ABLE:
        span = settings.span("distributed-executor-backend")
        message = f"executor '{executor}' does not do pipeline parallelism"
        yield context.error(CODE, span, message, hint="mp, ray or external_launcher, or leave the flag out")
        return
    if context.gpu_count is not None and executor is None and world_size(settings) > context.gpu_count:
        return  # too-few-gpus speaks
    known = model(settings)
    found = None if known is None else architecture(settings, known)
    if found is not None and not found.pipeline:
        message = f"vLLM cannot cut the layers of {found.name} for pipeline parallelism"
        yield context.error(CODE, settings.span("pipeline-parallel-size"), message)
