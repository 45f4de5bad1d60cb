"""The platform keeps models as safetensors; another format or source of weights is not there.

Wrong::

    --load-format gguf

Right::

    --load-format safetensors
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "not-safetensors"
STAGE = Stage.PLATFORM
SEVERITY = Severity.WARNING
FLAGS = ("load-format", "quantization")
MISSING = {"gguf", "pt", "npcache", "tensorizer", "sharded_state", "runai_streamer_sharded"}


def check(context: Context) -> Iterator[Diagnostic]:
    """A warning per flag; ``dummy`` weights answer nonsense, which is its own warning."""
    settings = Settings(context)
    for name in FLAGS:
        asked = (settings.text(name) or "").lower()
        if asked in MISSING and settings.given(name) is not None:
            message = f"'{asked}' needs files that the platform does not keep"
            yield context.warning(CODE, settings.span(name), message, hint="models are stored as safetensors")
        elif name == "load-format" and asked == "dummy":
            yield context.warning(CODE, settings.span(name), "'dummy' serves random weights")
