"""A value is given to a switch.

A switch is on when it is there; ``--no-<name>`` turns off those that have that form.

Wrong::

    --enforce-eager=true

Right::

    --enforce-eager
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.quoting import quote
from harness.params.reading import Problem, ProblemKind

CODE = "value-for-switch"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.VALUE_FOR_SWITCH, ProblemKind.STRAY})
ON = frozenset({"true", "1", "yes", "on", "True", "TRUE", ""})
OFF = frozenset({"false", "0", "no", "off", "False", "FALSE"})


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each value glued to a switch or standing after it."""
    for problem in context.reading.of(ProblemKind.VALUE_FOR_SWITCH):
        option = problem.option
        if option is None or problem.span is None:
            continue
        message = f"{problem.flag} is a switch and takes no value, not {quote(problem.text)}"
        index = problem.span.index
        yield context.error(
            CODE, problem.span, message, note=_note(problem.text, problem), fix=_fix(problem, index, 1)
        )
    for problem in context.reading.of(ProblemKind.STRAY):
        switch = switch_before(problem, context)
        if switch is None or problem.span is None:
            continue
        message = f"{switch} is a switch and takes no value, not {quote(problem.text)}"
        fix = None
        if problem.text in ON:
            fix = Edit(problem.span.index, problem.span.index + 1, (), f"remove {quote(problem.text)}")
        yield context.error(CODE, problem.span, message, note=_note(problem.text, problem), fix=fix)


def switch_before(problem: Problem, context: Context) -> str | None:
    """The switch whose value a stray ``true`` or ``false`` was meant to be."""
    if problem.span is None or problem.span.index == 0 or problem.text not in ON | OFF:
        return None
    before = context.parameters[problem.span.index - 1]
    for argument in context.arguments:
        if argument.index == problem.span.index - 1 and argument.option.is_switch and not argument.parts:
            return before
    return None


def _note(text: str, problem: Problem) -> str:
    if text in OFF and problem.option is not None and problem.option.negatable:
        return f"use --no-{problem.option.name}"
    return "leave the value out" if text in ON else "leave it out"


def _fix(problem: Problem, index: int, count: int) -> Edit | None:
    option = problem.option
    if option is None:
        return None
    if problem.text in ON:
        return Edit(index, index + count, (problem.flag,), f"write {problem.flag}")
    if problem.text in OFF and option.negatable and not problem.flag.startswith("--no-"):
        return Edit(index, index + count, (f"--no-{option.name}",), f"write --no-{option.name}")
    return None
