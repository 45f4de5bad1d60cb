"""Expert parallelism spreads the experts of a mixture-of-experts model, and this model has none.

Wrong::

    --enable-expert-parallel    # model: llama-8b

Right::

    --enable-expert-parallel    # model: mixtral-8x7b
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import model
from harness.params.settings import Settings

CODE = "expert-parallel"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("enable-expert-parallel",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for a model that is known to be dense."""
    settings = Settings(context)
    known = model(settings)
    argument = settings.given("enable-expert-parallel")
    if (
        argument is None
        or not settings.switch("enable-expert-parallel")
        or known is None
        or known.experts > 0
    ):
        return
    fix = Edit(argument.index, argument.index + 1, (), f"remove {argument.flag_text}")
    yield context.error(CODE, argument.flag_span, "the model has no experts to spread", fix=fix)
