"""The flag is abbreviated: it works until a version adds another flag that begins alike.

Wrong::

    --max-model 4096

Right::

    --max-model-len 4096
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.reading import Argument

CODE = "abbreviated-flag"
STAGE = Stage.STYLE
SEVERITY = Severity.WARNING
SECRETS = {"hf-token", "api-key"}


def check(context: Context) -> Iterator[Diagnostic]:
    """One warning per abbreviation that the parser resolved."""
    for argument in context.arguments:
        if argument.abbreviated:
            message = f"{argument.flag_text} is short for {argument.flag}"
            yield context.warning(CODE, argument.flag_span, message, fix=spelled_out(context, argument))


def spelled_out(context: Context, argument: Argument) -> Edit | None:
    """The same item with the whole flag; None where the item holds a key, which no finding repeats."""
    span = argument.flag_span
    item = context.parameters[span.index]
    if argument.parts or span.start != 0 or (argument.name in SECRETS and len(item) > span.end):
        return None
    written = argument.flag + item[span.end :]
    return Edit(span.index, span.index + 1, (written,), f"write {argument.flag}")
