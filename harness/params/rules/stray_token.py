"""A value stands where no flag takes one.

The engine takes one model, which the platform gives, and no other bare words.

Wrong::

    --max-num-seqs 64 128

Right::

    --max-num-seqs 64
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.grammar import Arity
from harness.params.names import bare_name
from harness.params.quoting import quote
from harness.params.reading import Problem, ProblemKind
from harness.params.rules.torn_by_white_space import is_torn
from harness.params.rules.two_tokens_in_one_item import split_whole
from harness.params.rules.value_for_switch import switch_before

CODE = "stray-token"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.STRAY})
# Shorter names without dashes may be ordinary words: "seed", "port".
SHORTEST = 6
SHELL_WORDS = frozenset({"vllm", "serve", "python", "python3", "-m", "&&", "||", ";", "|", "&", "\\"})
DASHES = "‐‑‒–—―−"


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each text nothing takes, unless it follows an unknown flag that it was meant for."""
    flaglike = -2
    for problem in context.reading.of(ProblemKind.STRAY):
        index = problem.span.index if problem.span is not None else -1
        if index == flaglike + 1 and not problem.text.startswith("-"):
            continue  # the value of what was meant as a flag
        meant = meant_flag(problem.text, context)
        if meant is not None:
            flaglike = index
        if problem.detail or is_torn(problem, context) or split_whole(problem, context) is not None:
            continue
        if switch_before(problem, context) is None:
            message, note = explain(problem, meant, context)
            fix = None
            if meant is not None and index >= 0:
                fix = Edit(index, index + 1, (meant,), f"write {meant}")
            yield context.error(CODE, problem.span, message, note=note, fix=fix)


def explain(problem: Problem, meant: str | None, context: Context) -> tuple[str, str | None]:
    """The message and the text under the caret."""
    text = problem.text
    if not text.strip():
        return "an empty item is not a parameter", "remove it"
    if begins_with_a_typographic_dash(text):
        return f"{quote(text)} begins with a typographic dash", "write plain hyphens: --"
    if text.strip() != text or text[:1] in "\"'":
        note = f"write {meant}" if meant is not None else "write it without them"
        return f"{quote(text)} is no flag: white space and quotes in an item are kept", note
    if meant is not None:
        return f"{quote(text)} is no flag without its dashes", f"write {meant}"
    if text in SHELL_WORDS:
        return f"{quote(text)} is no parameter: the platform starts the engine itself", "remove it"
    message = f"nothing takes {quote(text)}: it is no flag, and the flag before it takes no further value"
    many = _many_before(problem, context)
    return message, f"write the values of {many} as items of their own, without '='" if many else None


def _many_before(problem: Problem, context: Context) -> str | None:
    """The flag of several values that stands joined to its first one just before."""
    for argument in context.arguments:
        if problem.span is not None and argument.index == problem.span.index - 1:
            joined = argument.value_span.index == argument.index
            return argument.flag if joined and argument.option.arity is Arity.MANY else None
    return None


def meant_flag(text: str, context: Context) -> str | None:
    """The flag meant by a text without plain dashes, in quotes or with white space around; None for other texts."""
    name, equals, value = text.strip(" \t\n\"'").partition("=")
    bare = bare_name(name.lstrip(DASHES))
    if bare not in context.grammar.names or (bare == name and len(bare) < SHORTEST):
        return None
    return f"--{bare}{equals}{value}"


def begins_with_a_typographic_dash(text: str) -> bool:
    """True for a flag whose hyphens a word processor replaced."""
    return text.lstrip(" \"'")[:1] in set(DASHES)
