"""Hidden metrics are shown for a version number, and this is none.

Wrong::

    --show-hidden-metrics-for-version latest

Right::

    --show-hidden-metrics-for-version 0.11
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "metrics-version"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("show-hidden-metrics-for-version",)
# PEP 440, as the packaging library reads it.
VERSION = (
    r"\s*v?(?:\d+!)?\d+(?:\.\d+)*(?:[-_.]?(?:alpha|a|beta|b|preview|pre|c|rc)[-_.]?\d*)?"
    r"(?:-\d+|[-_.]?(?:post|rev|r)[-_.]?\d*)?(?:[-_.]?dev[-_.]?\d*)?(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?\s*"
)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for a text that is no version."""
    settings = Settings(context)
    text = settings.text("show-hidden-metrics-for-version")
    if text is not None and not re.fullmatch(VERSION, text, re.IGNORECASE | re.ASCII):
        span = settings.span("show-hidden-metrics-for-version")
        yield context.error(CODE, span, f"'{text}' is no version number", hint="a version such as 0.11")
