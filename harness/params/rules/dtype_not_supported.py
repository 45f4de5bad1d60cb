"""The model loses its numbers in float16, or the GPU has no bfloat16.

Wrong::

    --dtype half    # model: gemma2-9b gpu-type: gpua5000

Right::

    --dtype bfloat16    # model: gemma2-9b gpu-type: gpua5000
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params import derivation
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "dtype-not-supported"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("dtype",)
BF16_CAPABILITY = 80


def check(context: Context) -> Iterator[Diagnostic]:
    """An error for a model the configuration code refuses, a warning for a GPU the worker refuses."""
    settings = Settings(context)
    known, card = derivation.model(settings), derivation.gpu(settings)
    asked = settings.text("dtype")
    span = settings.span("dtype")
    if known is not None and known.model_type in derivation.NOT_FLOAT16 and asked in {"half", "float16"}:
        message = f"models of type {known.model_type} do not run in float16"
        yield context.error(CODE, span, message, hint="--dtype bfloat16, or float32 on a GPU without it")
    elif asked == "bfloat16" and card is not None and card.compute_capability < BF16_CAPABILITY:
        message = f"{card.name} has no bfloat16: the worker refuses it when it starts"
        yield context.warning(CODE, span, message, hint="--dtype half, or leave the flag out")
