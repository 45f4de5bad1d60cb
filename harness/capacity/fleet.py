"""What to rent for a rate and an SLO: the cheapest fleet of replicas that measured points support. Pure.

A cell carries, per replica, the highest rate at which it was seen to keep the SLO with every lower load keeping it
too. A fleet of r replicas is taken to carry r times that, run at no more than the wished utilisation: the rest is for
figures that are off, and for growth (ceil(R / (R1 rho))). Whether it carries that much when requests come in clumps
and spread unevenly is tried in ``harness.capacity.check``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.results.prices import PriceTable

if TYPE_CHECKING:
    import pandas as pd

HOURS_PER_MONTH = 730
FORECAST = "forecast"  # the source of a point that nobody measured
UTILISATION = 0.8
ROUNDING = 1e-9  # a rate that fills a fleet exactly needs no further replica


@dataclass(frozen=True, slots=True)
class MeasuredPoint:
    """One load level of one cell. ``rate_req_s`` is what the whole deployment of ``replicas`` finished.

    ``concurrency`` is the mean number of requests in flight, by which levels are ordered; ``miss`` says which bound
    of the SLO was missed and by how much, None when it was kept. ``source`` is ``measured``, ``simulated`` or
    ``forecast``; ``run_ids`` name the runs the figures come from.
    """

    cell_id: str
    label: str
    gpu_type: str
    gpu_count: int
    replicas: int
    load: str
    rate_req_s: float
    concurrency: float
    miss: str | None
    void: bool = False
    output_tokens_per_request: float | None = None
    e2e_mean_s: float | None = None
    source: str = "measured"
    run_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Demand:
    """What must be served: ``rate_req_s``, or ``users`` who wait ``think_s`` between an answer and the next request.

    ``burst`` is the peak over the mean rate, ``spare`` replicas are added so that so many may fail, ``utilisation``
    is the share of its measured capacity that a fleet is planned to use.
    """

    rate_req_s: float | None = None
    users: float | None = None
    think_s: float = 0.0
    burst: float = 1.0
    spare: int = 0
    utilisation: float = UTILISATION

    def __post_init__(self) -> None:
        if (self.rate_req_s is None) == (self.users is None):
            raise UsageError("what is to be served is a rate or a number of users, one of the two")
        if (self.rate_req_s or self.users or 0) <= 0:
            raise UsageError("the rate, or the number of users, must be above 0")
        if not 0 < self.utilisation <= 1:
            raise UsageError(f"utilisation must be above 0 and at most 1, not {self.utilisation:g}")
        if self.burst < 1 or self.spare < 0 or self.think_s < 0:
            raise UsageError("burst is 1 or more; spare replicas and think time are 0 or more")

    def mean_rate(self, e2e_s: float | None) -> float | None:
        """Requests per second on average; for users, N / (think + e2e), None when the latency is not known."""
        if self.rate_req_s is not None:
            return self.rate_req_s
        if self.users is None or e2e_s is None or self.think_s + e2e_s <= 0:
            return None
        return self.users / (self.think_s + e2e_s)

    def peak(self, mean_req_s: float) -> float:
        """The rate that a fleet is planned to keep the SLO at: the mean in a burst, over the wished utilisation."""
        return mean_req_s * self.burst / self.utilisation


@dataclass(frozen=True, slots=True)
class Option:
    """A fleet that serves the demand. ``point`` is the level it rests on, ``per_replica_req_s`` what that carries.

    ``used`` is the mean rate over what the whole fleet carried when measured; ``binding`` is what stops a replica
    from carrying more. ``support`` is the highest level that was measured, where ``point`` is a forecast beyond it.
    ``is_open_ended``: no higher load is known, so a replica may carry more.
    ``price_per_h`` and ``cost_per_mtok`` (1M output tokens at the mean rate) are None without a price.
    """

    point: MeasuredPoint
    per_replica_req_s: float
    mean_rate_req_s: float
    replicas: int
    binding: str
    price_per_h: float | None = None
    cost_per_mtok: float | None = None
    support: MeasuredPoint | None = None
    is_open_ended: bool = False

    @property
    def gpus(self) -> int:
        """GPUs of the whole fleet."""
        return self.replicas * self.point.gpu_count

    @property
    def used(self) -> float:
        """Share of the fleet's measured capacity that the mean rate takes, spares included."""
        return self.mean_rate_req_s / (self.replicas * self.per_replica_req_s)

    @property
    def price_per_month(self) -> float | None:
        """The price of 730 hours."""
        return None if self.price_per_h is None else self.price_per_h * HOURS_PER_MONTH

    def resized(self, replicas: int) -> Option:
        """The same with another number of replicas, and the price of that."""
        factor = replicas / self.replicas
        return replace(
            self,
            replicas=replicas,
            price_per_h=None if self.price_per_h is None else self.price_per_h * factor,
            cost_per_mtok=None if self.cost_per_mtok is None else self.cost_per_mtok * factor,
        )


@dataclass(frozen=True, slots=True)
class Excluded:
    """A cell that is no option, and why."""

    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Options, cheapest first (fewest GPUs first without prices), and the cells that are none."""

    options: tuple[Option, ...]
    excluded: tuple[Excluded, ...]

    @property
    def best(self) -> Option | None:
        """What to rent; None when nothing measured will do."""
        return self.options[0] if self.options else None

    def frame(self) -> pd.DataFrame:
        """A row an option, best first; its columns: ``results/README.md``."""
        from harness.capacity.table import frame

        return frame(self)

    def _repr_html_(self) -> str:
        from harness.capacity.table import as_html

        return as_html(self)


def recommend(points: Iterable[MeasuredPoint], demand: Demand, *, prices: PriceTable | None = None) -> Answer:
    """The fleets that serve the demand, best first.

    With prices, a cell without one is excluded rather than taken for free.
    """
    cells: dict[str, list[MeasuredPoint]] = {}
    for point in points:
        cells.setdefault(point.cell_id, []).append(point)
    options: list[Option] = []
    excluded: list[Excluded] = []
    for levels in cells.values():
        found = _option(levels, demand, prices)
        if isinstance(found, Option):
            options.append(found)
        else:
            excluded.append(found)
    return Answer(ranked(options), tuple(excluded))


def ranked(options: Iterable[Option]) -> tuple[Option, ...]:
    """The cheapest first; without prices the fewest GPUs; of these the least used."""
    return tuple(sorted(options, key=place))


def place(option: Option) -> tuple[float, int, float, str]:
    """What options are ordered by, the best having the least."""
    return option.price_per_h or 0.0, option.gpus, option.used, option.point.label


def _option(levels: Sequence[MeasuredPoint], demand: Demand, prices: PriceTable | None) -> Option | Excluded:
    label = levels[0].label
    believed = sorted((level for level in levels if not level.void), key=lambda level: level.concurrency)
    if not believed:
        return Excluded(label, "every point is void")
    kept = _kept(believed)
    if not kept:
        return Excluded(label, f"misses the SLO at its lowest load: {believed[0].miss} at {believed[0].load}")
    best = max(kept, key=lambda level: level.rate_req_s)
    mean = demand.mean_rate(best.e2e_mean_s)
    if mean is None or best.rate_req_s <= 0:
        return Excluded(label, "no latency, so no rate of users" if mean is None else "finished no request")
    per_replica = best.rate_req_s / best.replicas
    count = max(1, math.ceil(demand.peak(mean) / per_replica - ROUNDING)) + demand.spare
    option = Option(
        best,
        per_replica,
        mean,
        count,
        _binding(believed, kept),
        support=_support(best, kept),
        is_open_ended=len(kept) == len(believed),
    )
    return option if prices is None else _priced(option, prices)


def _kept(levels: Sequence[MeasuredPoint]) -> list[MeasuredPoint]:
    """The levels up to, not including, the first that missed the SLO."""
    kept: list[MeasuredPoint] = []
    for level in levels:
        if level.miss is not None:
            break
        kept.append(level)
    return kept


def _support(best: MeasuredPoint, kept: Sequence[MeasuredPoint]) -> MeasuredPoint | None:
    """The highest measured level that kept the SLO, below a forecast that goes beyond it."""
    measured = [level for level in kept if level.source != FORECAST]
    return max(measured, key=lambda level: level.rate_req_s) if best.source == FORECAST and measured else None


def _binding(believed: Sequence[MeasuredPoint], kept: Sequence[MeasuredPoint]) -> str:
    if len(kept) == len(believed):
        known = "forecast" if kept[-1].source == FORECAST else "measured"
        return f"not reached: {kept[-1].load}, the highest load {known}, keeps the SLO"
    stop = believed[len(kept)]
    return f"{stop.miss} at {stop.load}"


def _priced(option: Option, prices: PriceTable) -> Option | Excluded:
    point = option.point
    each = prices.per_replica_hour(point.gpu_type, point.gpu_count)
    if each is None:
        return Excluded(point.label, f"no price for {point.gpu_type} x {point.gpu_count}")
    hourly = each * option.replicas
    tokens = point.output_tokens_per_request
    per_mtok = hourly / (option.mean_rate_req_s * tokens * 3600) * 1e6 if tokens else None
    return replace(option, price_per_h=hourly, cost_per_mtok=per_mtok)


def break_even_req_s(option: Option, *, price_per_mtok: float) -> float | None:
    """The mean rate from which the fleet is cheaper than paying ``price_per_mtok`` per 1M output tokens.

    None when the fleet's price or the answers' length is not known, or the token price is 0. It may lie above what
    the fleet carries: then the tokens are always the cheaper way.
    """
    tokens = option.point.output_tokens_per_request
    if option.price_per_h is None or not tokens or price_per_mtok <= 0:
        return None
    return option.price_per_h / (price_per_mtok / 1e6 * tokens * 3600)
