"""The model's configuration is read in one of two formats, and this is neither.

``hf`` reads ``config.json``, ``mistral`` reads ``params.json``; ``auto`` looks which one there is.

Wrong::

    --config-format yaml

Right::

    --config-format hf
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "config-format"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("config-format",)


def check(context: Context) -> Iterator[Diagnostic]:
    """An error for an unknown format; ``mistral`` beside a known ``config.json`` is one for models of others."""
    settings = Settings(context)
    asked = settings.text("config-format")
    span = settings.span("config-format")
    if asked is None:
        return
    if asked not in {"auto", "hf", "mistral"}:
        yield context.error(
            CODE, span, f"there is no configuration format '{asked}'", hint="auto, hf or mistral"
        )
    elif asked == "mistral" and context.model is not None:
        # Mistral's own repositories hold both files.
        names = f"{context.model.model_type} {' '.join(context.model.architectures)}".lower()
        finding = context.warning if "tral" in names else context.error
        yield finding(CODE, span, "'mistral' reads params.json, and the model comes with config.json")
