"""What a sweep would take before it is launched: seconds, GPU-hours and cost of every run. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from harness.plan.cells import Cell
from harness.plan.config import SweepConfig
from harness.results.prices import PriceTable
from harness.sweep.budget import PriceOf, RunEstimate, estimate_run
from harness.sweep.deployers import run_id
from harness.sweep.loads import load_seconds

# Guesses for the plan before anything was measured: a cold start of an 8B model, one request, a deletion.
READY_GUESS_S = 300.0
REQUEST_GUESS_S = 10.0
DELETE_GUESS_S = 30.0


def price_of(prices: PriceTable | None) -> PriceOf:
    """The hourly price of a whole deployment, None where the table has none."""

    def hourly(cell: Cell) -> float | None:
        each = None if prices is None else prices.per_replica_hour(cell.gpu_type, cell.gpu_count)
        return None if each is None else each * cell.replicas

    return hourly


def estimate_runs(
    config: SweepConfig, cells: Sequence[Cell], price: PriceOf, *, time_scale: float = 1.0
) -> dict[str, RunEstimate]:
    """Seconds, GPU-hours and cost of every run, by run id."""
    load_s = load_seconds(config, request_s=REQUEST_GUESS_S)
    return {
        run_id(cell, repeat): estimate_run(
            cell,
            ready_s=READY_GUESS_S / time_scale,
            load_s=load_s,
            delete_s=DELETE_GUESS_S / time_scale,
            price=price,
        )
        for repeat in range(config.repeats)
        for cell in cells
    }
