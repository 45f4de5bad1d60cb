"""Which cells not to pay for, by their forecast. Pure.

A cell's predicted cost is what an output token costs at the best of the sweep's load levels: the hourly price, or the
number of GPUs where a price is missing, over output tokens a second. With an SLO a level's tokens count by the chance
that it keeps it: a bound that is missed by less than the forecast's own error may well be kept. No cell goes for such a
doubt alone: one that would be cheaper than a kept one, were the levels counted in full that keep the SLO or miss it by
no more than that error, stays. Cells are compared within one model. The best cell of every GPU family stays, in case
the forecast is wrong about a family, as does a cell without a forecast. What that may lose:
``tests/sweep/test_prune_safety.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.capacity.forecasted import keeping_up, miss, reached_s
from harness.forecast.cell import Forecast
from harness.forecast.level import LevelForecast
from harness.load.slo import Slo
from harness.plan.cells import Cell
from harness.plan.pruning import PruneRule
from harness.sweep.equivalence import Twin
from harness.sweep.forecasts import CellForecast
from harness.sweep.preflight import Preflight, Pruned

NO_CHANCE = 1e-3
# The chance to keep a bound that is missed by just the forecast's error: a standard deviation.
IN_DOUBT = 0.5 * math.erfc(1 / math.sqrt(2))
SURE = 0.95

PriceOf = Callable[[Cell], float | None]


@dataclass(frozen=True, slots=True)
class Prediction:
    """A cell's predicted cost of an output token in ``unit``; infinite where no level has a chance to keep the SLO.

    ``in_full`` is that cost with the levels counted in full that keep the SLO or miss it by no more than the error, and
    ``chance`` the chance that the best of those keeps it. ``missed`` says which bound is missed where no level is
    predicted to keep it, ``spoilt`` which one is at the load that would be cheaper than those. ``promise`` orders cells
    that all have no chance: the cost without regard to the SLO.
    """

    cell: Cell
    cost: float
    promise: float
    unit: str
    missed: str | None = None
    in_full: float = math.inf
    chance: float = 0.0
    spoilt: str | None = None


def prune(
    plan: Preflight,
    rule: PruneRule,
    forecasts: Mapping[str, CellForecast],
    *,
    twins: Sequence[Twin] = (),
    slo: Slo | None = None,
    price: PriceOf = lambda cell: None,
) -> Preflight:
    """The plan without the accepted cells that the rule leaves out; ``price`` is of a whole deployment, an hour."""
    pruned: dict[str, str] = {}
    if rule.equivalent:
        pruned |= {twin.cell.id: f"runs the same as {twin.of.label}: {twin.reason}" for twin in twins}
    left = [cell for cell in plan.accepted if cell.id not in pruned]
    for model in dict.fromkeys(cell.model for cell in left):
        known = predictions([cell for cell in left if cell.model == model], forecasts, slo=slo, price=price)
        pruned |= _beyond(known, rule)
    return replace(
        plan,
        accepted=tuple(cell for cell in plan.accepted if cell.id not in pruned),
        pruned=tuple(Pruned(cell, pruned[cell.id]) for cell in plan.accepted if cell.id in pruned),
        rule=rule,
    )


def predictions(
    cells: Sequence[Cell], forecasts: Mapping[str, CellForecast], *, slo: Slo | None, price: PriceOf
) -> list[Prediction]:
    """Of every cell with a forecast, cheapest first. One missing price, and GPUs stand for prices throughout."""
    known = [(cell, forecast) for cell in cells if (forecast := forecasts[cell.id].forecast) is not None]
    prices = [price(cell) for cell, _ in known]
    unit = "GPUs" if None in prices else "price"
    hourly = [float(cell.gpus) for cell, _ in known] if None in prices else [one or 0.0 for one in prices]
    predicted = [
        _predict(cell, forecast, per_hour, unit=unit, slo=slo)
        for (cell, forecast), per_hour in zip(known, hourly, strict=True)
    ]
    return sorted(predicted, key=lambda one: (one.cost, one.promise))


def _predict(cell: Cell, forecast: Forecast, per_hour: float, *, unit: str, slo: Slo | None) -> Prediction:
    misses = [None if slo is None else miss(level, slo) for level in forecast.levels]
    tokens = [level.output_throughput for level in forecast.levels]
    chances = [chance(level, slo, forecast.interval) for level in forecast.levels]
    useful = max((one * share for one, share in zip(tokens, chances, strict=True)), default=0.0)
    most = max(tokens, default=0.0)
    doubtful = max(
        ((one, share) for one, share in zip(tokens, chances, strict=True) if share >= IN_DOUBT),
        default=(0.0, 0.0),
    )
    return Prediction(
        cell,
        cost=per_hour / useful if useful > 0 else math.inf,
        promise=per_hour / most if most > 0 else math.inf,
        unit=unit,
        missed=None if None in misses else next(iter(misses), None),
        in_full=per_hour / doubtful[0] if doubtful[0] > 0 else math.inf,
        chance=doubtful[1],
        spoilt=misses[tokens.index(most)] if most > doubtful[0] else None,
    )


def chance(level: LevelForecast, slo: Slo | None, spread: float) -> float:
    """The chance that a level keeps the SLO when its figures are off by a log-normal factor of this spread.

    That of the bound it is closest to missing, for the errors of its figures go together; 0 below a thousandth.
    """
    if slo is None:
        return 1.0
    reached = [(bound.limit_s, reached_s(level, bound)) for bound in slo.bounds]
    margins = [limit_s / figure for limit_s, figure in reached if figure]
    closest = min([keeping_up(level), *margins])
    if level.refused or closest <= 0:
        return 0.0
    share = 0.5 * math.erfc(-math.log(closest) / spread / math.sqrt(2)) if closest < math.inf else 1.0
    return share if share >= NO_CHANCE else 0.0


def _beyond(known: Sequence[Prediction], rule: PruneRule) -> dict[str, str]:
    """Reasons by cell id. Nothing goes where no cell has a chance to keep the SLO: then there is no best one."""
    if not known or math.isinf(known[0].cost):
        return {}
    cheapest = min(known, key=lambda one: (one.in_full, one.cost))
    stay = _kept(known, rule)
    dearest = max((one.in_full for one in stay if one.in_full < math.inf), default=0.0)
    anchors: dict[str, Prediction] = {}
    for one in known:
        anchors.setdefault(one.cell.gpu_type, one)
    stay += [*(one for one in known if one.in_full < dearest), *anchors.values()]
    return {one.cell.id: _reason(one, cheapest, rule) for one in known if one not in stay}


def _kept(known: Sequence[Prediction], rule: PruneRule) -> list[Prediction]:
    """The first of them, as many as the rule keeps."""
    if rule.keep is not None:
        return [*known[: math.ceil(rule.keep * len(known) - 1e-9)]]
    if rule.within is None:
        return [*known]
    return [one for one in known if one.cost <= rule.within * known[0].cost]


def _reason(one: Prediction, best: Prediction, rule: PruneRule) -> str:
    """Why it is left out, against the best one; the SLO where that rules its cheaper loads out."""
    kept = f"keep={rule.keep * 100:g}%" if rule.keep is not None else f"within={rule.within:g}"
    if math.isinf(one.in_full):
        return f"predicted to miss the SLO at every level ({one.missed}); {kept}"
    doubt = f" at a load that keeps the SLO with a chance of {one.chance:.0%}" if one.chance < SURE else ""
    spoilt = "" if one.spoilt is None else f", for its cheapest load misses the SLO ({one.spoilt})"
    times = one.in_full / best.in_full
    against = f"{times:.2f} x the {one.unit} per output token of {best.cell.label}"
    return f"predicted to take {against}{doubt}{spoilt}; {kept}"
