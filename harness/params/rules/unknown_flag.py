"""The engine has no flag of this name.

vLLM compares flags exactly, letter case included; only unambiguous beginnings of a flag pass as well. It stops
with ``unrecognized arguments`` before it loads the model.

Wrong::

    --max-model-length 4096

Right::

    --max-model-len 4096
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.names import Lookup, look_up
from harness.params.quoting import quote
from harness.params.reading import Problem, ProblemKind
from harness.params.rules.missing_value import is_dashed_value
from harness.params.rules.two_tokens_in_one_item import split_whole

CODE = "unknown-flag"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.UNKNOWN_FLAG})


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each flag that no other rule explains better."""
    for problem in context.reading.of(ProblemKind.UNKNOWN_FLAG):
        lookup = look_up(problem.flag, context.grammar)
        if is_explained_elsewhere(context, problem, lookup):
            continue
        message = f"vLLM {context.version} has no flag {quote(problem.flag)}"
        yield context.error(CODE, problem.span, message, note=suggestion(problem.flag, lookup, context))


def is_explained_elsewhere(context: Context, problem: Problem, lookup: Lookup) -> bool:
    """True when the flag belongs to another version, negates what cannot be, or holds two tokens."""
    if lookup.replacement is not None or lookup.older is not None or lookup.newer is not None:
        return True
    if problem.flag.startswith("--no") and lookup.name in context.grammar.names:
        return True
    if is_dashed_value(problem, context):
        return True
    return split_whole(problem, context) is not None


def suggestion(flag: str, lookup: Lookup, context: Context) -> str | None:
    """What was likely meant, for the place under the caret."""
    if lookup.other_name is not None:
        return f"did you mean --{lookup.other_name}?"
    if flag == "-O":
        return "write the level with it: -O0, -O1, -O2 or -O3"
    if not flag.startswith("--"):
        glued = _glued(flag, context)
        if glued is not None:
            return glued
    if lookup.near:
        return f"did you mean {' or '.join('--' + name for name in lookup.near)}?"
    return None


def _glued(flag: str, context: Context) -> str | None:
    """``-tp2`` is ``-tp 2`` to people, but only one-letter flags take their value like that."""
    for end in range(len(flag) - 1, 1, -1):
        if flag[:end] in context.grammar.by_flag and not flag[end].isalpha():
            return f"write {flag[:end]} {flag[end:].lstrip('=')} as two items"
    if f"-{flag}" in context.grammar.by_flag:
        return f"did you mean -{flag}?"
    return None
