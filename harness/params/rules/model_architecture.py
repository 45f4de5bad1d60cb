"""The architecture is none that this engine version can run.

Wrong::

    --hf-overrides '{"architectures": ["NoSuchForCausalLM"]}'    # model: llama-8b

Right::

    --hf-overrides '{"architectures": ["LlamaForCausalLM"]}'    # model: llama-8b
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import SUFFIX_RUNNERS, facts, model
from harness.params.settings import Settings

CODE = "model-architecture"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Diagnostic]:
    """An error for a name set by ``--hf-overrides`` or one that was removed, a warning for another unknown one.

    A model the engine does not know may still run through Transformers, which is not known here.
    """
    if context.model is None:
        return
    settings = Settings(context)
    known = model(settings)
    if known is None or (settings.text("model-impl") or "auto") in {"transformers", "terratorch"}:
        return
    names = known.architectures
    table = facts(settings)
    if not names or any(name in table.architectures or converts(name, table.architectures) for name in names):
        return
    gone = [name for name in names if name in table.gone_architectures]
    overridden = "architectures" in (settings.table("hf-overrides") or {})
    span = settings.span("hf-overrides") if overridden else None
    shown = ", ".join(names)
    if gone:
        yield context.error(CODE, span, f"vLLM {context.version} no longer runs {gone[0]}")
    elif overridden and known.source.get("auto_map") is None:
        yield context.error(CODE, span, f"vLLM {context.version} does not know the architecture {shown}")
    else:
        yield context.warning(CODE, span, f"vLLM {context.version} has no class of its own for {shown}")


def converts(name: str, table: Container[str]) -> bool:
    """True when the engine adapts a class it knows under another ending (``…Model`` from ``…ForCausalLM``)."""
    for suffix, _ in SUFFIX_RUNNERS:
        if name.endswith(suffix):
            return any(name.removesuffix(suffix) + other in table for other, _ in SUFFIX_RUNNERS)
    return False
