"""Automatic tool choice needs a tool-call parser that this engine version has.

Without ``--enable-auto-tool-choice`` the parser is not looked at, and a wrong name goes unnoticed.

Wrong::

    --enable-auto-tool-choice --tool-call-parser Hermes

Right::

    --enable-auto-tool-choice --tool-call-parser hermes
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.names import close_names
from harness.params.settings import Settings

CODE = "tool-call-parser"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("enable-auto-tool-choice", "tool-call-parser")


def check(context: Context) -> Iterator[Diagnostic]:
    """An error with automatic tool choice, a warning for an unknown name without it."""
    settings = Settings(context)
    names = context.registries.get("tool_call_parser", ())
    asked = settings.text("tool-call-parser")
    if settings.switch("enable-auto-tool-choice") and not asked:
        span = settings.span("tool-call-parser", "enable-auto-tool-choice")
        yield context.error(CODE, span, "--enable-auto-tool-choice needs --tool-call-parser")
        return
    if not asked or asked in names or not names:
        return
    plugin = settings.text("tool-parser-plugin")
    if plugin and len(plugin) > 3:
        return  # the plugin may bring the name
    close = close_names(asked, names) or close_names(asked.lower(), names)
    finding = context.error if settings.switch("enable-auto-tool-choice") else context.warning
    yield finding(
        CODE,
        settings.span("tool-call-parser"),
        f"vLLM {context.version} has no tool-call parser '{asked}'",
        hint=f"did you mean {' or '.join(close)}?" if close else None,
        note=f"one of: {', '.join(sorted(names))}",
    )
