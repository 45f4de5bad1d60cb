"""The whole timetable of an open-loop stage: warm-up arrivals, then the measured ones. Pure."""

from __future__ import annotations

import numpy as np

from harness.load.arrivals import (
    ClosedLoop,
    ConstantRate,
    GammaRate,
    OpenLoop,
    PoissonRate,
    Ramp,
    StepSeries,
    Times,
    TraceReplay,
    mean_rate,
    schedule,
)
from harness.load.stage import Stage

# A number of requests is reached within this multiple of its expected time, or the horizon is doubled.
HORIZON_MARGIN = 1.5


def open_loop_times(stage: Stage, *, rng: np.random.Generator) -> tuple[Times, int]:
    """Times of all requests in seconds from the stage's origin, and how many of them are warm-up.

    The measured arrivals are drawn first: they are the same whatever the warm-up.
    """
    arrivals = stage.arrivals
    if isinstance(arrivals, ClosedLoop):
        raise TypeError("a closed loop has no timetable")
    measured = _measured(arrivals, stage, rng=rng)
    if stage.warmup_s == 0:
        return measured, 0
    warmup = schedule(_opening(arrivals, measured), duration_s=stage.warmup_s, rng=rng)
    return np.concatenate([warmup, stage.warmup_s + measured]), len(warmup)


def _measured(arrivals: OpenLoop, stage: Stage, *, rng: np.random.Generator) -> Times:
    if stage.duration_s is not None:
        return schedule(arrivals, duration_s=stage.duration_s, rng=rng)[: stage.requests]
    assert stage.requests is not None, "a stage has a duration or a number of requests"
    if isinstance(arrivals, TraceReplay):
        horizon_s = max(arrivals.times_s) * arrivals.stretch + 1.0
        return schedule(arrivals, duration_s=horizon_s, rng=rng)[: stage.requests]
    horizon_s = stage.requests / mean_rate(arrivals, duration_s=1.0) * HORIZON_MARGIN
    if isinstance(arrivals, ConstantRate):
        return schedule(arrivals, duration_s=horizon_s + 1.0, rng=rng)[: stage.requests]
    state = rng.bit_generator.state
    times = schedule(arrivals, duration_s=horizon_s, rng=rng)
    while len(times) < stage.requests:
        horizon_s *= 2
        rng.bit_generator.state = state
        times = schedule(arrivals, duration_s=horizon_s, rng=rng)
    return times[: stage.requests]


def _opening(arrivals: OpenLoop, measured: Times) -> OpenLoop:
    """The steady process that stands in for ``arrivals`` during the warm-up: the rate it begins with."""
    if isinstance(arrivals, ConstantRate | PoissonRate | GammaRate):
        return arrivals
    if isinstance(arrivals, Ramp):
        return PoissonRate(arrivals.start_req_s or arrivals.end_req_s)
    if isinstance(arrivals, StepSeries):
        return PoissonRate(next(rate for rate in arrivals.rates_req_s if rate))
    span_s = float(measured[-1] - measured[0]) if len(measured) > 1 else 1.0
    return PoissonRate(len(measured) / max(span_s, 1e-3))
