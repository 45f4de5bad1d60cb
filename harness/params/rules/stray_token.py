"""A value stands where no flag takes one.

The engine takes one model, which the platform gives, and no other bare words.

Wrong::

    --max-num-seqs 64 128

Right::

    --max-num-seqs 64
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.quoting import quote
from harness.params.reading import Problem, ProblemKind
from harness.params.rules.torn_by_white_space import is_torn
from harness.params.rules.two_tokens_in_one_item import split_whole
from harness.params.rules.value_for_switch import switch_before

CODE = "stray-token"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.STRAY})
DASHES = "‐‑‒–—―−"


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each text nothing takes, unless it follows an unknown flag that it was meant for."""
    dashed = -2
    for problem in context.reading.of(ProblemKind.STRAY):
        index = problem.span.index if problem.span is not None else -1
        if index == dashed + 1 and not problem.text.startswith("-"):
            continue
        if begins_with_a_typographic_dash(problem.text):
            dashed = index
        if problem.detail or is_torn(problem, context) or split_whole(problem, context) is not None:
            continue
        if switch_before(problem, context) is None:
            message, note = explain(problem)
            yield context.error(CODE, problem.span, message, note=note)


def explain(problem: Problem) -> tuple[str, str | None]:
    """The message and the text under the caret."""
    text = problem.text
    if not text.strip():
        return "an empty item is not a parameter", "remove it"
    if begins_with_a_typographic_dash(text):
        return f"{quote(text)} begins with a typographic dash", "write plain hyphens: --"
    if text.strip() != text or text[:1] in "\"'":
        return f"{quote(text)} is no flag: white space and quotes in an item are kept", "write the flag alone"
    return f"nothing takes {quote(text)}: it is no flag, and the flag before it takes no further value", None


def begins_with_a_typographic_dash(text: str) -> bool:
    """True for a flag whose hyphens a word processor replaced."""
    return text.lstrip(" \"'")[:1] in set(DASHES)
