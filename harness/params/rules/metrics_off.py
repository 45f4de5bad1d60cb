"""Without statistics vLLM's metrics are empty: nothing tells how full the deployment is.

Wrong::

    --disable-log-stats

Right::

    --disable-uvicorn-access-log
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.rules.managed_flag import removal

CODE = "metrics-off"
STAGE = Stage.PLATFORM
SEVERITY = Severity.WARNING
FLAGS = ("disable-log-stats",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One warning."""
    argument = context.last("disable-log-stats")
    if argument is not None and argument.converted is True:
        message = f"{argument.flag_text} empties the deployment's metrics"
        yield context.warning(CODE, argument.flag_span, message, fix=removal(argument))
