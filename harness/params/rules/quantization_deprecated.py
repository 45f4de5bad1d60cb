"""The quantization method is on its way out and must be allowed explicitly.

Since 0.14 such methods need ``--allow-deprecated-quantization``.

Wrong::

    --quantization experts_int8    # engine-version: 0.15.1

Right::

    --quantization experts_int8 --allow-deprecated-quantization    # engine-version: 0.15.1
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import facts, model
from harness.params.quantization import asked, resolve
from harness.params.settings import Settings

CODE = "quantization-deprecated"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding, about the flag or the checkpoint's method."""
    settings = Settings(context)
    if context.model is None and settings.given("quantization") is None:
        return
    known = model(settings)
    if known is None:
        name = asked(settings)
    else:
        resolved = resolve(settings, known)
        name = None if resolved is None or resolved.mismatch is not None else resolved.name
    method = facts(settings).quantization.get(name or "")
    if method is None or not method.deprecated or settings.switch("allow-deprecated-quantization"):
        return
    message = f"quantization method '{method.name}' is deprecated in vLLM {context.version}"
    hint = "add --allow-deprecated-quantization, or choose another method"
    yield context.error(CODE, settings.span("quantization"), message, hint=hint)
