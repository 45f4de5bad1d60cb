"""A step cannot hold fewer tokens than it has sequences.

``--max-num-batched-tokens`` must be at least ``--max-num-seqs``. Left out, it is 2048 (8192 on GPUs of 70 GiB and
more), so ``--max-num-seqs 4096`` alone fails on a smaller GPU.

Wrong::

    --max-num-seqs 4096    # gpu-type: gpua5000 model: llama-8b

Right::

    --max-num-seqs 4096 --max-num-batched-tokens 4096    # gpu-type: gpua5000 model: llama-8b
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import (
    LARGE_GPU_BYTES,
    LARGE_GPU_TOKENS,
    SMALL_GPU_TOKENS,
    batch,
    chunked_prefill,
    gpu,
    max_model_len,
)
from harness.params.settings import Settings

CODE = "batched-tokens"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("max-num-seqs", "max-num-batched-tokens")


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when both limits are known and contradict."""
    settings = Settings(context)
    limits = batch(settings)
    if limits.tokens is None and limits.sequences is not None:
        yield from unbounded(context, settings, limits.sequences)
    if limits.tokens is None or limits.sequences is None or limits.tokens >= limits.sequences:
        return
    if limits.tokens < 1 or limits.sequences < 1:
        return  # out-of-range and sequence-length speak
    length = max_model_len(settings)
    if chunked_prefill(settings) is False and length is not None and limits.tokens < length:
        return  # chunked-prefill speaks
    origin = "" if settings.given("max-num-batched-tokens") else " (the default here)"
    yield context.error(
        CODE,
        settings.span("max-num-seqs", "max-num-batched-tokens"),
        f"{limits.sequences} sequences do not fit a step of {limits.tokens} tokens{origin}",
        hint=f"--max-num-batched-tokens {limits.sequences}, or --max-num-seqs {limits.tokens} at most",
    )


def unbounded(context: Context, settings: Settings, sequences: int) -> Iterator[Diagnostic]:
    """More sequences than the default step, where the GPU or the model that decides the default is not known.

    An error above the default of the largest GPUs when prompts are cut into chunks, else a warning at most.
    """
    card, chunked = gpu(settings), chunked_prefill(settings)
    if chunked is False:
        return
    tokens = LARGE_GPU_TOKENS if card is None or card.vram_bytes >= LARGE_GPU_BYTES else SMALL_GPU_TOKENS
    if sequences <= tokens:
        return
    message = f"{sequences} sequences do not fit a step of {tokens} tokens (the default{' at most' * (card is None)})"
    hint = f"--max-num-batched-tokens {sequences}, or --max-num-seqs {tokens} at most"
    report = context.error if chunked else context.warning
    yield report(CODE, settings.span("max-num-seqs"), message, hint=hint)
