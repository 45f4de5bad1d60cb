"""Whether a cell starts, as far as the forecast's own table knows its model. Pure.

The linter judges a model whose ``config.json`` the sweep names; one that is only in the packaged table is judged here,
by the same arithmetic, under the linter's names.
"""

from __future__ import annotations

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.forecast.memory import largest_max_model_len
from harness.forecast.startup_check import start_failure
from harness.params.rules import gpu_memory, heads_not_divisible, sequence_length
from harness.plan.cells import Cell
from harness.plan.engine import UnknownEngine, engine_of

# Failures that hang on the model, by the rule that tells of them; all others are the linter's already.
RULES = {
    "kv-below-max-model-len": gpu_memory.CODE,
    "no-kv-memory": gpu_memory.CODE,
    "weights-too-large": gpu_memory.CODE,
    "heads-divisible": heads_not_divisible.CODE,
    "max-model-len-too-large": sequence_length.CODE,
}


def start_finding(cell: Cell) -> Diagnostic | None:
    """Why the cell would not start, an error; a warning where memory is short by less than the arithmetic errs."""
    engine = engine_of(cell)
    if isinstance(engine, UnknownEngine):
        return None
    each = (engine.model, engine.gpu, engine.settings)
    failure = start_failure(engine.model, engine.gpu, cell.gpu_count, engine.settings)
    code = None if failure is None else RULES.get(failure.code)
    if failure is None or code is None:
        return None
    if code != gpu_memory.CODE:
        message = failure.message.partition(". ")[0]
        return Diagnostic(code, Severity.ERROR, Stage.STARTUP, message)
    balance = gpu_memory.weigh(*each)
    message, hint = gpu_memory.told(balance, best=largest_max_model_len(*each))
    severity = Severity.ERROR if balance.excess > gpu_memory.MARGIN else Severity.WARNING
    return Diagnostic(code, severity, Stage.STARTUP, message, hint=hint)
