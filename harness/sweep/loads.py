"""From a sweep file's words to the load client's types: workload and stages. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from harness.load.arrivals import (
    Arrivals,
    ClosedLoop,
    ConstantRate,
    GammaRate,
    PoissonRate,
    Ramp,
    StepSeries,
    TraceReplay,
    mean_rate,
)
from harness.load.conversations import Conversations
from harness.load.lengths import (
    LARGEST,
    EmpiricalLength,
    FixedLength,
    Lengths,
    LogNormalLength,
    NormalLength,
    UniformLength,
    checked,
    mean_length,
)
from harness.load.levels import Level, Search
from harness.load.slo import Slo
from harness.load.stage import Stage
from harness.load.workload import SharedPrefixes, Workload
from harness.plan.config import LengthConfig, LoadLevel, SearchLevel, SweepConfig, WorkloadConfig
from harness.units import MS_PER_S

DEFAULT_WARMUP_S = 5.0
WARMUP_SHARE = 0.1


def levels(config: SweepConfig) -> list[Level]:
    """One stage per load level and one search for each that is asked for, in the file's order.

    Lost levels end early where the file has an SLO, and the steps of every search do, unless it says otherwise.
    """
    slo = None if config.slo is None else Slo.parse(config.slo)
    prompts = config.workload.prompt_file
    times_s = () if prompts is None else prompts.times_s or ()
    made: list[Level] = []
    for level in config.load:
        search = level if isinstance(level, SearchLevel) else None
        stops = (slo is not None or search is not None) if config.early_stop is None else config.early_stop
        plain = stage(first_of(level), timeout_s=config.timeouts.request_s, times_s=times_s)
        first = replace(plain, early_stop=stops, slo=str(slo) if stops and slo is not None else None)
        made.append(first if search is None else Search(search.find, first, slo, search.most_steps))
    return made


def first_of(level: LoadLevel | SearchLevel) -> LoadLevel:
    """The level itself; a search's first step."""
    return level.first if isinstance(level, SearchLevel) else level


def stage(level: LoadLevel, *, timeout_s: float, times_s: Sequence[float] = ()) -> Stage:
    """The stage of one level, a trace's at ``times_s``; one without an end lasts until the trace is through.

    Without a warm-up of its own it gets a tenth of its duration, at most 5 s.
    """
    requests = level.requests
    if level.trace and level.duration_s is None and requests is None:
        requests = len(times_s)
    warmup = level.warmup_s
    if warmup is None:
        warmup = (
            DEFAULT_WARMUP_S
            if level.duration_s is None
            else min(DEFAULT_WARMUP_S, WARMUP_SHARE * level.duration_s)
        )
    return Stage(
        arrivals=arrivals(level, times_s=times_s),
        duration_s=level.duration_s,
        requests=requests,
        warmup_s=warmup,
        timeout_s=timeout_s,
        max_in_flight=level.max_in_flight,
    )


def arrivals(level: LoadLevel, *, times_s: Sequence[float] = ()) -> Arrivals:
    """Closed loop for a concurrency; else the open loop that the level names."""
    if level.concurrency is not None:
        return ClosedLoop(level.concurrency)
    if level.ramp:
        start, end = level.ramp
        return Ramp(start, end)
    if level.steps:
        return StepSeries(level.steps)
    if level.trace:
        return TraceReplay(tuple(times_s), level.stretch)
    assert level.rate_per_s is not None, "the config reader demands one kind of load"
    if level.arrivals == "constant":
        return ConstantRate(level.rate_per_s)
    if level.arrivals == "gamma":
        return GammaRate(level.rate_per_s, level.burstiness)
    return PoissonRate(level.rate_per_s)


def workload(config: WorkloadConfig) -> Workload:
    """The load client's workload."""
    prefixes = SharedPrefixes(config.prefix_groups, config.prefix_tokens) if config.prefix_tokens else None
    prompts = config.prompt_file
    return Workload(
        input_tokens=lengths(config.input_tokens),
        output_tokens=lengths(config.output_tokens),
        api=config.api,
        streamed=config.stream,
        cache=config.cache,
        shared_prefixes=prefixes,
        items=() if prompts is None else prompts.items,
        in_order=prompts is not None and prompts.times_s is not None,
        conversations=conversations(config),
        tokenizer=config.tokenizer,
        extra=config.extra,
    )


def conversations(config: WorkloadConfig) -> Conversations | None:
    """Conversations where the file asks for them, or its prompts come in turns."""
    if not config.in_turns and (config.prompt_file is None or not config.prompt_file.has_turns):
        return None
    return Conversations(
        None if config.turns is None else lengths(config.turns),
        None if config.think_time_ms is None else lengths(config.think_time_ms),
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
    if config.distribution == "empirical":
        return checked(EmpiricalLength(config.values, config.weights))
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
    each_s = conversation_seconds(config.workload, request_s=request_s)
    total = 0.0
    for level in levels(config):
        each, times = (level.stage, level.most_steps) if isinstance(level, Search) else (level, 1)
        total += times * (each.warmup_s + _measured_seconds(each, each_s=each_s))
    return total


def _measured_seconds(stage: Stage, *, each_s: float) -> float:
    """A stage without its warm-up; ``each_s`` is what a request, or a conversation, takes."""
    if stage.duration_s is not None:
        return stage.duration_s
    requests = stage.requests or 1
    if isinstance(stage.arrivals, ClosedLoop):
        return math.ceil(requests / stage.arrivals.concurrency) * each_s
    if isinstance(stage.arrivals, TraceReplay):
        last = min(requests, len(stage.arrivals.times_s)) - 1
        return sorted(stage.arrivals.times_s)[last] * stage.arrivals.stretch + each_s
    return requests / mean_rate(stage.arrivals, duration_s=1.0) + each_s


def conversation_seconds(config: WorkloadConfig, *, request_s: float) -> float:
    """A conversation of the mean number of turns; ``request_s`` itself where there are none."""
    held = conversations(config)
    if held is None:
        return request_s
    items = () if config.prompt_file is None else config.prompt_file.items
    turns = math.inf if held.turns is None else mean_length(held.turns)
    if items:
        turns = sum(min(turns, 1 + len(item.later)) for item in items) / len(items)
    pause_s = 0.0 if held.think_time_ms is None else mean_length(held.think_time_ms) / MS_PER_S
    return turns * request_s + (turns - 1) * pause_s
