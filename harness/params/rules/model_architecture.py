"""The model is none that this engine version can run.

The engine must be able to read the model's type, and have a class for its architecture or find one that can be adapted.
Models that bring their own code need ``--trust-remote-code``.

Wrong::

    --hf-overrides '{"architectures": ["NoSuchForCausalLM"]}'    # model: llama-8b

Right::

    --hf-overrides '{"architectures": ["LlamaForCausalLM"]}'    # model: llama-8b
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import adapted, facts, model
from harness.params.model_config import ModelConfig
from harness.params.settings import Settings

CODE = "model-architecture"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Diagnostic]:
    """An error for a model that cannot be read or a name set by ``--hf-overrides``, a warning for another unknown one.

    A model the engine does not know may still run through Transformers, which is not known here.
    """
    if context.model is None:
        return
    settings = Settings(context)
    known = model(settings)
    if known is None:
        return
    overridden = "architectures" in (settings.table("hf-overrides") or {})
    span = settings.span("hf-overrides") if overridden else None
    reason = unreadable(settings, known)
    if reason is not None:
        yield context.error(
            CODE, None, reason, hint="add --trust-remote-code" if "own code" in reason else None
        )
        return
    unknown = strange(settings, known)
    if unknown is None:
        return
    gone = unknown in facts(settings).gone_architectures
    message = f"vLLM {context.version} {'no longer runs' if gone else 'has no class for'} {unknown}"
    certain = gone or (overridden and known.source.get("auto_map") is None)
    yield (context.error if certain else context.warning)(CODE, span, message)


def unreadable(settings: Settings, known: ModelConfig) -> str | None:
    """Why the configuration cannot be read: its type is unknown and its own code is missing or not trusted."""
    if settings.text("model-impl") == "terratorch" and not facts(settings).architectures.get("Terratorch"):
        return "TerraTorch models need a library that vLLM does not bring with it"
    kind = known.model_type
    if kind is None or kind in facts(settings).model_types:
        return None
    if known.source.get("auto_map") is None:
        return f"vLLM {settings.context.version} cannot read a model of type '{kind}'"
    if not settings.switch("trust-remote-code"):
        return f"models of type '{kind}' bring their own code, which is not trusted"
    return None


def strange(settings: Settings, known: ModelConfig) -> str | None:
    """The first architecture, when the engine has a class for none of them."""
    if (settings.text("model-impl") or "auto") in {"transformers", "terratorch"} or not known.architectures:
        return None
    table = facts(settings).architectures
    for name in known.architectures:
        if name in table or any(base in table for base in adapted(name)):
            return None
    return known.architectures[0]
