"""A switch is turned on and off in the same list; the later one wins.

Wrong::

    --enable-prefix-caching --no-enable-prefix-caching

Right::

    --no-enable-prefix-caching
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.rules.managed_flag import removal

CODE = "cancelled-flag"
STAGE = Stage.STYLE
SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Diagnostic]:
    """One warning per switch that a later one undoes."""
    if len(context.reading.by_name) == len(context.arguments):
        return
    for uses in context.reading.by_name.values():
        last = uses[-1]
        for argument in uses[:-1] if last.option.is_switch else ():
            if argument.negated != last.negated:
                message = f"{argument.flag_text} is undone by {last.flag_text} later on"
                yield context.warning(CODE, argument.flag_span, message, fix=removal(argument))
