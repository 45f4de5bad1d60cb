"""An earlier engine version had this flag; this one has not.

The engine stops with ``unrecognized arguments``. Most removed flags have a successor. One that has none is left
out: ``--device``, for one, for the engine finds its device by itself.

Wrong::

    --disable-mm-preprocessor-cache   # engine-version: 0.15.1

Right::

    --mm-processor-cache-gb 0   # engine-version: 0.15.1
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.names import Lookup, look_up
from harness.params.quoting import quote
from harness.params.reading import Problem, ProblemKind
from harness.params.snapshots import load_history

CODE = "removed-flag"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.UNKNOWN_FLAG})


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each flag of the past."""
    for problem in context.reading.of(ProblemKind.UNKNOWN_FLAG):
        lookup = look_up(problem.flag, context.grammar)
        if lookup.replacement is None and (lookup.older is None or lookup.newer is not None):
            continue
        last = f" (vLLM {lookup.older} still had it)" if lookup.older is not None else ""
        message = f"{quote(problem.flag)} is gone from vLLM {context.version}{last}"
        note = {None: None, "": "nothing replaces it; leave it out"}.get(
            lookup.replacement, f"use {lookup.replacement}"
        )
        yield context.error(CODE, problem.span, message, note=note, fix=_fix(problem, lookup, context))


def _fix(problem: Problem, lookup: Lookup, context: Context) -> Edit | None:
    """The rewrite, where the successor takes the very same value or none at all."""
    rewrite = load_history().rewrites.get(lookup.name)
    if problem.span is None or rewrite is None or problem.flag.startswith("--no-"):
        return None
    index = problem.span.index
    _, equals, value = context.parameters[index].partition("=")
    if equals and len(rewrite) > 1:
        return None
    items = (f"{rewrite[0]}={value}",) if equals else rewrite
    return Edit(index, index + 1, items, f"write {' '.join(items)}")
