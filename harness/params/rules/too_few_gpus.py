"""The engine wants more GPUs than a replica has.

Tensor, pipeline and prefill-context parallel sizes multiply to the number of GPUs that one engine needs. Without an
explicit executor vLLM counts the GPUs and exits; with one, or with data parallelism on top, the workers fail instead.

Wrong::

    --tensor-parallel-size 4    # gpu-type: gpua5000 gpu-count: 2

Right::

    --tensor-parallel-size 2    # gpu-type: gpua5000 gpu-count: 2
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import world_size
from harness.params.settings import Settings

CODE = "too-few-gpus"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
SIZES = ("tensor-parallel-size", "pipeline-parallel-size", "prefill-context-parallel-size")
FLAGS = (*SIZES, "data-parallel-size")


def check(context: Context) -> Iterator[Diagnostic]:
    """At most one finding: the engine's own need, else the need of all its data-parallel copies."""
    settings = Settings(context)
    available = context.gpu_count
    if available is None or settings.size("nnodes") > 1 or any(settings.size(name) < 1 for name in FLAGS):
        return
    if not settings.since("0.15.1") and settings.size("prefill-context-parallel-size") > 1:
        return  # context-parallel speaks
    need = world_size(settings)
    copies = settings.size("data-parallel-size")
    if need > available:
        span = settings.span(*SIZES)
        sizes = [str(settings.size(name)) for name in SIZES if settings.size(name) > 1]
        product = f" ({' x '.join(sizes)})" if len(sizes) > 1 else ""
        message = f"the engine needs {need} GPUs{product}, a replica has {available}"
        chosen = settings.text("distributed-executor-backend")
        finding = context.error if chosen is None else context.warning
        yield finding(CODE, span, message, hint=f"parallel sizes that multiply to at most {available}")
    elif need * copies > available:
        message = (
            f"{copies} data-parallel copies x {need} need {need * copies} GPUs, a replica has {available}"
        )
        yield context.warning(CODE, settings.span("data-parallel-size"), message)
