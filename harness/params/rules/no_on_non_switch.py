"""``--no-`` stands before a flag that cannot be negated.

Only switches that default to a choice of on and off have a ``--no-`` form; flags that take a value, and switches
that only turn something on, have not.

Wrong::

    --no-max-num-seqs

Right::

    --no-enable-prefix-caching
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.names import look_up
from harness.params.quoting import quote
from harness.params.reading import ProblemKind

CODE = "no-on-non-switch"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.UNKNOWN_FLAG})


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each ``--no-`` before a known flag that has no such form."""
    for problem in context.reading.of(ProblemKind.UNKNOWN_FLAG):
        name = look_up(problem.flag, context.grammar).name
        option = context.grammar.names.get(name)
        if option is None or problem.span is None or not problem.flag.startswith(("--no-", "--no_")):
            continue
        kind = "only turns something on" if option.is_switch else "takes a value"
        message = f"{quote(problem.flag)} does not exist: --{name} {kind}"
        index = problem.span.index
        fix = Edit(index, index + 1, (), f"remove {problem.flag}") if option.is_switch else None
        yield context.error(CODE, problem.span, message, note="leave it out", fix=fix)
