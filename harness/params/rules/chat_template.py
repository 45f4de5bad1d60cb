"""The chat template looks like a path, and a deployment has no such file.

Text without ``{``, ``}`` or a line end is taken as a path. 0.15 also knows a few templates of its own by name.

Wrong::

    --chat-template template.jinja

Right::

    --chat-template '{% for m in messages %}{{ m.content }}{% endfor %}'
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import facts
from harness.params.settings import Settings

CODE = "chat-template"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("chat-template",)


def check(context: Context) -> Iterator[Diagnostic]:
    """An error for a relative path, a warning for an absolute one: the image may hold it."""
    settings = Settings(context)
    text = settings.text("chat-template")
    if not text or any(sign in text for sign in "{}\n"):
        return
    if settings.since("0.15.1") and text.removeprefix("./") in facts(settings).chat_templates:
        return
    message = f"'{text}' is read as a path to a template"
    hint = "give the template's own text"
    finding = context.warning if text.startswith("/") or text in {".", ".."} else context.error
    yield finding(CODE, settings.span("chat-template"), message, hint=hint)
