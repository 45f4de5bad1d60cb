"""The sequence length is above what the model was made for, or no length at all.

The limit comes from the model's ``config.json`` (``max_position_embeddings`` and its relatives, RoPE scaling
included) and can only be lifted by an environment variable that a managed deployment does not set.

Wrong::

    --max-model-len 200000    # model: llama-8b

Right::

    --max-model-len 131072    # model: llama-8b
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import asked_length, longest_length, model
from harness.params.settings import Settings

CODE = "sequence-length"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("max-model-len",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding about ``--max-model-len``."""
    settings = Settings(context)
    asked = asked_length(settings)
    if asked is None:
        return
    span = settings.span("max-model-len")
    if asked < 1:
        below = settings.since("0.15.1") and asked < -1
        certain = below or settings.integer("max-num-batched-tokens") is None
        hint = "a number of tokens" + (", or auto" if settings.since("0.15.1") else "")
        finding = context.error if certain else context.warning
        yield finding(CODE, span, f"a sequence of {asked} tokens holds nothing", hint=hint)
        return
    known = model(settings)
    longest = None if known is None else longest_length(settings, known)
    if known is None or longest is None or asked <= longest[0]:
        return
    if known.model_max_length is not None and asked <= known.model_max_length:
        return
    message, hint = told(asked, int(longest[0]), longest[1])
    yield context.error(CODE, span, message, hint=hint)


def told(asked: int, limit: int, whose: str) -> tuple[str, str]:
    """That a length is above the model's, named by the key it stands under, and what would do."""
    message = f"{asked} tokens are more than the {limit} the model allows ({whose})"
    return message, f"--max-model-len {limit} at most"
