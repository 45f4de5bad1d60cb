"""The Mamba cache settings need prefix caching and chunks of whole blocks.

A block size can be set only while prefix caching is on. The mode ``align`` schedules whole blocks: a long-prefill
threshold below one block, or unchunked multimodal input, defeats it.

Wrong::

    --mamba-block-size 16 --no-enable-prefix-caching    # model: llama-8b engine-version: 0.15.1

Right::

    --mamba-block-size 16 --enable-prefix-caching    # model: llama-8b engine-version: 0.15.1
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import architecture, max_model_len, model, prefix_caching
from harness.params.rules.cache_interleave import block_size
from harness.params.settings import Settings

CODE = "mamba-cache"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
# Models that look at an image at once: vLLM does not chunk their multimodal input.
WHOLE_IMAGES = {"gemma3", "molmo2", "paligemma"}
FLAGS = ("mamba-block-size", "mamba-cache-mode")


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding per flag."""
    settings = Settings(context)
    size = settings.integer("mamba-block-size")
    caching = prefix_caching(settings)
    if size is not None and size > 0 and caching is False and size != max_model_len(settings):
        span = settings.span("mamba-block-size")
        yield context.error(
            CODE, span, "--mamba-block-size needs prefix caching", hint="add --enable-prefix-caching"
        )
    known = model(settings)
    found = None if known is None else architecture(settings, known)
    if settings.text("mamba-cache-mode") != "align" or known is None or found is None:
        return
    if caching is not True and (found.hybrid or found.attention_free):
        return  # the engine goes back to the mode "none"
    span = settings.span("mamba-cache-mode")
    if (
        known.encoder_decoder
        or settings.switch("disable-chunked-mm-input")
        or known.model_type in WHOLE_IMAGES
    ):
        yield context.error(CODE, span, "mode 'align' needs chunked multimodal input")
        return
    threshold = settings.integer("long-prefill-token-threshold") or 0
    block = block_size(settings)
    if block is not None and 0 < threshold < block:
        message = (
            f"mode 'align' needs a long-prefill threshold of a whole block ({block} tokens), not {threshold}"
        )
        yield context.error(CODE, span, message)
