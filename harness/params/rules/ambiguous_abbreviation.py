"""The beginning of a flag stands for several flags.

vLLM accepts a flag's beginning when no other flag begins like it. Another engine version may add one, so that
only whole flags are safe.

Wrong::

    --data-parallel-s 2

Right::

    --data-parallel-size 2
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.quoting import quote
from harness.params.reading import ProblemKind

CODE = "ambiguous-abbreviation"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.AMBIGUOUS})
SHOWN = 6


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each text that several flags begin with."""
    for problem in context.reading.of(ProblemKind.AMBIGUOUS):
        shown = ", ".join(problem.choices[:SHOWN]) + (", …" if len(problem.choices) > SHOWN else "")
        message = (
            f"{quote(problem.flag)} could stand for {len(problem.choices)} flags of vLLM {context.version}"
        )
        yield context.error(CODE, problem.span, message, note=f"one of: {shown}")
