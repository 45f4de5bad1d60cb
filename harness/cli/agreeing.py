"""What a sweep will take, said before it is launched and, where it costs money, agreed to."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from harness.cli.clouds import CloudChoice
from harness.cli.request import SweepRequest
from harness.cli.resuming import Earlier
from harness.errors import UsageError
from harness.plan.cells import Cell
from harness.plan.config import SweepConfig
from harness.results.prices import PriceTable
from harness.sweep.budget import Budget
from harness.sweep.estimates import Timing, estimate_runs, price_of, timing, total
from harness.sweep.preflight import Preflight
from harness.sweep.starts import seen_starts
from harness.units import counted, format_duration


def times_of(request: SweepRequest, earlier: Earlier) -> Timing:
    """The starts to reckon with: guesses, or what those of earlier attempts took."""
    scale = scale_of(request.choice)
    times = timing(time_scale=scale)
    times.cold.seen.extend(seconds / scale for seconds in seen_starts(earlier.events))
    return times


def make_budget(
    config: SweepConfig,
    cells: Sequence[Cell],
    request: SweepRequest,
    *,
    prices: PriceTable | None,
    times: Timing,
    earlier: Earlier,
) -> Budget:
    """Estimates of every run to do, under the terms' limits, on top of what earlier attempts took.

    UsageError for a cost limit without prices.
    """
    terms = request.terms
    if terms.max_cost is not None and prices is None:
        raise UsageError("--max-cost needs --prices FILE, such as configs/prices.yaml")
    estimates = estimate_runs(
        config,
        cells,
        price_of(prices),
        times=times,
        reuse=bool(terms.reuse),
        parallel=request.parallel,
        measured=earlier.measured(config),
    )
    before = earlier.spent(prices, now_unix=time.time())
    return Budget(estimates, max_gpu_hours=terms.max_gpu_hours, max_cost=terms.max_cost, before=before)


def scale_of(choice: CloudChoice) -> float:
    """How much faster than real provisioning goes."""
    return choice.time_scale if choice.simulate else 1.0


def agree(
    config: SweepConfig,
    plan: Preflight,
    budget: Budget,
    request: SweepRequest,
    *,
    prices: PriceTable | None,
    times: Timing,
) -> None:
    """Say what is about to be launched and what it will take, between which bounds; where it costs money, ask."""
    estimates = budget.estimates
    currency = None if prices is None else prices.currency
    sum_ = total(estimates, times).told(currency)
    at_once = max(1, min(request.parallel, len(estimates)))
    wall = sum(estimate.seconds for estimate in estimates.values()) / at_once
    pruned = f", {len(plan.pruned)} pruned" if plan.pruned else ""
    click.echo(
        f"{config.name}: {counted(plan.cells, 'cell')}, {len(plan.refused)} refused{pruned}, "
        f"{counted(len(estimates), 'run')} to do; "
        f"about {format_duration(wall)} and {sum_}{' (simulated)' if request.choice.simulate else ''}",
        err=True,
    )
    if budget.before.gpu_hours:
        known = "" if budget.before.cost is None else f", {budget.before.cost:.2f} {currency}"
        click.echo(f"earlier attempts took {budget.before.gpu_hours:.2f} GPU-hours{known}", err=True)
    if not request.confirmed and estimates:
        click.confirm(f"Launch these deployments for about {sum_}?", abort=True, err=True)
