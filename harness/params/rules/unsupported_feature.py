"""The flag exists, but every value other than its default is refused: the feature is not there.

Wrong::

    --max-num-partial-prefills 2

Right::

    --max-num-partial-prefills 1
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "unsupported-feature"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
PREFILLS = ("max-num-partial-prefills", "max-long-partial-prefills")
FLAGS = (*PREFILLS, "logits-processor-pattern")


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding per flag that does not hold its default."""
    settings = Settings(context)
    for name in FLAGS:
        argument = settings.given(name)
        if argument is None:
            continue
        value = settings.value(name)
        if value is None or (name in PREFILLS and value == 1):
            continue
        fix = None
        if not argument.parts:
            last = argument.value_span.index + 1
            fix = Edit(argument.index, last, (), f"remove {argument.flag_text}")
        message = f"vLLM {context.version} does not support --{name} {argument.value}"
        yield context.error(CODE, argument.value_span, message, fix=fix)
