"""How much has been agreed to: GPU-hours and money, counted to the end of what is already running. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.plan.cells import Cell
from harness.results.spending import SECONDS_PER_HOUR, Spent

# A limit typed as the plan prints it is reached, not passed: sums of binary fractions miss it by less than this.
ROUNDING = 1e-9
PriceOf = Callable[[Cell], float | None]


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """What one run takes: seconds for which its deployment has GPUs, and its cost, None without a price for it.

    ``seconds`` is ``ready_s`` to start, ``idle_s`` to wait for the load test's turn, ``load_s`` and ``delete_s``;
    ``load_between_s`` is how far the load may be off. ``fresh`` is False for a run on a deployment of another.
    """

    seconds: float
    gpu_hours: float
    cost: float | None
    fresh: bool = True
    ready_s: float = 0.0
    idle_s: float = 0.0
    load_s: float = 0.0
    delete_s: float = 0.0
    load_between_s: tuple[float, float] | None = None

    def over(self, seconds: float) -> RunEstimate:
        """The same GPUs for another time."""
        share = seconds / self.seconds if self.seconds > 0 else 0.0
        cost = None if self.cost is None else self.cost * share
        return replace(self, seconds=seconds, gpu_hours=self.gpu_hours * share, cost=cost)

    def between(self, low: float, high: float) -> tuple[RunEstimate, RunEstimate]:
        """With starts so many times as long, and the load at that end. A long start eats into the waiting."""
        shortest, longest = self.load_between_s or (self.load_s, self.load_s)
        before = self.ready_s + self.idle_s
        return (
            self.over(
                max(self.ready_s * low, before if self.idle_s else 0.0) + shortest + self.delete_s * low
            ),
            self.over(max(self.ready_s * high, before) + longest + self.delete_s * high),
        )


def estimate_run(
    cell: Cell,
    *,
    ready_s: float,
    load_s: float,
    delete_s: float,
    price: PriceOf,
    fresh: bool = True,
    idle_s: float = 0.0,
    load_between_s: tuple[float, float] | None = None,
) -> RunEstimate:
    """Start-up, waiting, load and tear-down of one run of a cell; ``price`` is per hour of the whole deployment."""
    seconds = ready_s + idle_s + load_s + delete_s
    hourly = price(cell)
    hours = seconds / SECONDS_PER_HOUR
    return RunEstimate(
        seconds,
        cell.gpus * hours,
        None if hourly is None else hourly * hours,
        fresh,
        ready_s=ready_s,
        idle_s=idle_s,
        load_s=load_s,
        delete_s=delete_s,
        load_between_s=load_between_s,
    )


@dataclass(slots=True)
class _Running:
    """A run whose deployment has GPUs: since when, when it was ready, whether its work is over."""

    since_s: float
    ready_s: float | None = None
    is_over: bool = False

    def to_end_s(self, estimate: RunEstimate, now_s: float) -> float:
        """How long it will have had them in the end: never less than it has had them by now."""
        elapsed_s = now_s - self.since_s
        if self.is_over:
            return elapsed_s
        after_ready_s = estimate.seconds - estimate.ready_s
        if self.ready_s is not None:
            return max(elapsed_s, self.ready_s - self.since_s + after_ready_s)
        return max(estimate.seconds, elapsed_s + after_ready_s)


@dataclass(slots=True)
class Budget:
    """Admits runs while their estimates, added to all that was and will be spent, stay within both limits.

    ``before`` is what earlier attempts took, ``spent`` what runs of this one took so far. A run admitted and not over
    counts to its end, and by more than its estimate once it takes longer. Under a cost limit nothing is admitted
    whose price, or that of what was spent, is unknown. ``refused`` are the runs that did not fit, in order.
    """

    estimates: Mapping[str, RunEstimate]
    max_gpu_hours: float | None = None
    max_cost: float | None = None
    currency: str | None = None
    before: Spent = field(default_factory=Spent)
    spent: dict[str, RunEstimate] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    _admitted: dict[str, RunEstimate] = field(default_factory=dict)
    _running: dict[str, _Running] = field(default_factory=dict)

    def admit(self, run_id: str, *, now_s: float = 0.0) -> str | None:
        """None and the run counts from now on, or the reason why it may not be launched."""
        reason = self._objection(self.estimates[run_id], now_s)
        if reason is None:
            self._admitted[run_id] = self.estimates[run_id]
        else:
            self.refused.append(run_id)
        return reason

    def _objection(self, estimate: RunEstimate, now_s: float) -> str | None:
        runs = [*self.spent.values(), *self._to_their_end(now_s), estimate]
        if self.max_gpu_hours is not None:
            total = math.fsum((self.before.gpu_hours, *(run.gpu_hours for run in runs)))
            if total > self.max_gpu_hours * (1 + ROUNDING):
                told, limit = _apart(total, self.max_gpu_hours)
                return f"it would bring the sweep to {told} GPU-hours, above the limit of {limit}"
        if self.max_cost is not None:
            if self.before.cost is None or any(run.cost is None for run in runs):
                return "its price is unknown and the cost is limited"
            total = math.fsum((self.before.cost, *(run.cost or 0.0 for run in runs)))
            if total > self.max_cost * (1 + ROUNDING):
                told, limit = _apart(total, self.max_cost)
                unit = "" if self.currency is None else f" {self.currency}"
                return f"it would bring the sweep to {told}{unit}, above the cost limit of {limit}{unit}"
        return None

    def _to_their_end(self, now_s: float) -> list[RunEstimate]:
        running = self._running
        return [
            estimate if run_id not in running else estimate.over(running[run_id].to_end_s(estimate, now_s))
            for run_id, estimate in self._admitted.items()
        ]

    def begin(self, run_id: str, now_s: float) -> None:
        """From now on the run has GPUs; a second deployment of one run is one more to be counted."""
        if run_id in self.estimates:
            self._admitted.setdefault(run_id, self.estimates[run_id])
            self._running.setdefault(run_id, _Running(now_s))

    def ready(self, run_id: str, now_s: float) -> None:
        """Its deployment serves."""
        if run_id in self._running:
            self._running[run_id].ready_s = now_s

    def is_over(self, run_id: str) -> None:
        """Nothing more is wanted of its deployment."""
        if run_id in self._running:
            self._running[run_id].is_over = True

    def pause(self, run_id: str, now_s: float) -> None:
        """It has no GPUs for the time being; unless its work is over it counts again from its start."""
        running = self._running.pop(run_id, None)
        if running is not None:
            self._add(run_id, now_s - running.since_s)
            if running.is_over:
                self._admitted.pop(run_id, None)

    def end(self, run_id: str, now_s: float, *, never_created: bool = False) -> None:
        """Its deployment is gone, handed on, or never was."""
        running = self._running.get(run_id)
        took_s = 0.0 if running is None or never_created else now_s - running.since_s
        self.settle(run_id, took_s)

    def settle(self, run_id: str, seconds: float) -> None:
        """What the run took is known: it takes the place of its estimate, and adds to what it took before."""
        self._running.pop(run_id, None)
        if self._admitted.pop(run_id, None) is not None:
            self._add(run_id, seconds)

    def _add(self, run_id: str, seconds: float) -> None:
        before = self.spent.get(run_id)
        already_s = 0.0 if before is None else before.seconds
        self.spent[run_id] = self.estimates[run_id].over(already_s + max(0.0, seconds))


def _apart(total: float, limit: float) -> tuple[str, str]:
    """Both with as many digits as show the limit as it was given, and that it is passed."""
    for digits in range(2, 9):
        told, bound = f"{total:.{digits}f}", f"{limit:.{digits}f}"
        if told != bound and float(bound) == limit:
            break
    return told, bound


class Meter:
    """Tells a budget what happens, from the sweep's events as they come. ``clock`` gives seconds.

    A run is paid for from its create, or from the moment it takes a deployment over, until that is gone or handed
    on; not while it is scaled to zero.
    """

    def __init__(self, budget: Budget, *, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._clock = clock
        self._intended: dict[str, float] = {}

    def __call__(self, run_id: str, kind: str, data: Mapping[str, Any]) -> None:
        """Hear of one event."""
        budget, now = self._budget, self._clock()
        if kind == "create-intended":
            self._intended[str(data.get("name"))] = now
        if kind in ("create-intended", "adopted") and not data.get("paused"):
            budget.begin(run_id, now)
        elif kind == "found-late":
            budget.begin(run_id, self._intended.get(str(data.get("name")), now))
        elif kind == "scale-intended" and data.get("replicas", 0) > 0:
            budget.begin(run_id, now)
        elif kind == "scaled" and data.get("replicas") == 0:
            budget.pause(run_id, now)
        elif kind == "ready":
            budget.ready(run_id, now)
        elif kind in ("measured", "failed"):
            budget.is_over(run_id)
        elif kind in ("deleted", "handed-over"):
            budget.end(run_id, now, never_created=bool(data.get("never_created")))
