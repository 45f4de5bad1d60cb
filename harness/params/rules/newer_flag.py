"""A later engine version has this flag; this one does not have it yet.

Deploy the later version, or leave the flag out.

Wrong::

    --attention-backend FLASHINFER   # engine-version: 0.12.0

Right::

    --attention-backend FLASHINFER   # engine-version: 0.15.1
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.names import look_up
from harness.params.quoting import quote
from harness.params.reading import ProblemKind

CODE = "newer-flag"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.UNKNOWN_FLAG})


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each flag of the future."""
    for problem in context.reading.of(ProblemKind.UNKNOWN_FLAG):
        lookup = look_up(problem.flag, context.grammar)
        if lookup.newer is None or lookup.replacement is not None:
            continue
        message = f"vLLM {context.version} does not have {quote(problem.flag)} yet"
        yield context.error(CODE, problem.span, message, note=f"in vLLM {lookup.newer} and later")
