"""What a sweep will take, said before it is launched and, where it costs money, agreed to."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click

from harness.cli.clouds import Cloud
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


def times_of(pace: float, earlier: Earlier) -> Timing:
    """The starts to reckon with, in a cloud of this pace: guesses, or what those of earlier attempts took."""
    times = timing(time_scale=1.0 / pace)
    times.cold.seen.extend(seconds * pace for seconds in seen_starts(earlier.events))
    return times


def make_budget(
    config: SweepConfig,
    cells: Sequence[Cell],
    request: SweepRequest,
    *,
    prices: PriceTable | None,
    times: Timing,
    earlier: Earlier,
    clock: Callable[[], float],
) -> Budget:
    """Estimates of every run to do, under the terms' limits, on top of what earlier attempts took.

    ``clock`` is the one the journal is dated by. UsageError for a cost limit without prices.
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
    return Budget(
        estimates,
        max_gpu_hours=terms.max_gpu_hours,
        max_cost=terms.max_cost,
        currency=None if prices is None else prices.currency,
        before=earlier.spent(prices, now_unix=clock()),
    )


def agree(
    config: SweepConfig,
    plan: Preflight,
    budget: Budget,
    request: SweepRequest,
    cloud: Cloud,
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
        f"about {format_duration(wall)} and {sum_}{_simulated(cloud.pace) if cloud.deployer.simulated else ''}",
        err=True,
    )
    if request.choice.simulate:
        _tell_stand_ins(plan)
    if budget.before.gpu_hours:
        known = "" if budget.before.cost is None else f", {budget.before.cost:.2f} {currency}"
        click.echo(f"earlier attempts took {budget.before.gpu_hours:.2f} GPU-hours{known}", err=True)
    if not request.confirmed and estimates:
        with _interruptible():
            click.confirm(f"Launch these deployments for about {sum_}?", abort=True, err=True)


def _tell_stand_ins(plan: Preflight) -> None:
    """Models that the simulator knows nothing of: their figures are another's."""
    from harness.forecast.tables import model as model_of
    from harness.simulator.startup import UNKNOWN_MODEL

    for name in dict.fromkeys(cell.model for cell in plan.accepted):
        if model_of(name) is None:
            click.echo(
                f"warning: the simulator has no facts of {name} and serves it as {UNKNOWN_MODEL}: "
                "the figures will be that model's",
                err=True,
            )


def _simulated(pace: float) -> str:
    """That no figure is a real cloud's, and by how much its starts and their share of the sums are too short."""
    faster = "" if pace == 1.0 else f"; deployments start {1.0 / pace:g} times as fast as real ones"
    return f" (simulated{faster})"


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends what waits for an answer: asyncio's own handler would only cancel a task, and go on waiting."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
