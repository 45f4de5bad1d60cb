"""The keys of a structured value do not go together.

The engine checks these while it parses its arguments: a connector without a role, a profiler without a directory, a
backend that a compilation mode does not take.

Wrong::

    --kv-transfer-config '{"kv_connector": "NixlConnector"}'

Right::

    --kv-transfer-config '{"kv_connector": "NixlConnector", "kv_role": "kv_both"}'
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.json_places import find_key
from harness.params.names import near_text
from harness.params.quoting import quote
from harness.params.reading import ProblemKind

CODE = "refused-combination"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.CONDITION})


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each condition that is not met."""
    for problem in context.reading.of(ProblemKind.CONDITION):
        span = problem.span
        if span is not None and context.parameters[span.index][span.start : span.end] == problem.text:
            span = find_key(problem.text, problem.path, span)
        message = f"{problem.flag} refuses its key {quote('.'.join(problem.path))}: {problem.detail}"
        near = near_text(problem.text, problem.choices) if problem.choices else None
        note = f"one of: {', '.join(problem.choices)}" if problem.choices else None
        yield context.error(CODE, span, message, note=f"did you mean {near!r}?" if near else note)
