"""No quantization method of this name is part of this engine version.

Upper and lower case do not matter. Methods come and go: 0.15.1 no longer has hqq, rtn and auto-round, for instance.

Wrong::

    --quantization int8

Right::

    --quantization fp8
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import facts, model
from harness.params.names import close_names
from harness.params.quantization import asked, resolve
from harness.params.settings import Settings

CODE = "unknown-quantization"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding, about the flag or about a checkpoint whose method the version does not have."""
    settings = Settings(context)
    if context.model is None and settings.given("quantization") is None:
        return
    known = model(settings)
    table = facts(settings).quantization
    name = asked(settings)
    if known is None:
        if name is None or name in table or name == "marlin":
            return
    else:
        resolved = resolve(settings, known)
        if (
            resolved is None
            or resolved.mismatch is not None
            or resolved.name is None
            or resolved.name in table
        ):
            return
        name = resolved.name
    close = close_names(name, table)
    source = "" if settings.given("quantization") else " (the checkpoint's)"
    yield context.error(
        CODE,
        settings.span("quantization"),
        f"vLLM {context.version} has no quantization method '{name}'{source}",
        hint=f"did you mean {' or '.join(close)}?" if close else None,
        note=f"one of: {', '.join(sorted(table))}",
    )
