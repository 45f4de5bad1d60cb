"""The method needs weights that were quantized with it, and the checkpoint's ``config.json`` says nothing of that.

Methods that quantize while loading (fp8, bitsandbytes) run on any checkpoint. Where only the model's name is known, and
the packaged table says that it is not quantized, this is a warning.

Wrong::

    --quantization awq    # model: llama-8b

Right::

    --quantization fp8    # model: llama-8b
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import facts, model
from harness.params.quantization import asked
from harness.params.settings import Settings

CODE = "quantization-not-in-checkpoint"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("quantization",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for a known, unquantized checkpoint."""
    settings = Settings(context)
    known = model(settings)
    if known is None or known.quantization is not None:
        return
    overrides = settings.table("hf-overrides") or {}
    if "quantization_config_file" in overrides or "quantization_config_dict_json" in overrides:
        return
    method = facts(settings).quantization.get(asked(settings) or "")
    if (
        method is None
        or method.bare
        or (method.deprecated and not settings.switch("allow-deprecated-quantization"))
    ):
        return
    message, hint = told(method.name, "this one")
    yield context.error(CODE, settings.span("quantization"), message, hint=hint)


def told(method: str, checkpoint: str) -> tuple[str, str]:
    """That the method needs another checkpoint, and which ones do not."""
    message = f"'{method}' needs a checkpoint made with it; {checkpoint} is not quantized"
    return message, "fp8 or bitsandbytes quantize while loading"
