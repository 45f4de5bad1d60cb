"""The flag is given more than once, and only the last one counts.

Lists are replaced too, not extended. Only flags that add (``--middleware``) may be repeated.

Wrong::

    --seed 1 --seed 2

Right::

    --seed 2
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.rules.managed_flag import removal

CODE = "repeated-flag"
STAGE = Stage.STYLE
SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Diagnostic]:
    """One warning per use that has no effect; contradicting switches are cancelled-flag's."""
    if len(context.reading.by_name) == len(context.arguments):
        return
    for uses in context.reading.by_name.values():
        last = uses[-1]
        if len(uses) < 2 or last.option.appends:
            continue
        for argument in uses[:-1]:
            if argument.option.is_switch and argument.negated != last.negated:
                continue
            message = f"{argument.flag_text} is given again later: this one has no effect"
            yield context.warning(CODE, argument.flag_span, message, fix=removal(argument))
