"""With LoRA, a step must hold every sequence's speculated tokens.

``--max-num-batched-tokens`` must be at least ``--max-num-seqs`` times one more than ``num_speculative_tokens``.

Wrong::

    --enable-lora --max-num-seqs 256 --max-num-batched-tokens 512 --spec.method ngram --spec.num_speculative_tokens 3

Right::

    --enable-lora --max-num-seqs 128 --max-num-batched-tokens 512 --spec.method ngram --spec.num_speculative_tokens 3
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import batch, speculation
from harness.params.lenient import integer_of
from harness.params.settings import Settings

CODE = "speculation-with-lora"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("speculative-config",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when LoRA is on and both limits are known."""
    settings = Settings(context)
    if not settings.switch("enable-lora"):
        return
    tokens = integer_of((speculation(settings) or {}).get("num_speculative_tokens"))
    limits = batch(settings)
    if tokens is None or tokens < 1 or limits.tokens is None or limits.sequences is None:
        return
    need = limits.sequences * (tokens + 1)
    if limits.tokens >= need or limits.tokens < limits.sequences:
        return
    message = f"{limits.sequences} sequences x {tokens + 1} tokens do not fit a step of {limits.tokens}"
    span = settings.span("max-num-batched-tokens", "max-num-seqs", "speculative-config")
    yield context.error(CODE, span, message, hint=f"--max-num-batched-tokens {need}, or fewer sequences")
