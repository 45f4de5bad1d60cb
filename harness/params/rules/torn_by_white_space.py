"""A JSON value was torn into several items at its white space.

``exo``'s ``--inference-engine-params`` and unquoted shell words are split at spaces, so that the engine gets
``{"mode":`` as the value and ``3}`` as a stray item. Write the JSON without white space, or as one list item.

Wrong::

    --compilation-config '{"mode":' 3}

Right::

    --compilation-config '{"mode": 3}'
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.reading import Problem, ProblemKind

CODE = "torn-by-white-space"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.MALFORMED_JSON, ProblemKind.STRAY})
MAX_ITEMS = 200


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each JSON value whose pieces make sense when they are put together again."""
    for problem in context.reading.of(ProblemKind.MALFORMED_JSON):
        whole = mended(problem, context)
        if whole is None or problem.span is None:
            continue
        end, item = whole
        message = f"the JSON value of {problem.flag} was torn at its white space into {end - problem.span.index} items"
        fix = Edit(problem.span.index, end, (item,), "join the pieces into one item")
        hint = "write JSON without white space, or quote it so that it stays one item"
        yield context.error(CODE, problem.span, message, hint=hint, note="goes on in the next item", fix=fix)


def mended(problem: Problem, context: Context) -> tuple[int, str] | None:
    """Where the pieces end (exclusive) and the one item they make, or None when they make no JSON."""
    span = problem.span
    if span is None or problem.text.lstrip(" '\"")[:1] not in set("{["):
        return None
    return _join(context.parameters, span.index, span.start)


@lru_cache(maxsize=256)
def _join(parameters: tuple[str, ...], index: int, start: int) -> tuple[int, str] | None:
    prefix, text = parameters[index][:start], parameters[index][start:]
    for end in range(index + 1, min(len(parameters), index + MAX_ITEMS)):
        text = f"{text} {parameters[end]}"
        for candidate in (text, text.strip("'\"")):
            if candidate[-1:] in ("}", "]") and _is_json(candidate):
                return end + 1, prefix + candidate
    return None


def is_torn(problem: Problem, context: Context) -> bool:
    """True when the problem lies inside pieces that the finding of this rule covers."""
    if problem.span is None:
        return False
    for malformed in context.reading.of(ProblemKind.MALFORMED_JSON):
        whole = mended(malformed, context)
        if (
            whole is not None
            and malformed.span is not None
            and malformed.span.index < problem.span.index < whole[0]
        ):
            return True
    return False


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
