"""A key of a structured value has a value of the wrong type.

The engine checks these while it parses its arguments. It is lenient (``"3"`` and ``3.0`` are integers,
``"yes"`` is true), but not beyond that.

Wrong::

    --compilation-config '{"cudagraph_mode": "FULLL"}'

Right::

    --compilation-config '{"cudagraph_mode": "FULL"}'
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.json_places import find_value
from harness.params.names import near_text
from harness.params.quoting import quote
from harness.params.reading import Problem, ProblemKind

CODE = "mistyped-key"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.MISTYPED_KEY})
SHOWN = 8


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each value that does not fit its key."""
    for problem in context.reading.of(ProblemKind.MISTYPED_KEY):
        span = problem.span
        written = None
        if span is not None:
            text = context.parameters[span.index][span.start : span.end]
            if text == problem.text:
                span = find_value(problem.text, problem.path, span)
            written = context.parameters[span.index][span.start : span.end]
        message = (
            f"{problem.flag} does not take {quote(written or '')} for the key {quote('.'.join(problem.path))}"
        )
        yield context.error(CODE, span, message, note=_note(problem, written))


def _note(problem: Problem, written: str | None) -> str:
    near = near_text((written or "").strip("\"'"), problem.choices) if problem.choices else None
    return f"must be {readable(problem.detail)}" + (f"; did you mean {near!r}?" if near is not None else "")


def readable(kind: str) -> str:
    """A grammar file's type in words: ``bool | null`` is ``bool or null``; long lists of names are cut."""
    head, of, names = kind.partition(" of ")
    listed = names.removesuffix(" | null").split(", ")
    if of and len(listed) > SHOWN:
        kind = f"{head} of {', '.join(listed[:SHOWN])}, …"
    return kind.replace(" | ", " or ").replace("name of", "one of (in any letter case)")
