"""A replica has 1 to 8 GPUs, and a deployment at least one replica.

Some families come with fewer GPUs per machine: a larger count is likely refused for want of one.

Wrong::

    --seed 1    # gpu-count: 9

Right::

    --seed 1    # gpu-count: 8
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context

CODE = "deployment-size"
STAGE = Stage.PLATFORM
SEVERITY = Severity.ERROR
LARGEST = 8
# The largest machine that is offered with these families.
LARGEST_OF_FAMILY = {"gpua5000": 4, "gpu3080ti": 4, "gpua30": 4}


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding per number."""
    count = context.gpu_count
    most = LARGEST_OF_FAMILY.get(context.gpu_type or "", LARGEST)
    if count is not None and not 1 <= count <= LARGEST:
        yield context.error(CODE, None, f"a replica has 1 to {LARGEST} GPUs, not {count}")
    elif count is not None and count > most:
        message = f"machines with {context.gpu_type} have up to {most} GPUs, not {count}"
        yield context.warning(CODE, None, message)
    if context.replicas is not None and context.replicas < 1:
        yield context.error(CODE, None, f"a deployment has at least one replica, not {context.replicas}")
