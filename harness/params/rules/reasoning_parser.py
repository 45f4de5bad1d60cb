"""No reasoning parser of this name is part of this engine version.

0.12 refuses it while it builds its configuration, 0.15 when the engine core starts.

Wrong::

    --reasoning-parser deepseek    # engine-version: 0.12.0

Right::

    --reasoning-parser deepseek_r1    # engine-version: 0.12.0
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.names import close_names
from harness.params.settings import Settings

CODE = "reasoning-parser"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("reasoning-parser", "structured-outputs-config")


def check(context: Context) -> Iterator[Diagnostic]:
    """An error where the configuration code refuses it, a warning where the engine core does later."""
    settings = Settings(context)
    names = context.registries.get("reasoning_parser", ())
    plugin = settings.text("reasoning-parser-plugin")
    if not names or (plugin and len(plugin) > 3):
        return
    flag = settings.text("reasoning-parser")
    inner = (settings.table("structured-outputs-config") or {}).get("reasoning_parser")
    for name, asked in (("reasoning-parser", flag), ("structured-outputs-config", inner)):
        if not isinstance(asked, str) or not asked or asked in names:
            continue
        certain = name == "structured-outputs-config" or not settings.since("0.15.1")
        close = close_names(asked, names)
        finding = context.error if certain else context.warning
        yield finding(
            CODE,
            settings.span(name),
            f"vLLM {context.version} has no reasoning parser '{asked}'",
            hint=f"did you mean {' or '.join(close)}?" if close else None,
            note=f"one of: {', '.join(sorted(names))}",
        )
