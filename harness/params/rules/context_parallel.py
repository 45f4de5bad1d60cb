"""Context parallelism has narrow conditions, and this list is outside them.

Decode context parallelism divides the tensor-parallel group, so its size must divide that one. Models without latent
attention also need more tensor-parallel GPUs than key-value heads. Prefill context parallelism does not work in 0.12.

Wrong::

    --tensor-parallel-size 4 --decode-context-parallel-size 3

Right::

    --tensor-parallel-size 4 --decode-context-parallel-size 2    # model: deepseek-v2-lite gpu-count: 4
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import architecture, model
from harness.params.settings import Settings

CODE = "context-parallel"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("decode-context-parallel-size", "prefill-context-parallel-size")


def check(context: Context) -> Iterator[Diagnostic]:
    """At most one finding per flag."""
    settings = Settings(context)
    prefill = settings.size("prefill-context-parallel-size")
    if prefill > 1 and not settings.since("0.15.1"):
        message = f"prefill context parallelism ({prefill}) does not work in vLLM {context.version}"
        yield context.error(CODE, settings.span("prefill-context-parallel-size"), message)
    reason = decode_refusal(settings)
    if reason is not None:
        yield context.error(
            CODE, settings.span("decode-context-parallel-size", "tensor-parallel-size"), reason
        )


def decode_refusal(settings: Settings) -> str | None:
    """Why vLLM refuses the decode context parallel size, or None."""
    size = settings.size("decode-context-parallel-size")
    tensor = settings.size("tensor-parallel-size")
    if size == 0:
        return None  # parallel-size speaks
    if tensor % size:
        return f"tensor-parallel size {tensor} is not a multiple of the decode context parallel size {size}"
    known = model(settings)
    if size <= 1 or known is None or known.mla:
        return None
    found = architecture(settings, known)
    if known.kv_heads == 0 or (found is not None and found.attention_free):
        return "decode context parallelism needs a model with attention"
    if known.kv_heads is None or known.heads is None:
        return None
    if tensor <= known.kv_heads:
        return (
            f"decode context parallelism needs more tensor-parallel GPUs ({tensor}) than the model has "
            f"key-value heads ({known.kv_heads})"
        )
    if size > tensor // known.kv_heads:
        return (
            f"decode context parallel size {size} is above {tensor} GPUs // {known.kv_heads} key-value heads"
        )
    if known.heads // known.kv_heads % size:
        return f"{known.heads // known.kv_heads} heads per key-value head do not divide by {size}"
    return None
