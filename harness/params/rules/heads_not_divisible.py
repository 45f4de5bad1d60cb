"""Tensor parallelism splits the model's attention heads, and they do not divide evenly.

Wrong::

    --tensor-parallel-size 3    # model: llama-8b gpu-count: 4

Right::

    --tensor-parallel-size 4    # model: llama-8b gpu-count: 4
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import model, world_size
from harness.params.settings import Settings

CODE = "heads-not-divisible"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("tensor-parallel-size",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when the head count is known and no multiple of the tensor-parallel size."""
    settings = Settings(context)
    size = settings.size("tensor-parallel-size")
    known = model(settings)
    if known is None or not known.heads or size == 0 or known.heads % size == 0:
        return
    counted = settings.text("distributed-executor-backend") is None and settings.size("nnodes") <= 1
    if counted and context.gpu_count is not None and world_size(settings) > context.gpu_count:
        return  # too-few-gpus speaks
    message, hint = told(known.heads, size)
    yield context.error(CODE, settings.span("tensor-parallel-size"), message, hint=hint)


def told(heads: int, size: int) -> tuple[str, str]:
    """That the heads cannot be split over so many GPUs, and over how many they can."""
    fitting = [str(count) for count in (1, 2, 4, 8) if heads % count == 0]
    message = f"the model's {heads} attention heads cannot be split over {size} GPUs"
    return message, f"a tensor-parallel size that divides {heads}: {', '.join(fitting)}"
