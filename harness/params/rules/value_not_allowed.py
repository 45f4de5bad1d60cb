"""The flag takes one of a fixed list of values, and this is not one of them.

Values are compared exactly: letter case and white space count. vLLM parses its arguments before it loads the
model, so the engine exits at once and the deployment never becomes ``ready``.

Wrong::

    --kv-cache-dtype fp_8

Right::

    --kv-cache-dtype fp8
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.names import near_text
from harness.params.quoting import quote
from harness.params.reading import Problem, ProblemKind
from harness.params.rules.two_tokens_in_one_item import split_value

CODE = "value-not-allowed"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.NOT_ALLOWED})
SHOWN = 8
# What other programs call the types of numbers.
OTHER_NAMES = {
    "fp16": "float16", "f16": "float16", "bf16": "bfloat16", "fp32": "float32", "f32": "float32",
}  # fmt: skip


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each value outside its flag's list."""
    for problem in context.reading.of(ProblemKind.NOT_ALLOWED):
        if split_value(problem, context) is not None:
            continue
        choices = problem.option.choices or () if problem.option is not None else ()
        near = meant(problem.text, choices)
        message = f"{problem.flag} does not accept {quote(problem.text)} in vLLM {context.version}"
        yield context.error(
            CODE, problem.span, message, note=_note(choices, near), fix=_fix(problem, near, context)
        )


def meant(text: str, choices: tuple[str, ...]) -> str | None:
    """The choice that is another name for the text, else the one spelt most alike."""
    other = OTHER_NAMES.get(text.strip().lower())
    return other if other in choices else near_text(text, choices)


def _note(choices: tuple[str, ...], near: str | None) -> str:
    shown = ", ".join(choices[:SHOWN]) + (", …" if len(choices) > SHOWN else "")
    return f"one of: {shown}" + (f"; did you mean {near!r}?" if near is not None else "")


def _fix(problem: Problem, near: str | None, context: Context) -> Edit | None:
    """Only letter case and white space are put right without asking."""
    span = problem.span
    if near is None or span is None or near.casefold() != problem.text.strip().casefold():
        return None
    item = context.parameters[span.index]
    fixed = item[: span.start] + near + item[span.end :]
    return Edit(span.index, span.index + 1, (fixed,), f"write {near}")
