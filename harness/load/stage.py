"""One load level: an arrival process, how long, and its limits. Pure; also its JSON form, for files and pipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.errors import UsageError
from harness.load.arrivals import KINDS, Arrivals, ClosedLoop, Ramp, StepSeries, check


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A load level to be measured.

    The measured part lasts ``duration_s`` seconds or until ``requests`` requests have ended, whichever is given
    (both: whichever comes first). It follows a warm-up of ``warmup_s`` seconds at the same load. After a window
    that ends by time, requests in flight get ``drain_s`` more seconds, so that server and client agree on the token
    counts. ``timeout_s`` bounds one request, connecting included. ``max_in_flight`` holds an open loop's requests
    back once so many are out; that wait counts as lateness. With ``early_stop`` a level that is lost ends early
    (``harness.load.outlook``), also by the bounds of ``slo``, where one is given. Where the workload has
    conversations, they are what ``requests`` counts and what arrives.
    """

    arrivals: Arrivals
    duration_s: float | None = None
    requests: int | None = None
    warmup_s: float = 0.0
    drain_s: float = 10.0
    timeout_s: float = 300.0
    max_in_flight: int | None = None
    early_stop: bool = False
    slo: str | None = None

    def __post_init__(self) -> None:
        check(self.arrivals)
        if self.duration_s is None and self.requests is None:
            raise UsageError("a stage needs a duration or a number of requests")
        if self.duration_s is None and isinstance(self.arrivals, Ramp | StepSeries):
            raise UsageError(f"{self.label}: needs a duration for its rates to change over")
        if self.duration_s is not None and not 0 < self.duration_s < float("inf"):
            raise UsageError(f"a stage's duration must be above 0, not {self.duration_s:g} s")
        if self.requests is not None and self.requests < 1:
            raise UsageError(f"a stage needs at least 1 request, not {self.requests}")
        if min(self.warmup_s, self.drain_s) < 0 or self.timeout_s <= 0:
            raise UsageError("warm-up and drain are 0 s or more, the timeout is above 0 s")
        if self.max_in_flight is not None and self.max_in_flight < 1:
            raise UsageError(f"the limit on requests in flight must be 1 or more, not {self.max_in_flight}")

    @property
    def label(self) -> str:
        """Short name for tables: ``c8``, ``2.5 req/s``."""
        return self.arrivals.label

    @property
    def is_closed_loop(self) -> bool:
        """True when a request waits for the one before it."""
        return isinstance(self.arrivals, ClosedLoop)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; ``from_json`` reads them back."""
        kind = next(name for name, kind in KINDS.items() if kind is type(self.arrivals))
        rest = {name: getattr(self, name) for name in LIMITS}
        return {"kind": kind, "label": self.label, **asdict(self.arrivals), **rest}


LIMITS = ("duration_s", "requests", "warmup_s", "drain_s", "timeout_s", "max_in_flight", "early_stop", "slo")


def stage_from_json(data: Mapping[str, Any]) -> Stage:
    """The stage ``to_json`` described; UsageError when it is none. A result's ``workload`` beside it is passed over."""
    known = KINDS.get(str(data.get("kind")))
    if known is None:
        raise UsageError(f"unknown kind of load {data.get('kind')!r}; one of: {', '.join(KINDS)}")
    figures = {k: v for k, v in data.items() if k not in LIMITS and k not in ("kind", "label", "workload")}
    figures = {k: tuple(v) if isinstance(v, list) else v for k, v in figures.items()}
    try:
        return Stage(arrivals=known(**figures), **{k: data[k] for k in LIMITS if k in data})
    except TypeError as error:
        raise UsageError(f"not a load level: {error}") from error
