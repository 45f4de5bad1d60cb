"""What a sweep would take before it is launched: seconds, GPU-hours and cost of every run, with an interval. Pure.

Starts are uncertain as ``sweep.starts`` says; deletions are taken to be as long or short as they are. A load level of
a given duration takes that duration. One of a given number of requests depends on how fast the engine is: the time of
a token in 50 published measurements of vLLM (``forecast/data``) has a median of 17 ms, and nine in ten are between 9
and 42 ms. The intervals hold nine cases in ten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.load.lengths import mean_length
from harness.plan.cells import Cell
from harness.plan.config import SweepConfig
from harness.results.prices import PriceTable
from harness.sweep.budget import PriceOf, RunEstimate, estimate_run
from harness.sweep.deployers import Run
from harness.sweep.grouping import group_runs
from harness.sweep.loads import lengths, load_seconds
from harness.sweep.pacing import idle_s
from harness.sweep.starts import Starts

# Guesses for the plan before anything was measured: a cold start of an 8B model, a deletion, the way down to zero.
READY_GUESS_S = 300.0
DELETE_GUESS_S = 30.0
DOWN_GUESS_S = 30.0
# A changed parameter restarts the engine on the node that has the image and the weights.
MOVE_GUESS_S = 120.0
TOKEN_S = 0.0173
TOKEN_BETWEEN_S = (0.0087, 0.0423)


@dataclass(frozen=True, slots=True)
class Timing:
    """The starts to reckon with: of a fresh deployment, and of one that is changed; and two shorter ways."""

    cold: Starts
    warm: Starts
    delete_s: float
    down_s: float


def timing(*, time_scale: float = 1.0) -> Timing:
    """The guesses, for a cloud that goes so many times as fast as a real one."""
    return Timing(
        Starts(READY_GUESS_S / time_scale),
        Starts(MOVE_GUESS_S / time_scale),
        DELETE_GUESS_S / time_scale,
        DOWN_GUESS_S / time_scale,
    )


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
    times: Timing | None = None,
    reuse: bool = False,
    parallel: int = 1,
    measured: Iterable[str] = (),
) -> dict[str, RunEstimate]:
    """Seconds, GPU-hours and cost of every run that is not ``measured`` yet, by run id.

    With ``reuse`` only the first run of a group pays for a whole start. With more than one deployment at a time
    each waits for the load tests of the others, as ``sweep.pacing`` has it wait.
    """
    times, done = times or timing(), frozenset(measured)
    tokens = mean_length(lengths(config.workload.output_tokens))
    load_s, *ends = (
        load_seconds(config, request_s=tokens * token_s) for token_s in (TOKEN_S, *TOKEN_BETWEEN_S)
    )
    runs = [Run(cell, repeat, "") for repeat in range(config.repeats) for cell in cells]
    runs = [run for run in runs if run.id not in done]
    groups = group_runs(runs) if reuse else [[run] for run in runs]
    fresh = {group[0].id for group in groups}
    # The first deployments find the slot free, or wait for as many load tests as are before them: counted as all.
    others_s = load_s * (min(parallel, len(groups)) - 1) if groups else 0.0
    return {
        run.id: estimate_run(
            run.cell,
            ready_s=times.cold.likely_s if run.id in fresh else times.warm.likely_s,
            load_s=load_s,
            delete_s=times.delete_s if run.id in fresh else 0.0,
            price=price,
            fresh=run.id in fresh,
            idle_s=idle_s(others_s, times.cold, times.warm, times.down_s, is_fresh=run.id in fresh),
            load_between_s=(ends[0], ends[1]),
        )
        for run in runs
    }


@dataclass(frozen=True, slots=True)
class Total:
    """The sum over all runs with its interval; costs None when a price is missing, ``known_cost`` is of the others."""

    gpu_hours: float
    gpu_hours_between: tuple[float, float]
    cost: float | None
    cost_between: tuple[float, float] | None
    deployments: int
    known_cost: float | None = None

    def told(self, currency: str | None) -> str:
        """``12.3 GPU-hours (7.5 to 25), 17.2 EUR (10.5 to 35) by the price file``."""
        low, high = self.gpu_hours_between
        hours = f"{self.gpu_hours:.2f} GPU-hours ({low:.2f} to {high:.2f})"
        if self.cost is None or self.cost_between is None:
            if self.known_cost is None:
                return hours
            return f"{hours}, at least {self.known_cost:.2f} {currency} (a price is missing)"
        low, high = self.cost_between
        return f"{hours}, {self.cost:.2f} {currency} ({low:.2f} to {high:.2f}) by the price file"


def interval(
    estimate: RunEstimate, times: Timing | None = None, *, of: int = 1
) -> tuple[RunEstimate, RunEstimate]:
    """One run at its cheapest and at its dearest, on its own or as one ``of`` many whose chances average out."""
    times = times or timing()
    return estimate.between(*(times.cold if estimate.fresh else times.warm).factors(of))


def total(estimates: Mapping[str, RunEstimate], times: Timing | None = None) -> Total:
    """Sums, and how many deployments are started."""
    runs = list(estimates.values())
    fresh = sum(run.fresh for run in runs)
    ends = [interval(run, times, of=fresh if run.fresh else len(runs) - fresh) for run in runs]
    lows, highs = [low for low, _ in ends], [high for _, high in ends]
    cost = _cost(runs)
    return Total(
        sum(run.gpu_hours for run in runs),
        (sum(run.gpu_hours for run in lows), sum(run.gpu_hours for run in highs)),
        cost,
        None if cost is None else (_cost(lows) or 0.0, _cost(highs) or 0.0),
        fresh,
        None if not (known := [run.cost for run in runs if run.cost is not None]) else sum(known),
    )


def _cost(runs: Iterable[RunEstimate]) -> float | None:
    """The sum of costs; None without runs, or when one has no price."""
    costs = [run.cost for run in runs]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known and len(known) == len(costs) else None
