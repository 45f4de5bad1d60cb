"""The value is the default: the flag can be left out.

Written down, it stays what it is when another version has another default; so nothing is changed by ``--fix``.

Wrong::

    --gpu-memory-utilization 0.9

Right::

    --gpu-memory-utilization 0.85
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.help import default_value

CODE = "default-value"
STAGE = Stage.STYLE
SEVERITY = Severity.INFO
# The platform may give these another default of its own.
SET_BY_PLATFORM = {"tensor-parallel-size", "load-format"}


def check(context: Context) -> Iterator[Diagnostic]:
    """One remark per single use whose value equals a simple default."""
    for name, uses in context.reading.by_name.items():
        argument = uses[0]
        spec = argument.spec
        if name in SET_BY_PLATFORM or argument.option.deprecated:
            continue
        if len(uses) > 1 or not argument.valid or argument.parts or spec.default in (None, "None"):
            continue
        default = default_value(spec.default, spec.type)
        value = argument.converted
        if (
            isinstance(value, bool) != isinstance(default, bool)
            or value != default
            or isinstance(value, tuple)
        ):
            continue
        shown = argument.flag_text if argument.option.is_switch else f"{argument.flag_text} {argument.value}"
        message = f"{shown} is the default of {name} in vLLM {context.version}"
        yield context.info(CODE, argument.flag_span, message)
