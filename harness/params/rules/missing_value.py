"""The flag needs a value, and none follows.

A text that begins with a dash is read as a flag, not as a value (a negative whole number is the exception):
write such a value as ``--flag=-x``. A dotted key, ``--compilation-config.mode``, needs a value too.

Wrong::

    --max-num-seqs --enforce-eager

Right::

    --max-num-seqs 64 --enforce-eager
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.grammar import Arity
from harness.params.quoting import quote
from harness.params.reading import Problem, ProblemKind
from harness.params.rules.two_tokens_in_one_item import split_whole
from harness.params.values import convert

CODE = "missing-value"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.MISSING_VALUE, ProblemKind.DOTTED_WITHOUT_VALUE})


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each flag or dotted key without its value."""
    for problem in context.reading.of(ProblemKind.MISSING_VALUE, ProblemKind.DOTTED_WITHOUT_VALUE):
        if split_whole(problem, context) is not None or is_dashed_value(problem, context):
            continue
        following = _dashed_value(problem, context)
        if problem.kind is ProblemKind.DOTTED_WITHOUT_VALUE:
            message = f"{quote(problem.flag)} is read as a key of a structured value, and has no value"
        else:
            many = problem.option is not None and problem.option.arity is Arity.MANY
            message = f"{problem.flag} needs {'at least one value' if many else 'a value'}"
        note = hint = None
        fix = None
        if following is not None and problem.span is not None:
            joined = f"{context.parameters[problem.span.index]}={following}"
            hint = f"a value that begins with a dash must be joined: {joined}"
            if problem.option is not None and not convert(problem.option, following).refusals:
                fix = Edit(problem.span.index, problem.span.index + 2, (joined,), f"write {joined}")
        yield context.error(CODE, problem.span, message, hint=hint, note=note, fix=fix)


def is_dashed_value(problem: Problem, context: Context) -> bool:
    """True when the problem is about an item that was meant as the value of the flag before it."""
    span = problem.span
    if span is None or span.index == 0 or not context.parameters[span.index][1:2].isdigit():
        return False
    return any(
        other.kind is ProblemKind.MISSING_VALUE
        and other.span is not None
        and other.span.index == span.index - 1
        for other in context.reading.problems
    )


def _dashed_value(problem: Problem, context: Context) -> str | None:
    """The next item, when it looks like a value with a dash rather than a flag."""
    if problem.span is None or problem.kind is ProblemKind.DOTTED_WITHOUT_VALUE:
        return None
    following = context.parameters[problem.span.index + 1 : problem.span.index + 2]
    if following and following[0].startswith("-") and following[0][1:2].isdigit():
        return following[0]
    return None
