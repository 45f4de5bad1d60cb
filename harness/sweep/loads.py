"""From a sweep file's words to the load client's types: workload and stages. Pure."""

from __future__ import annotations

import math

from harness.load.arrivals import Arrivals, ClosedLoop, ConstantRate, GammaRate, PoissonRate
from harness.load.lengths import (
    LARGEST,
    FixedLength,
    Lengths,
    LogNormalLength,
    NormalLength,
    UniformLength,
    checked,
)
from harness.load.stage import Stage
from harness.load.workload import SharedPrefixes, Workload
from harness.plan.config import LengthConfig, LoadLevel, SweepConfig, WorkloadConfig

DEFAULT_WARMUP_S = 5.0
WARMUP_SHARE = 0.1


def stages(config: SweepConfig) -> list[Stage]:
    """One stage per load level, in the file's order."""
    return [stage(level, timeout_s=config.timeouts.request_s) for level in config.load]


def stage(level: LoadLevel, *, timeout_s: float) -> Stage:
    """The stage of one level. Without a warm-up of its own it gets a tenth of its duration, at most 5 s."""
    warmup = level.warmup_s
    if warmup is None:
        warmup = (
            DEFAULT_WARMUP_S
            if level.duration_s is None
            else min(DEFAULT_WARMUP_S, WARMUP_SHARE * level.duration_s)
        )
    return Stage(
        arrivals=arrivals(level),
        duration_s=level.duration_s,
        requests=level.requests,
        warmup_s=warmup,
        timeout_s=timeout_s,
    )


def arrivals(level: LoadLevel) -> Arrivals:
    """Closed loop for a concurrency; for a rate the process that the level names."""
    if level.concurrency is not None:
        return ClosedLoop(level.concurrency)
    assert level.rate_per_s is not None, "the config reader demands one of concurrency and rate"
    if level.arrivals == "constant":
        return ConstantRate(level.rate_per_s)
    if level.arrivals == "gamma":
        return GammaRate(level.rate_per_s, level.burstiness)
    return PoissonRate(level.rate_per_s)


def workload(config: WorkloadConfig) -> Workload:
    """The load client's workload."""
    prefixes = SharedPrefixes(config.prefix_groups, config.prefix_tokens) if config.prefix_tokens else None
    return Workload(
        input_tokens=lengths(config.input_tokens),
        output_tokens=lengths(config.output_tokens),
        api=config.api,
        cache=config.cache,
        shared_prefixes=prefixes,
        extra=config.extra,
    )


def lengths(config: LengthConfig) -> Lengths:
    """A distribution of token counts. A log-normal is given by its mean and standard deviation, as people say it.

    Its median is ``mean / sqrt(1 + cv²)`` and its sigma ``sqrt(ln(1 + cv²))``, with cv = stddev / mean.
    """
    low = config.minimum or 1
    high = LARGEST if config.maximum is None else config.maximum
    mean, spread = config.mean or 1.0, config.stddev or 0.0
    if config.distribution == "fixed":
        return checked(FixedLength(round(mean)))
    if config.distribution == "uniform":
        return checked(UniformLength(low, high))
    if config.distribution == "normal":
        return checked(NormalLength(mean, spread, low, high))
    squared = 1.0 + (spread / mean) ** 2
    return checked(LogNormalLength(mean / math.sqrt(squared), math.sqrt(math.log(squared)), low, high))


def load_seconds(config: SweepConfig, *, request_s: float) -> float:
    """How long all levels of one run take, about; ``request_s`` is one request's latency."""
    return sum(each.warmup_s + _level_seconds(each, request_s) for each in stages(config))


def _level_seconds(stage: Stage, request_s: float) -> float:
    """A given duration; or as long as so many requests take, of a closed loop or at a rate."""
    if stage.duration_s is not None:
        return stage.duration_s
    requests, arrivals = stage.requests or 1, stage.arrivals
    if isinstance(arrivals, ClosedLoop):
        return math.ceil(requests / arrivals.concurrency) * request_s
    if isinstance(arrivals, ConstantRate | PoissonRate | GammaRate):
        return requests / arrivals.rate_req_s + request_s
    return request_s
