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


def check(context: Context) -> Iterator[Diagnostic]:
    """One warning per abbreviation that the parser resolved."""
    for argument in context.arguments:
        if argument.abbreviated:
            message = f"{argument.flag_text} is short for {argument.flag}"
            yield context.warning(CODE, argument.flag_span, message, fix=spelled_out(context, argument))


def spelled_out(context: Context, argument: Argument) -> Edit | None:
    """The same item with the whole flag."""
    span = argument.flag_span
    if argument.parts or span.start != 0:
        return None
    item = context.parameters[span.index]
    written = argument.flag + item[span.end :]
    return Edit(span.index, span.index + 1, (written,), f"write {argument.flag}")
