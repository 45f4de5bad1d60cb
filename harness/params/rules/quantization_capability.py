"""The GPU is too old for the quantization method.

Wrong::

    --quantization fp8    # model: llama-8b gpu-type: gpu2

Right::

    --quantization fp8    # model: llama-8b gpu-type: gpua5000
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import gpu, model
from harness.params.quantization import method
from harness.params.settings import Settings

CODE = "quantization-capability"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding, about the flag or the checkpoint's method."""
    if context.gpu_type is None or context.model is None:
        return
    settings = Settings(context)
    card, known = gpu(settings), model(settings)
    if card is None or known is None:
        return
    found = method(settings, known)
    if found is None or found.min_capability is None or card.compute_capability >= found.min_capability:
        return
    yield context.error(
        CODE,
        settings.span("quantization"),
        f"'{found.name}' needs compute capability {found.min_capability / 10:g}, {card.name} has "
        f"{card.compute_capability / 10:g}",
        hint="a newer GPU family, or a checkpoint without this quantization",
    )
