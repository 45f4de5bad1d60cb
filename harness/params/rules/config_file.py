"""``--config`` names a file that a managed deployment does not have.

The engine reads its parameters from that file and ends with an error when it is not there. Write the parameters into
the list instead. (``--config=FILE``, joined, is accepted and ignored.)

Wrong::

    --config serve.yaml

Right::

    --max-num-seqs 64
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.quoting import quote
from harness.params.reading import ProblemKind

CODE = "config-file"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.CONFIG_FILE})


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each ``--config``."""
    for problem in context.reading.of(ProblemKind.CONFIG_FILE):
        named = f" {quote(problem.detail)}" if problem.detail else ""
        message = f"--config reads a file{named} that the deployment does not have"
        yield context.error(CODE, problem.span, message, hint="write its parameters into the list")
