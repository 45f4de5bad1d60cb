"""The checkpoint was quantized with one method and the flag names another.

Leave the flag out: the engine reads the method from the checkpoint. GPTQ and AWQ checkpoints may also be run by
their Marlin kernels where the GPU has them.

Wrong::

    --quantization fp8    # model: llama-awq gpu-type: gpua5000

Right::

    --quantization awq_marlin    # model: llama-awq gpu-type: gpua5000
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import model
from harness.params.quantization import resolve
from harness.params.settings import Settings

CODE = "quantization-mismatch"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("quantization",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when the checkpoint's method is known and another is asked for."""
    settings = Settings(context)
    known = model(settings)
    argument = settings.given("quantization")
    resolved = None if known is None else resolve(settings, known)
    if resolved is None or resolved.mismatch is None or argument is None:
        return
    fix = Edit(argument.index, argument.value_span.index + 1, (), f"remove {argument.flag_text}")
    yield context.error(
        CODE,
        argument.value_span,
        f"the checkpoint is quantized with {resolved.mismatch}, not with '{argument.value}'",
        hint="leave --quantization out",
        fix=None if argument.parts else fix,
    )
