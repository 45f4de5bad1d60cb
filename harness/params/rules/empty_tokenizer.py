"""An empty text is no tokenizer: left out, the model's own is used.

Wrong::

    --tokenizer ''

Right::

    --tokenizer-mode auto
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "empty-tokenizer"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("tokenizer",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for an empty value."""
    argument = Settings(context).given("tokenizer")
    if argument is not None and argument.value == "" and not argument.parts:
        fix = Edit(argument.index, argument.value_span.index + 1, (), f"remove {argument.flag_text}")
        yield context.error(CODE, argument.flag_span, "--tokenizer is empty", fix=fix)
