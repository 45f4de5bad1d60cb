"""From a sweep file's words to the load client's types: workload and stages. Pure."""

from __future__ import annotations

import math
from dataclasses import replace

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
from harness.load.levels import Level, Search
from harness.load.slo import Slo
from harness.load.stage import Stage
from harness.load.workload import SharedPrefixes, Workload
from harness.plan.config import LengthConfig, LoadLevel, SearchLevel, SweepConfig, WorkloadConfig

DEFAULT_WARMUP_S = 5.0
WARMUP_SHARE = 0.1


def levels(config: SweepConfig) -> list[Level]:
    """One stage per load level and one search for each that is asked for, in the file's order.

    Lost levels end early where the file has an SLO, and the steps of every search do, unless it says otherwise.
    """
    slo = None if config.slo is None else Slo.parse(config.slo)
    made: list[Level] = []
    for level in config.load:
        search = level if isinstance(level, SearchLevel) else None
        stops = (slo is not None or search is not None) if config.early_stop is None else config.early_stop
        plain = stage(
            level.first if isinstance(level, SearchLevel) else level, timeout_s=config.timeouts.request_s
        )
        first = replace(plain, early_stop=stops, slo=str(slo) if stops and slo is not None else None)
        made.append(first if search is None else Search(search.find, first, slo, search.most_steps))
    return made


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
    """How long all levels of one run take, about; ``request_s`` is a guess of one request's latency.

    A search counts with the most steps it may take.
    """
    total = 0.0
    for level in levels(config):
        each, times = (level.stage, level.most_steps) if isinstance(level, Search) else (level, 1)
        if each.duration_s is not None:
            total += times * (each.warmup_s + each.duration_s)
        else:
            at_once = each.arrivals.concurrency if isinstance(each.arrivals, ClosedLoop) else 1
            total += times * (each.warmup_s + (each.requests or 1) * request_s / at_once)
    return total
