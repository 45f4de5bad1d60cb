"""With decode context parallelism the KV-cache block must be a multiple of the interleave size.

Wrong::

    -tp 4 -dcp 4 --cp-kv-cache-interleave-size 3    # model: deepseek-v2-lite gpu-type: gpu3

Right::

    -tp 4 -dcp 4 --cp-kv-cache-interleave-size 8    # model: deepseek-v2-lite gpu-type: gpu3
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import architecture, gpu, model, speculation
from harness.params.rules.context_parallel import decode_refusal
from harness.params.settings import Settings

CODE = "cache-interleave"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("cp-kv-cache-interleave-size", "dcp-kv-cache-interleave-size")
# vLLM forces other block sizes for latent attention on these generations.
OWN_BLOCKS = range(90, 120)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when the block size is known and does not fit."""
    settings = Settings(context)
    interleave = settings.size("cp-kv-cache-interleave-size")
    if not settings.since("0.15.1") and interleave != 1 and speculation(settings) is not None:
        message = (
            f"speculative decoding needs an interleave size of 1, not {interleave}, in vLLM {context.version}"
        )
        yield context.error(CODE, settings.span("cp-kv-cache-interleave-size"), message)
        return
    if settings.size("decode-context-parallel-size") <= 1 or decode_refusal(settings) is not None:
        return
    older = settings.size("dcp-kv-cache-interleave-size")
    interleave = older if older > 1 else interleave
    block = block_size(settings)
    if block is None or interleave == 0 or (interleave <= block and block % interleave == 0):
        return
    message = f"a KV-cache block of {block} tokens is not a multiple of the interleave size {interleave}"
    yield context.error(CODE, settings.span(*FLAGS), message)


def block_size(settings: Settings) -> int | None:
    """Tokens per KV-cache block; None where the model or the attention backend decides."""
    known = model(settings)
    if known is None:
        return None
    found = architecture(settings, known)
    card = gpu(settings)
    if found is None or found.hybrid or card is None or (known.mla and card.compute_capability in OWN_BLOCKS):
        return None
    return settings.integer("block-size") or int(settings.text("block-size") or 16)
