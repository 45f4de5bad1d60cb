"""An option for images, audio or video that the multimodal configuration refuses.

Text models do not look at these options at all.

Wrong::

    --mm-shm-cache-max-object-size-mb 64    # model: gemma3-4b engine-version: 0.15.1

Right::

    --mm-shm-cache-max-object-size-mb 64 --mm-processor-cache-type shm    # model: gemma3-4b engine-version: 0.15.1
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import architecture, facts, model
from harness.params.lenient import integer_of
from harness.params.settings import Settings

CODE = "multimodal-options"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("mm-encoder-attn-backend", "mm-shm-cache-max-object-size-mb", "limit-mm-per-prompt")
DEFAULT_OBJECT_MB = 128


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding per option, for models known to be multimodal."""
    settings = Settings(context)
    known = model(settings)
    found = None if known is None else architecture(settings, known)
    if found is None or not found.multimodal:
        return
    backend = settings.text("mm-encoder-attn-backend")
    if backend is not None and backend.upper() not in facts(settings).attention_backends:
        message = f"there is no attention backend '{backend}'"
        note = f"one of: {', '.join(facts(settings).attention_backends)}"
        yield context.error(CODE, settings.span("mm-encoder-attn-backend"), message, note=note)
    size = settings.integer("mm-shm-cache-max-object-size-mb")
    shared = settings.text("mm-processor-cache-type") == "shm"
    if size is not None and size >= 0 and size != DEFAULT_OBJECT_MB and not shared:
        span = settings.span("mm-shm-cache-max-object-size-mb")
        message = "--mm-shm-cache-max-object-size-mb needs --mm-processor-cache-type shm"
        yield context.error(CODE, span, message)
    for modality, limit in (settings.table("limit-mm-per-prompt") or {}).items():
        count = integer_of(limit.get("count", 0) if isinstance(limit, Mapping) else limit)
        if count is not None and count < 0:
            message = f"the limit for {modality} is at least 0, not {count}"
            yield context.error(CODE, settings.span("limit-mm-per-prompt"), message)
