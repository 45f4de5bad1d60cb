"""Whether a cell starts, as far as the forecast's own table knows its model. Pure.

The linter's rules judge a model whose ``config.json`` is at hand; one that only the packaged table has is judged here,
by the same arithmetic, under the rules' names.
"""

from __future__ import annotations

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.forecast.memory import largest_max_model_len
from harness.forecast.startup_check import StartFailure, start_failure
from harness.params.argv import read
from harness.params.context import at
from harness.params.lint import knowledge_of
from harness.params.reading import Span
from harness.params.rules import gpu_memory, heads_not_divisible
from harness.plan.cells import Cell
from harness.plan.engine import CellEngine, UnknownEngine, engine_of
from harness.plan.known_model import model_findings

# Failures that hang on the GPU too, by the rule that tells of them; all others are the linter's already.
RULES = {
    "kv-below-max-model-len": gpu_memory.CODE,
    "no-kv-memory": gpu_memory.CODE,
    "weights-too-large": gpu_memory.CODE,
    "heads-divisible": heads_not_divisible.CODE,  # by default the platform splits a model over all GPUs
}
# The arguments that could be changed, by failure; where the weights alone are too large none could.
ARGUMENTS = {
    "kv-below-max-model-len": ("max-model-len", "gpu-memory-utilization", "tensor-parallel-size"),
    "heads-divisible": ("tensor-parallel-size",),
}


def start_finding(cell: Cell) -> Diagnostic | None:
    """Why the cell would not start, an error; a warning where memory is short by less than the arithmetic errs."""
    engine = engine_of(cell)
    return None if isinstance(engine, UnknownEngine) else finding_on(engine, cell)


def finding_on(engine: CellEngine, cell: Cell) -> Diagnostic | None:
    """The same for a cell whose engine is at hand."""
    of_model = model_findings(engine.model, cell.parameters, cell.engine_version)
    return next((one for one in of_model if one.is_error), None) or place_finding(engine, cell)


def place_finding(engine: CellEngine, cell: Cell) -> Diagnostic | None:
    """Why the model does not start on these GPUs; None when it does, or when another check fails first."""
    failure = start_failure(engine.model, engine.gpu, cell.gpu_count, engine.settings)
    code = None if failure is None else RULES.get(failure.code)
    if failure is None or code is None:
        return None
    severity, hint, message = Severity.ERROR, None, failure.message.partition(". ")[0]
    if code == gpu_memory.CODE:
        each = (engine.model, engine.gpu, engine.settings)
        balance = gpu_memory.weigh(*each)
        message, hint = gpu_memory.told(balance, best=largest_max_model_len(*each))
        severity = Severity.ERROR if balance.excess > gpu_memory.MARGIN else Severity.WARNING
    return at(_span(cell, failure), code, severity, Stage.STARTUP, message, hint=hint)


def _span(cell: Cell, failure: StartFailure) -> Span | None:
    """The value of the first argument that decides and is given; None for the list as a whole."""
    names = ARGUMENTS.get(failure.code, ())
    if not names:
        return None
    deciding = read(cell.parameters, knowledge_of(cell.engine_version).grammar).deciding
    return next((deciding[name].value_span for name in names if name in deciding), None)
