"""A flag and its value, or two flags, stand in one item of the list.

Each item is one argument, as if it were quoted in a shell: ``"--max-model-len 4096"`` is one unknown flag with
a space in its name. Write two items, or join flag and value with ``=``.

Wrong::

    '--max-model-len 4096'

Right::

    --max-model-len 4096
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.flags import matching_flags
from harness.params.grammar import Grammar
from harness.params.mending import mends
from harness.params.quoting import quote
from harness.params.reading import Problem, ProblemKind, Span

CODE = "two-tokens-in-one-item"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset(
    {
        ProblemKind.STRAY,
        ProblemKind.UNKNOWN_FLAG,
        ProblemKind.WRONG_TYPE,
        ProblemKind.NOT_ALLOWED,
        ProblemKind.DOTTED_WITHOUT_VALUE,
        ProblemKind.MISSING_VALUE,
    }
)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each item that would be right if it were split at its white space."""
    seen = set()
    for problem in context.reading.problems:
        if problem.kind not in PROBLEMS or problem.span is None or problem.span.index in seen:
            continue
        pieces = split_whole(problem, context) or split_value(problem, context)
        if pieces is None:
            continue
        index = problem.span.index
        seen.add(index)
        item = context.parameters[index]
        fix = _best_split(index, pieces, context)
        message = f"{quote(item)} is one item with white space in it"
        yield context.error(CODE, _blank(problem, item), message, note=_note(fix.items), fix=fix)


def _best_split(index: int, pieces: tuple[str, ...], context: Context) -> Edit:
    """The first split that the parser takes: as a shell would, at the first blank, or the flag alone."""
    candidates = [pieces, pieces[:1]]
    with suppress(ValueError):  # a quote that is never closed: a shell would not split it either
        candidates.insert(0, tuple(shlex.split(context.parameters[index])))
    fixes = [
        Edit(
            index,
            index + 1,
            split,
            f"split into {len(split)} items" if len(split) > 1 else f"write {split[0]}",
        )
        for split in candidates
        if split
    ]
    return next((fix for fix in fixes if mends(fix, context)), fixes[0])


def split_item(item: str, grammar: Grammar) -> tuple[str, ...] | None:
    """The items meant by a text that begins with a known flag and has white space after it; None for any other."""
    stripped = item.strip()
    head, _, tail = stripped.partition(" ")
    if stripped == item and not tail:
        return None
    name = head.partition("=")[0].partition(".")[0]
    if not name.startswith("-") or not _is_flag(name, grammar):
        return None
    rest = tail.strip()
    if not rest:
        return (head,)
    if "=" in head and not rest.startswith("-"):
        return None
    if rest.startswith("-") and _is_flag(rest.partition(" ")[0].partition("=")[0], grammar):
        return (head, *(split_item(rest, grammar) or (rest,)))
    return (head, rest)


def split_whole(problem: Problem, context: Context) -> tuple[str, ...] | None:
    """The items meant by the item a problem is about, when the problem is about the item's flag."""
    if problem.span is None or problem.span.start > 0 or problem.text.startswith("{"):
        return None
    return split_item(context.parameters[problem.span.index], context.grammar)


def split_value(problem: Problem, context: Context) -> tuple[str, ...] | None:
    """The items meant by ``--seed=1 --enforce-eager``: a joined value with a known flag inside."""
    if problem.span is None or problem.kind not in (ProblemKind.WRONG_TYPE, ProblemKind.NOT_ALLOWED):
        return None
    value, space, rest = problem.text.partition(" -")
    if not space or not _is_flag(f"-{rest}".partition(" ")[0].partition("=")[0], context.grammar):
        return None
    item = context.parameters[problem.span.index]
    head = item[: problem.span.start] + value.rstrip()
    return (head, *(split_item(f"-{rest}", context.grammar) or (f"-{rest}",)))


def _is_flag(name: str, grammar: Grammar) -> bool:
    dashed = name[:2] + name[2:].replace("_", "-")
    return dashed in grammar.by_flag or (len(dashed) > 3 and len(matching_flags(dashed, grammar)) == 1)


def _blank(problem: Problem, item: str) -> Span:
    """The white space itself."""
    assert problem.span is not None
    start = next((at for at, letter in enumerate(item) if letter.isspace()), 0)
    end = start
    while end < len(item) and item[end].isspace():
        end += 1
    return Span(problem.span.index, start, end)


def _note(pieces: tuple[str, ...]) -> str:
    if len(pieces) == 1:
        return f"write {pieces[0]}"
    return "write " + " and ".join(repr(piece) for piece in pieces)
