"""The engine would print its help and end.

In a deployment that is an engine that ends with success, again and again, and never becomes ready. Beginnings of
``--help`` count too.

Wrong::

    --help

Right::

    --max-num-seqs 64
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.quoting import quote
from harness.params.reading import ProblemKind

CODE = "help-flag"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.HELP})


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each flag that asks for help."""
    for problem in context.reading.of(ProblemKind.HELP):
        fix = None
        if problem.span is not None:
            fix = Edit(problem.span.index, problem.span.index + 1, (), "remove it")
        yield context.error(
            CODE,
            problem.span,
            f"{quote(problem.text)} prints the engine's help and ends it",
            note="remove it",
            fix=fix,
        )
