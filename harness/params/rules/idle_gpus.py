"""The engine uses fewer GPUs than the replica has, and all of them are paid for.

Wrong::

    --tensor-parallel-size 2    # gpu-count: 4

Right::

    --tensor-parallel-size 4    # gpu-count: 4
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import model, world_size
from harness.params.settings import Settings

CODE = "idle-gpus"
STAGE = Stage.PLATFORM
SEVERITY = Severity.WARNING
FLAGS = ("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size")


def check(context: Context) -> Iterator[Diagnostic]:
    """One warning when the sizes given multiply to less than the GPU count."""
    settings = Settings(context)
    count = context.gpu_count
    sizes = [settings.size(name) for name in (*FLAGS, "prefill-context-parallel-size")]
    used = world_size(settings) * settings.size("data-parallel-size")
    if count is None or not 1 <= count <= 8 or min(sizes) < 1 or used >= count:
        return
    message = f"{used} of the replica's {count} GPUs {'is' if used == 1 else 'are'} used"
    hint = "parallel sizes that multiply to the GPU count, or fewer GPUs"
    yield context.warning(CODE, settings.span(*FLAGS), message, hint=hint, fix=widen(settings, count))


def widen(settings: Settings, count: int) -> Edit | None:
    """The tensor-parallel size that uses all GPUs, where the model's heads allow it and nothing else is set."""
    argument = settings.given("tensor-parallel-size")
    known = model(settings)
    if argument is None or known is None or not known.heads or known.heads % count or argument.parts:
        return None
    if any(settings.given(name) for name in FLAGS[1:]) or settings.given("prefill-context-parallel-size"):
        return None
    span = argument.value_span
    item = str(count) if span.index != argument.index else f"{argument.flag}={count}"
    return Edit(span.index, span.index + 1, (item,), f"use all {count} GPUs")
