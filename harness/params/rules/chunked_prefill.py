"""Without chunked prefill a whole prompt goes into one step, and the step is smaller than the longest prompt.

Wrong::

    --no-enable-chunked-prefill --max-num-batched-tokens 4096 --max-model-len 8192

Right::

    --no-enable-chunked-prefill --max-num-batched-tokens 8192 --max-model-len 8192
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params import derivation
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "chunked-prefill"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("max-num-batched-tokens", "max-num-seqs", "enable-chunked-prefill")


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when chunking is off, by flag or for the kind of model, and both lengths are known."""
    settings = Settings(context)
    if derivation.chunked_prefill(settings) is not False:
        return
    length = derivation.max_model_len(settings)
    tokens = derivation.batch(settings).tokens
    if length is None or tokens is None or tokens >= length or tokens < 1:
        return
    yield context.error(
        CODE,
        settings.span("max-num-batched-tokens", "max-num-seqs", "enable-chunked-prefill"),
        f"without chunked prefill a step of {tokens} tokens cannot take a sequence of {length}",
        hint=f"--max-num-batched-tokens {length}, or --max-model-len {tokens}",
    )
