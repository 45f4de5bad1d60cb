"""The model cannot do what ``--runner`` asks for, or is configured for something else.

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
from harness.params.derivation import runner as model_kind
from harness.params.model_config import ModelConfig
from harness.params.settings import Settings

CODE = "model-runner"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("runner", "convert", "pooler-config")
POOLING_CONVERTS = {"embed", "classify", "reward"}


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when the engine's class for the model is known."""
    settings = Settings(context)
    known = model(settings)
    found = None if known is None else architecture(settings, known)
    runner, convert = settings.text("runner"), settings.text("convert")
    if found is None or settings.given("task") is not None:
        return
    if known is not None and poolless(settings, known):
        message = "a pooler configuration without pooling_type stops a model that generates text"
        yield context.error(CODE, settings.span("pooler-config"), message, hint="leave --pooler-config out")
    span = settings.span("runner", "convert")
    if runner == "generate" and not found.generates:
        yield context.error(CODE, span, f"{found.name} does not generate text", hint="--runner pooling")
    elif runner == "pooling" and not found.pools and convert not in POOLING_CONVERTS | {None, "auto"}:
        hint = "--convert embed or classify, or leave --convert out"
        yield context.error(CODE, span, f"{found.name} does not pool without a conversion", hint=hint)


def poolless(settings: Settings, known: ModelConfig) -> bool:
    """True when 0.12 looks for the pooling type of a model that does not pool, and finds none."""
    pooler = settings.table("pooler-config")
    if pooler is None or settings.since("0.15.1") or pooler.get("pooling_type"):
        return False
    return model_kind(settings, known) == "generate"
