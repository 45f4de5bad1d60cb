"""The LoRA limits contradict each other or the model.

Wrong::

    --enable-lora --max-loras 4 --max-cpu-loras 2

Right::

    --enable-lora --max-loras 4 --max-cpu-loras 4
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import architecture, model
from harness.params.settings import Settings

CODE = "lora-limits"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("max-cpu-loras", "default-mm-loras", "lora-modules")


def check(context: Context) -> Iterator[Diagnostic]:
    """Errors for what the configuration refuses, a warning for adapters that nothing can load."""
    settings = Settings(context)
    enabled = settings.switch("enable-lora")
    active, cached = settings.integer("max-loras"), settings.integer("max-cpu-loras")
    if enabled and active is not None and active >= 1 and cached is not None and 0 < cached < active:
        message = f"{cached} adapters in CPU memory are fewer than the {active} active at once"
        yield context.error(CODE, settings.span("max-cpu-loras"), message)
    known = model(settings)
    found = None if known is None else architecture(settings, known)
    if settings.value("default-mm-loras") and found is not None and not found.multimodal:
        message = "default adapters by modality need a multimodal model"
        yield context.error(CODE, settings.span("default-mm-loras"), message)
    if settings.given("lora-modules") is not None and settings.value("lora-modules") and not enabled:
        message = "--lora-modules without --enable-lora: the server exits while it loads the adapters"
        yield context.warning(CODE, settings.span("lora-modules"), message, hint="add --enable-lora")
