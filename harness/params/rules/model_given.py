"""The list names a model, and the platform has already given one.

The engine is started with the deployment's model in front. A ``--model`` in the list is moved before it, and the
deployment's own model then is an argument too many.

Wrong::

    --model Qwen/Qwen3-8B

Right::

    --max-num-seqs 64
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.reading import ProblemKind, Span
from harness.params.tokens import MODEL_FLAG

CODE = "model-given"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.MODEL})


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding at the ``--model`` that displaces the deployment's own."""
    for _ in context.reading.of(ProblemKind.MODEL)[:1]:
        message = "the deployment's model is given by the platform; the list cannot name another"
        yield context.error(CODE, _place(context), message, note="remove it")


def _place(context: Context) -> Span | None:
    for index, item in enumerate(context.parameters):
        if item == MODEL_FLAG or item.startswith(f"{MODEL_FLAG}="):
            return Span(index, 0, len(MODEL_FLAG))
    return None
