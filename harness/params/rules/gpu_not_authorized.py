"""This organization may not use the GPU family, or the zone has none of it.

Known only when the platform is asked (``--live``).

Wrong::

    --seed 1    # gpu-type: gpu3 authorized: gpua5000

Right::

    --seed 1    # gpu-type: gpua5000 authorized: gpua5000
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.names import near_text

CODE = "gpu-not-authorized"
STAGE = Stage.PLATFORM
SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when the list of families is known and this one is not in it."""
    allowed = context.authorized_gpu_types
    if allowed is None or context.gpu_type is None or context.gpu_type in allowed:
        return
    known = ", ".join(allowed) if allowed else "none"
    near = near_text(context.gpu_type, allowed)
    note = f"authorized: {known}" + (f"; did you mean {near!r}?" if near is not None else "")
    yield context.error(CODE, None, f"GPU family '{context.gpu_type}' is not authorized here", note=note)
