"""The model cannot do what ``--runner`` asks for.

Wrong::

    --runner generate    # model: bge-base

Right::

    --runner pooling    # model: bge-base
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import architecture, model
from harness.params.settings import Settings

CODE = "model-runner"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("runner", "convert")
POOLING_CONVERTS = {"embed", "classify", "reward"}


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when the engine's class for the model is known."""
    settings = Settings(context)
    known = model(settings)
    found = None if known is None else architecture(settings, known)
    runner, convert = settings.text("runner"), settings.text("convert")
    if found is None or settings.given("task") is not None:
        return
    span = settings.span("runner", "convert")
    if runner == "generate" and not found.generates:
        yield context.error(CODE, span, f"{found.name} does not generate text", hint="--runner pooling")
    elif runner == "pooling" and not found.pools and convert not in POOLING_CONVERTS | {None, "auto"}:
        hint = "--convert embed or classify, or leave --convert out"
        yield context.error(CODE, span, f"{found.name} does not pool without a conversion", hint=hint)
