"""What a run folder says of the hardware under each cell: its engine in the forecast's terms, its ceiling. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from harness.forecast.models import facts_from_json
from harness.forecast.roofline import ceiling_tok_s
from harness.plan.cells import Cell
from harness.plan.engine import CellEngine, UnknownEngine, engine_with, facts_of
from harness.results.point import PointMeta
from harness.results.resolved import Resolved

# Keys of a request's body that make it several sequences.
SEVERAL_ANSWERS = ("n", "best_of", "use_beam_search")


def engine_in(resolved: Resolved, cell: Cell) -> CellEngine | UnknownEngine:
    """A cell's engine from the facts that the folder holds; one of an older version leaves it to the table."""
    kept = resolved.models.get(cell.model)
    facts = facts_of(cell.model) if kept is None else facts_from_json(kept)
    if facts is None:
        return UnknownEngine(f"resolved.json holds no sizes of {cell.model}")
    return facts if isinstance(facts, UnknownEngine) else engine_with(cell, facts)


class Ceilings:
    """The output tokens a second that no run of a cell can exceed, by point. Keeps each cell's engine."""

    def __init__(self, resolved: Resolved) -> None:
        self._resolved = resolved
        self._cells = {cell.id: cell for cell in resolved.cells}
        self._engines: dict[str, CellEngine | UnknownEngine] = {}
        extra = resolved.workload.get("extra")
        self._single = not isinstance(extra, Mapping) or all(not extra.get(key) for key in SEVERAL_ANSWERS)

    def of(self, meta: PointMeta) -> float | None:
        """The ceiling of one point; None where the model, the GPU or the settings are not known.

        The GPU of an engine on this machine is whatever the machine has, so there is no ceiling either.
        """
        cell = self._cells.get(meta.cell_id)
        if cell is None or self._resolved.deployer == "local":
            return None
        if cell.id not in self._engines:
            self._engines[cell.id] = engine_in(self._resolved, cell)
        engine = self._engines[cell.id]
        if isinstance(engine, UnknownEngine):
            return None
        closed = meta.stage.get("kind") == "closed-loop" and self._single
        concurrency = meta.stage.get("concurrency") if closed else None
        return ceiling_tok_s(
            engine.model,
            engine.gpu,
            engine.settings,
            replicas=cell.replicas,
            concurrency=concurrency if isinstance(concurrency, int | float) else None,
        )
