"""What a sweep would take before it is launched: seconds, GPU-hours and cost of every run. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.plan.cells import Cell
from harness.plan.config import SweepConfig
from harness.results.prices import PriceTable
from harness.sweep.budget import PriceOf, RunEstimate, estimate_run
from harness.sweep.deployers import Run
from harness.sweep.loads import load_seconds
from harness.sweep.runner import group_runs

# Guesses for the plan before anything was measured: a cold start of an 8B model, one request, a deletion.
READY_GUESS_S = 300.0
REQUEST_GUESS_S = 10.0
DELETE_GUESS_S = 30.0
# A changed parameter restarts the engine on the node that has the image and the weights.
MOVE_GUESS_S = 120.0


def price_of(prices: PriceTable | None) -> PriceOf:
    """The hourly price of a whole deployment, None where the table has none."""

    def hourly(cell: Cell) -> float | None:
        each = None if prices is None else prices.per_replica_hour(cell.gpu_type, cell.gpu_count)
        return None if each is None else each * cell.replicas

    return hourly


def estimate_runs(
    config: SweepConfig,
    cells: Sequence[Cell],
    price: PriceOf,
    *,
    time_scale: float = 1.0,
    reuse: bool = False,
    ready_share: float = 1.0,
) -> dict[str, RunEstimate]:
    """Seconds, GPU-hours and cost of every run, by run id.

    With ``reuse`` only the first run of a group pays for a whole start; ``ready_share`` scales the guessed starts.
    """
    load_s = load_seconds(config, request_s=REQUEST_GUESS_S)
    runs = [Run(cell, repeat, "") for repeat in range(config.repeats) for cell in cells]
    fresh = {group[0].id for group in group_runs(runs)} if reuse else {run.id for run in runs}
    return {
        run.id: estimate_run(
            run.cell,
            ready_s=(READY_GUESS_S if run.id in fresh else MOVE_GUESS_S) * ready_share / time_scale,
            load_s=load_s,
            delete_s=(DELETE_GUESS_S if run.id in fresh else 0.0) / time_scale,
            price=price,
            fresh=run.id in fresh,
        )
        for run in runs
    }


@dataclass(frozen=True, slots=True)
class Total:
    """The sum over all runs; ``cost`` None when a price is missing."""

    gpu_hours: float
    cost: float | None
    deployments: int


def total(estimates: Mapping[str, RunEstimate]) -> Total:
    """Sums, and how many deployments are started: those that pay for a deletion."""
    costs = [estimate.cost for estimate in estimates.values()]
    known = [cost for cost in costs if cost is not None]
    return Total(
        sum(estimate.gpu_hours for estimate in estimates.values()),
        sum(known) if known and len(known) == len(costs) else None,
        sum(estimate.fresh for estimate in estimates.values()),
    )
