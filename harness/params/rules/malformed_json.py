"""The value is not JSON, and the flag takes nothing else.

JSON has double quotes, ``true``, ``false`` and ``null`` in lower case, and no comma before a closing bracket.
The finding points at the character where reading stopped.

Wrong::

    --speculative-config "{'method': 'ngram'}"

Right::

    --speculative-config '{"method": "ngram"}'
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.grammar import ValueKind
from harness.params.meaning import plain_json
from harness.params.reading import Problem, ProblemKind, Span
from harness.params.rules.torn_by_white_space import mended

CODE = "malformed-json"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.MALFORMED_JSON})


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each value that is no JSON and was not merely torn."""
    for problem in context.reading.of(ProblemKind.MALFORMED_JSON):
        if mended(problem, context) is not None:
            continue
        message = f"the value of {problem.flag} is not JSON: {explain(problem)}"
        meant = plain_json(problem.text)
        hint = f"JSON for it: {meant}" if meant is not None else None
        if problem.option is not None and problem.option.kind is ValueKind.LORA_MODULE:
            meant, hint = None, "write name=path, or a JSON object with name and path"
        yield context.error(
            CODE, _place(problem, context), message, hint=hint, fix=_fix(problem, meant, context)
        )


def explain(problem: Problem) -> str:
    """What JSON's reader met, in few words."""
    if problem.offset is None:
        return problem.detail or "it cannot be read"
    if not problem.text.strip():
        return "it is empty"
    rest = problem.text[problem.offset :]
    detail = problem.detail[:1].lower() + problem.detail[1:]
    return f"{detail} at {rest[:12]!r}" if rest else f"it ends too early ({detail})"


def _place(problem: Problem, context: Context) -> Span | None:
    """The character where reading stopped, when the value stands in the list as it is."""
    span = problem.span
    if span is None or problem.offset is None:
        return span
    if context.parameters[span.index][span.start : span.end] != problem.text or not problem.text:
        return span
    start = span.start + min(problem.offset, len(problem.text) - 1)
    return Span(span.index, start, start + 1)


def _fix(problem: Problem, meant: str | None, context: Context) -> Edit | None:
    span = problem.span
    if meant is None or span is None or context.parameters[span.index][span.start : span.end] != problem.text:
        return None
    item = context.parameters[span.index][: span.start] + meant
    return Edit(span.index, span.index + 1, (item,), "write it as JSON")
