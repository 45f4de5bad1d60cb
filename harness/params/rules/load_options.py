"""A name that vLLM looks up when it loads the model, and that is not among those it brings.

The configuration is built all the same; the engine exits a little later. Plugins can add names.

Wrong::

    --load-format zip

Right::

    --load-format safetensors
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "load-options"
STAGE = Stage.STARTUP
SEVERITY = Severity.WARNING
TOKENIZER_MODES = {"auto", "hf", "slow", "mistral", "custom"}
FLAGS = ("load-format", "tokenizer-mode", "kv-transfer-config")


def check(context: Context) -> Iterator[Diagnostic]:
    """One warning per unknown name."""
    settings = Settings(context)
    formats = context.registries.get("load_format", ())
    asked = settings.text("load-format")
    if asked is not None and formats and asked.lower() not in formats:
        message = f"vLLM {context.version} brings no loader for format '{asked}'"
        yield context.warning(
            CODE, settings.span("load-format"), message, note=f"one of: {', '.join(formats)}"
        )
    mode = settings.text("tokenizer-mode")
    modes = TOKENIZER_MODES | ({"deepseek_v32", "grok2"} if settings.since("0.15.1") else set())
    if mode is not None and mode.lower() not in modes:
        message = f"vLLM {context.version} brings no tokenizer mode '{mode}'"
        yield context.warning(
            CODE, settings.span("tokenizer-mode"), message, note=f"one of: {', '.join(sorted(modes))}"
        )
    connectors = context.registries.get("kv_connector", ())
    table = settings.table("kv-transfer-config") or {}
    connector = table.get("kv_connector")
    foreign = table.get("kv_connector_module_path") is not None
    if isinstance(connector, str) and connectors and connector not in connectors and not foreign:
        message = f"vLLM {context.version} brings no KV connector '{connector}'"
        note = f"one of: {', '.join(connectors)}"
        yield context.warning(CODE, settings.span("kv-transfer-config"), message, note=note)
