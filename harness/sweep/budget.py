"""How much has been agreed to: GPU-hours and money, counted to the end of what is already running. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.plan.cells import Cell

SECONDS_PER_HOUR = 3600.0
# A limit typed as the plan prints it is reached, not passed: sums of binary fractions miss it by less than this.
ROUNDING = 1e-9
PriceOf = Callable[[Cell], float | None]


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """What one run takes: seconds from create to deletion, and its cost, None without a price for it.

    ``fresh`` is False for a run on a deployment that another one started.
    """

    seconds: float
    gpu_hours: float
    cost: float | None
    fresh: bool = True


def estimate_run(
    cell: Cell, *, ready_s: float, load_s: float, delete_s: float, price: PriceOf, fresh: bool = True
) -> RunEstimate:
    """Start-up, load and tear-down of one run of a cell; ``price`` is per hour of the whole deployment."""
    seconds = ready_s + load_s + delete_s
    hourly = price(cell)
    hours = seconds / SECONDS_PER_HOUR
    return RunEstimate(seconds, cell.gpus * hours, None if hourly is None else hourly * hours, fresh)


@dataclass(slots=True)
class Budget:
    """Admits runs while their estimates, added to all admitted before, stay within both limits.

    An estimate is replaced by what a run really took once it is known. A run whose price is unknown is not
    admitted under a cost limit.
    """

    estimates: Mapping[str, RunEstimate]
    max_gpu_hours: float | None = None
    max_cost: float | None = None
    spent: dict[str, RunEstimate] = field(default_factory=dict)

    def admit(self, run_id: str) -> str | None:
        """None and the run counts from now on, or the reason why it may not be launched."""
        estimate = self.estimates[run_id]
        if self.max_gpu_hours is not None:
            total = math.fsum(run.gpu_hours for run in (*self.spent.values(), estimate))
            if total > self.max_gpu_hours * (1 + ROUNDING):
                return f"it would bring the sweep to {total:.2f} GPU-hours, above the limit of {self.max_gpu_hours:g}"
        if self.max_cost is not None:
            if estimate.cost is None:
                return "its price is unknown and the cost is limited"
            total = math.fsum(run.cost or 0.0 for run in (*self.spent.values(), estimate))
            if total > self.max_cost * (1 + ROUNDING):
                return f"it would bring the sweep to {total:.2f}, above the cost limit of {self.max_cost:g}"
        self.spent[run_id] = estimate
        return None

    def settle(self, run_id: str, seconds: float) -> None:
        """Replace a run's estimate by what it took."""
        estimate = self.spent.get(run_id)
        if estimate is not None and estimate.seconds > 0:
            share = seconds / estimate.seconds
            cost = None if estimate.cost is None else estimate.cost * share
            self.spent[run_id] = RunEstimate(seconds, estimate.gpu_hours * share, cost, estimate.fresh)


class Meter:
    """Replaces estimates in a budget by what runs took, from the sweep's events as they are told to it.

    A run is paid for from its create, or from the moment it takes a deployment over, until that is gone or
    handed on. ``clock`` gives seconds.
    """

    def __init__(self, budget: Budget, *, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._clock = clock
        self._since: dict[str, float] = {}

    def __call__(self, run_id: str, kind: str, data: Mapping[str, Any]) -> None:
        """Hear of one event."""
        if kind in ("create-intended", "adopted"):
            self._since[run_id] = self._clock()
        elif kind in ("deleted", "handed-over") and run_id in self._since:
            self._budget.settle(run_id, self._clock() - self._since.pop(run_id))
