"""The value is not of the flag's type.

Numbers are read by Python's rules: ``4_096``, ``+5`` and ``.9`` are numbers, ``1e3`` is not an integer. A few
integers may be written ``32k`` (32000) or ``32K`` (32768); for all others that is an error.

Wrong::

    --max-num-seqs 1k

Right::

    --max-num-seqs 1000
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.grammar import Arity, ValueKind
from harness.params.meaning import plain_integers, plain_number
from harness.params.quoting import quote
from harness.params.reading import Problem, ProblemKind
from harness.params.rules.torn_by_white_space import is_torn
from harness.params.rules.two_tokens_in_one_item import split_value
from harness.params.values import plain_integer

CODE = "wrong-type"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.WRONG_TYPE})


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each value that is no number, or no LoRA module."""
    for problem in context.reading.of(ProblemKind.WRONG_TYPE):
        if split_value(problem, context) is not None or is_torn(problem, context):
            continue
        message = f"{problem.flag} does not take {quote(problem.text)} in vLLM {context.version}"
        meant = _meant(problem)
        note = f"must be {problem.detail}" + (f"; did you mean {' '.join(meant)}?" if meant else "")
        yield context.error(CODE, problem.span, message, note=note, fix=_fix(problem, meant, context))


def _meant(problem: Problem) -> tuple[str, ...]:
    """The values that were likely meant, as texts; none when that is not clear."""
    option = problem.option
    if option is None or option.kind not in (ValueKind.INTEGER, ValueKind.HUMAN_INTEGER, ValueKind.NUMBER):
        return ()
    if option.kind is ValueKind.NUMBER:
        number = plain_number(problem.text)
        return () if number is None else (str(number),)
    if option.arity is Arity.MANY:
        return tuple(map(str, plain_integers(problem.text) or ()))
    integer = plain_integer(problem.text)
    return () if integer is None else (str(integer),)


def _fix(problem: Problem, meant: tuple[str, ...], context: Context) -> Edit | None:
    span = problem.span
    if not meant or span is None:
        return None
    item = context.parameters[span.index]
    if item[span.start : span.end] != problem.text:
        return None
    items: tuple[str, ...] = (item[: span.start] + meant[0] + item[span.end :],)
    if len(meant) > 1:
        items = (*((problem.flag,) if span.start else ()), *meant)
    return Edit(span.index, span.index + 1, items, f"write {' '.join(meant)}")
