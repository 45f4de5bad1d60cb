"""The swap space of all tensor-parallel GPUs does not fit into the machine's memory.

vLLM refuses more than 70 % of it and warns above 40 %. How much a GPU instance has is not known here; 512 GiB is taken
as the most.

Wrong::

    --swap-space 400

Right::

    --swap-space 16
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "swap-space"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("swap-space", "tensor-parallel-size")
HOST_GIB = 512
REFUSED_SHARE = 0.7
WARNED_SHARE = 0.4


def check(context: Context) -> Iterator[Diagnostic]:
    """An error above what any machine allows, a warning where the engine would warn on the largest."""
    settings = Settings(context)
    argument = settings.given("swap-space")
    each = settings.number("swap-space")
    if argument is None or each is None or not each >= 0:
        return  # out-of-range speaks
    total = each * settings.size("tensor-parallel-size")
    if total > REFUSED_SHARE * HOST_GIB or math.isinf(total):
        message = (
            f"{total:g} GiB of swap space are more than 70 % of a machine's memory ({HOST_GIB} GiB at most)"
        )
        yield context.error(CODE, argument.value_span, message)
    elif total > WARNED_SHARE * HOST_GIB:
        message = f"{total:g} GiB of swap space may be more than the machine can spare"
        yield context.warning(CODE, argument.value_span, message)
