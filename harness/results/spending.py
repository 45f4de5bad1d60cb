"""What deployments took, read off a journal: who had GPUs, from when to when. Pure.

Counted from the intent to create, or from the hand-over, to the proof of deletion or the next one's; not while scaled
to zero. Whatever became of the run counts: failed and retried ones, those found late, those a later config dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.plan.cells import Cell
from harness.results.journal import Event
from harness.results.prices import PriceTable

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Paid:
    """A stretch of time for which a run had GPUs. ``until_unix`` is None while it may still have them."""

    run_id: str
    gpu_type: str
    gpu_count: int
    replicas: int
    since_unix: float
    until_unix: float | None = None

    def seconds(self, *, now_unix: float) -> float:
        """Its length, up to now where it has no end; never negative, should clocks of two machines disagree."""
        return max(0.0, (now_unix if self.until_unix is None else self.until_unix) - self.since_unix)

    def gpu_hours(self, *, now_unix: float) -> float:
        """Every GPU of every replica counted."""
        return self.gpu_count * self.replicas * self.seconds(now_unix=now_unix) / SECONDS_PER_HOUR

    def cost(self, prices: PriceTable, *, now_unix: float) -> float | None:
        """By the price table; None when it has no price for these GPUs."""
        hourly = prices.per_replica_hour(self.gpu_type, self.gpu_count)
        hours = self.seconds(now_unix=now_unix) / SECONDS_PER_HOUR
        return None if hourly is None else hourly * self.replicas * hours


@dataclass(frozen=True, slots=True)
class Spent:
    """A sum. ``cost`` is None when a price is missing, and ``known_cost`` is of what has one; ``unpriced`` names what
    has none; ``open`` are the stretches without an end, counted up to now."""

    gpu_hours: float = 0.0
    cost: float | None = 0.0
    open: tuple[Paid, ...] = ()
    known_cost: float = 0.0
    unpriced: tuple[str, ...] = ()


def spent(paid: Iterable[Paid], prices: PriceTable | None, *, now_unix: float) -> Spent:
    """The sum over stretches, up to now; without a price table there is a cost only if there was nothing to pay."""
    paid = [each for each in paid if each.seconds(now_unix=now_unix) > 0 or each.until_unix is None]
    costs = [None if prices is None else each.cost(prices, now_unix=now_unix) for each in paid]
    return Spent(
        sum(each.gpu_hours(now_unix=now_unix) for each in paid),
        None if any(cost is None for cost in costs) else sum(cost or 0.0 for cost in costs),
        tuple(each for each in paid if each.until_unix is None),
        sum(cost or 0.0 for cost in costs),
        tuple(
            dict.fromkeys(
                f"{each.gpu_type}×{each.gpu_count}"
                for each, cost in zip(paid, costs, strict=True)
                if cost is None
            )
        ),
    )


@dataclass(slots=True)
class _Book:
    """The stretches of one run so far: what shape its deployment has, and when each name was first intended."""

    run_id: str
    shape: tuple[str, int, int] | None = None
    since_unix: float | None = None
    intended: dict[str, float] = field(default_factory=dict)
    closed: list[Paid] = field(default_factory=list)

    def open(self, at_unix: float) -> None:
        self.since_unix = at_unix if self.since_unix is None else self.since_unix

    def close(self, at_unix: float) -> None:
        if self.since_unix is not None and self.shape is not None:
            self.closed.append(Paid(self.run_id, *self.shape, self.since_unix, max(at_unix, self.since_unix)))
        self.since_unix = None

    def paid(self) -> list[Paid]:
        if self.since_unix is None or self.shape is None:
            return self.closed
        return [*self.closed, Paid(self.run_id, *self.shape, self.since_unix)]


def paid_stretches(events: Iterable[Event], cells: Iterable[Cell] = ()) -> list[Paid]:
    """Every stretch of every run, run by run. ``cells`` tell the GPUs where a journal of old does not."""
    known = {cell.id: (cell.gpu_type, cell.gpu_count, cell.replicas) for cell in cells}
    books: dict[str, _Book] = {}
    for event in events:
        if event.run_id is not None:
            book = books.setdefault(event.run_id, _Book(event.run_id))
            _enter(book, event, known)
    return [paid for book in books.values() for paid in book.paid()]


def _enter(book: _Book, event: Event, known: Mapping[str, tuple[str, int, int]]) -> None:
    """What one event says of its run's deployment."""
    data, at = event.data, event.at_unix
    if event.kind in ("create-intended", "adopted"):
        book.shape = _shape(event) or known.get(book.run_id.rpartition("-r")[0], book.shape)
        book.intended.setdefault(str(data.get("name")), at)
        if not data.get("paused"):
            book.open(at)
    elif event.kind == "found-late":
        book.open(book.intended.get(str(data.get("name")), at))
    elif event.kind == "scale-intended" and data.get("replicas", 0) > 0:
        if book.shape is not None:
            book.shape = (*book.shape[:2], int(data["replicas"]))
        book.open(at)
    elif event.kind in ("deleted", "handed-over") or (event.kind == "scaled" and data.get("replicas") == 0):
        if data.get("never_created"):
            book.since_unix = None
        book.close(at)


def _shape(event: Event) -> tuple[str, int, int] | None:
    data = event.data
    if "gpu_type" not in data:
        return None
    return str(data["gpu_type"]), int(data["gpu_count"]), int(data["replicas"])
