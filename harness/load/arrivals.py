"""When the requests of a stage should go. Pure: the same seed gives the same times; nothing here sleeps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError

Times = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """``concurrency`` users, each sending its next request when the last one ended."""

    concurrency: int

    @property
    def label(self) -> str:
        """Short name for tables: ``c8``."""
        return f"c{self.concurrency}"


@dataclass(frozen=True, slots=True)
class ConstantRate:
    """One request every ``1 / rate_req_s`` seconds."""

    rate_req_s: float

    @property
    def label(self) -> str:
        """Short name for tables: ``2.5 req/s constant``."""
        return f"{self.rate_req_s:g} req/s constant"


@dataclass(frozen=True, slots=True)
class PoissonRate:
    """Independent users: exponential gaps of mean ``1 / rate_req_s``."""

    rate_req_s: float

    @property
    def label(self) -> str:
        """Short name for tables: ``2.5 req/s``."""
        return f"{self.rate_req_s:g} req/s"


@dataclass(frozen=True, slots=True)
class GammaRate:
    """Gamma-distributed gaps of mean ``1 / rate_req_s``; ``burstiness`` is the shape, as in vLLM's benchmark.

    1 is Poisson, below 1 comes in bursts, above 1 is more even. The gaps' coefficient of variation is
    ``1 / sqrt(burstiness)``.
    """

    rate_req_s: float
    burstiness: float

    @property
    def label(self) -> str:
        """Short name for tables: ``2.5 req/s gamma 0.5``."""
        return f"{self.rate_req_s:g} req/s gamma {self.burstiness:g}"


@dataclass(frozen=True, slots=True)
class Ramp:
    """A Poisson process whose rate goes straight from ``start_req_s`` to ``end_req_s`` over the stage."""

    start_req_s: float
    end_req_s: float

    @property
    def label(self) -> str:
        """Short name for tables: ``1→8 req/s``."""
        return f"{self.start_req_s:g}→{self.end_req_s:g} req/s"


@dataclass(frozen=True, slots=True)
class StepSeries:
    """A Poisson process with one rate after another, each held for an equal part of the stage."""

    rates_req_s: tuple[float, ...]

    @property
    def label(self) -> str:
        """Short name for tables: ``1,2,4 req/s``."""
        return ",".join(f"{rate:g}" for rate in self.rates_req_s) + " req/s"


@dataclass(frozen=True, slots=True)
class TraceReplay:
    """Recorded times, in seconds from the trace's start, multiplied by ``stretch`` (2 is half the speed)."""

    times_s: tuple[float, ...]
    stretch: float = 1.0

    @property
    def label(self) -> str:
        """Short name for tables: ``trace of 120 ×2``."""
        return f"trace of {len(self.times_s)}" + (f" ×{self.stretch:g}" if self.stretch != 1 else "")


OpenLoop = ConstantRate | PoissonRate | GammaRate | Ramp | StepSeries | TraceReplay
Arrivals = ClosedLoop | OpenLoop

KINDS: Mapping[str, type[Any]] = {
    "closed-loop": ClosedLoop,
    "constant-rate": ConstantRate,
    "poisson-rate": PoissonRate,
    "gamma-rate": GammaRate,
    "ramp": Ramp,
    "step-series": StepSeries,
    "trace-replay": TraceReplay,
}


def check(arrivals: Arrivals) -> None:
    """Raise UsageError unless every figure of ``arrivals`` can be used."""
    if isinstance(arrivals, ClosedLoop):
        if arrivals.concurrency < 1:
            raise UsageError(f"concurrency must be 1 or more, not {arrivals.concurrency}")
    elif isinstance(arrivals, TraceReplay):
        if not arrivals.times_s or arrivals.stretch <= 0:
            raise UsageError("a trace needs at least one time and a stretch above 0")
        if any(not 0 <= time < math.inf for time in arrivals.times_s):
            raise UsageError("a trace's times are finite and not negative")
    else:
        rates = rates_of(arrivals)
        if not rates or any(not 0 <= rate < math.inf for rate in rates) or not any(rates):
            raise UsageError(f"a rate must be finite and above 0 requests/s, not {arrivals.label!r}")
        if isinstance(arrivals, GammaRate) and not 0 < arrivals.burstiness < math.inf:
            raise UsageError(f"burstiness must be above 0, not {arrivals.burstiness:g}")


def rates_of(arrivals: ConstantRate | PoissonRate | GammaRate | Ramp | StepSeries) -> tuple[float, ...]:
    """Every rate named in an arrival process, in requests per second."""
    if isinstance(arrivals, Ramp):
        return (arrivals.start_req_s, arrivals.end_req_s)
    if isinstance(arrivals, StepSeries):
        return arrivals.rates_req_s
    return (arrivals.rate_req_s,)


def schedule(arrivals: OpenLoop, *, duration_s: float, rng: np.random.Generator) -> Times:
    """Arrival times in ``[0, duration_s)``, ascending, in seconds from the stage's start."""
    check(arrivals)
    if isinstance(arrivals, ConstantRate):
        count = math.ceil(duration_s * arrivals.rate_req_s - 1e-9)
        return np.arange(count, dtype=np.float64) / arrivals.rate_req_s
    if isinstance(arrivals, TraceReplay):
        times = np.sort(np.asarray(arrivals.times_s, dtype=np.float64)) * arrivals.stretch
        return times[times < duration_s]
    if isinstance(arrivals, PoissonRate):
        return _renewal(1.0, rate=arrivals.rate_req_s, duration_s=duration_s, rng=rng)
    if isinstance(arrivals, GammaRate):
        return _renewal(arrivals.burstiness, rate=arrivals.rate_req_s, duration_s=duration_s, rng=rng)
    if isinstance(arrivals, Ramp):
        return _ramp(arrivals, duration_s=duration_s, rng=rng)
    return _steps(arrivals, duration_s=duration_s, rng=rng)


def mean_rate(arrivals: OpenLoop, *, duration_s: float) -> float:
    """Requests per second that ``arrivals`` offers over ``duration_s``, on average."""
    if isinstance(arrivals, TraceReplay):
        return sum(time * arrivals.stretch < duration_s for time in arrivals.times_s) / duration_s
    rates = rates_of(arrivals)
    return sum(rates) / len(rates)


def peak_rate(arrivals: OpenLoop) -> float:
    """The highest rate that ``arrivals`` offers, in requests per second; of a trace the most within one second."""
    if not isinstance(arrivals, TraceReplay):
        return max(rates_of(arrivals))
    times = np.sort(np.asarray(arrivals.times_s)) * arrivals.stretch
    within = np.searchsorted(times, times + 1.0) - np.arange(len(times))
    return float(within.max())


def _renewal(shape: float, *, rate: float, duration_s: float, rng: np.random.Generator) -> Times:
    """Cumulated gamma gaps of mean ``1 / rate``, cut at the end."""
    parts: list[Times] = []
    reached = 0.0
    while reached < duration_s:
        size = max(16, math.ceil((duration_s - reached) * rate * 1.1))
        gaps = (
            rng.exponential(1.0 / rate, size)
            if shape == 1.0
            else rng.gamma(shape, 1.0 / (rate * shape), size)
        )
        part = reached + np.cumsum(gaps)
        parts.append(part)
        reached = float(part[-1])
    times = np.concatenate(parts)
    return times[times < duration_s]


def _unit_arrivals(total: float, *, rng: np.random.Generator) -> Times:
    """A Poisson process of rate 1 on ``[0, total)``: the operational time of a varying rate."""
    return _renewal(1.0, rate=1.0, duration_s=total, rng=rng)


def _ramp(arrivals: Ramp, *, duration_s: float, rng: np.random.Generator) -> Times:
    """Inverts the integral of the rate: ``a t + (b - a) t² / 2 D = x`` solved for t."""
    start, slope = arrivals.start_req_s, (arrivals.end_req_s - arrivals.start_req_s) / duration_s
    total = (arrivals.start_req_s + arrivals.end_req_s) / 2 * duration_s
    unit = _unit_arrivals(total, rng=rng)
    # The stable form of the quadratic's root: no cancellation when the slope is near 0.
    times: Times = 2 * unit / (start + np.sqrt(np.maximum(start * start + 2 * slope * unit, 0.0)))
    return times[times < duration_s]


def _steps(arrivals: StepSeries, *, duration_s: float, rng: np.random.Generator) -> Times:
    """Inverts the piecewise linear integral of the rates."""
    step_s = duration_s / len(arrivals.rates_req_s)
    integral = np.concatenate([[0.0], np.cumsum(np.asarray(arrivals.rates_req_s) * step_s)])
    edges = np.arange(len(arrivals.rates_req_s) + 1) * step_s
    # A step of rate 0 is flat in the integral; interp then answers with its end, where the next arrivals are.
    times: Times = np.interp(_unit_arrivals(float(integral[-1]), rng=rng), integral, edges)
    return times[times < duration_s]
