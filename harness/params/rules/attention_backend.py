"""The attention backend has another name, or is given twice.

Names may be written in lower case. Before 0.13 there is no flag for it, only an environment variable.

Wrong::

    --attention-backend flash    # engine-version: 0.15.1

Right::

    --attention-backend FLASH_ATTN    # engine-version: 0.15.1
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import facts
from harness.params.names import close_names
from harness.params.settings import Settings

CODE = "attention-backend"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("attention-backend",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding: the second place, else the unknown name."""
    settings = Settings(context)
    asked = settings.text("attention-backend")
    if asked is None:
        return
    span = settings.span("attention-backend")
    names = facts(settings).attention_backends
    if (settings.table("attention-config") or {}).get("backend") is not None:
        message = "--attention-backend and backend in --attention-config exclude each other"
        yield context.error(CODE, span, message)
    elif asked.upper() not in names:
        close = close_names(asked.upper(), names)
        hint = f"did you mean {' or '.join(close)}?" if close else None
        note = f"one of: {', '.join(names)}"
        yield context.error(CODE, span, f"there is no attention backend '{asked}'", hint=hint, note=note)
