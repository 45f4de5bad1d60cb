"""Figures of one load level: latencies, rates and what binds, from a run in virtual time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from harness.forecast.load import Arrivals, Load
from harness.forecast.step import StepModel
from harness.forecast.trace import Trace

# A closed loop of fewer rounds ends in waves, and is counted whole.
FEW_ROUNDS = 5
# Requests that waited for this share of the run make what they waited for the binding constraint.
_QUEUE_SHARE = 0.05


class Binding(StrEnum):
    """What keeps a cell from being faster."""

    COMPUTE = "compute"
    BANDWIDTH = "bandwidth"
    KV_CACHE = "KV cache"
    MAX_NUM_SEQS = "max-num-seqs"
    LINK = "link"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Quantiles:
    """A latency in seconds; None where no request has one."""

    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class LevelForecast:
    """One load level. Rates are of the whole deployment, tokens or requests per second.

    ``kv_share`` is the largest share of an engine's cache in use, ``most_running`` the most requests in its running
    set; ``refused`` requests were larger than the cache. ``ttft_each_s`` and ``tpot_each_s`` are of one engine's
    requests in order of sending, those that ended; NaN is the TPOT of a single token.
    """

    load: Load
    ttft_s: Quantiles
    tpot_s: Quantiles
    itl_s: Quantiles
    e2e_s: Quantiles
    output_throughput: float
    total_throughput: float
    request_throughput: float
    preemptions: int
    kv_share: float
    most_running: int
    refused: int
    binding: Binding
    ttft_each_s: npt.NDArray[np.float64]
    tpot_each_s: npt.NDArray[np.float64]


def level_of(load: Load, trace: Trace, steps: StepModel, *, blocks: int, engines: int) -> LevelForecast:
    """The figures of one engine's run, times ``engines`` where they add up. ``blocks`` are its cache's."""
    done = ~np.isnan(trace.ended_s)
    ttft = (trace.first_s - trace.sent_s)[done]
    decoded = (trace.outputs[done] - 1).astype(float)
    tpot = np.full(len(decoded), np.nan)
    np.divide((trace.ended_s - trace.first_s)[done], decoded, out=tpot, where=decoded > 0)
    output, requests, total = _rates(load, trace, done, engines=engines)
    duration = float(np.nanmax(trace.ended_s)) if done.any() else 0.0
    return LevelForecast(
        load=load,
        ttft_s=_quantiles(ttft),
        tpot_s=_quantiles(tpot[~np.isnan(tpot)]),
        itl_s=_weighted(trace.gaps_s, trace.gap_counts),
        e2e_s=_quantiles((trace.ended_s - trace.sent_s)[done]),
        output_throughput=output * engines,
        total_throughput=total * engines,
        request_throughput=requests * engines,
        preemptions=trace.preemptions * engines,
        kv_share=trace.peak_blocks / blocks if blocks else 0.0,
        most_running=trace.most_running,
        refused=trace.refused * engines,
        binding=_binding(trace, steps, duration),
        ttft_each_s=ttft,
        tpot_each_s=tpot,
    )


def _rates(
    load: Load, trace: Trace, done: npt.NDArray[np.bool_], *, engines: int
) -> tuple[float, float, float]:
    """Output tokens, requests and all tokens per second of one engine.

    A burst is counted from its start to its end, and so is a closed loop of a few rounds, whose requests end in
    waves; anything else between its first and last tenth, without the filling and the draining of the engine.
    """
    ends = trace.ended_s[done]
    order = np.argsort(ends, kind="stable")
    ends, outputs = ends[order], trace.outputs[done][order]
    prompts = trace.prompts[done][order]
    waves = load.arrivals is Arrivals.CLOSED and len(ends) < FEW_ROUNDS * load.slots(engines)
    whole = load.arrivals is Arrivals.BURST or waves or len(ends) < 20
    skip = 0 if whole else len(ends) // 10
    start = float(ends[skip - 1]) if skip else 0.0
    last = len(ends) - skip
    seconds = float(ends[last - 1]) - start if last > 0 else 0.0
    if seconds <= 0:
        return 0.0, 0.0, 0.0
    tokens = float(outputs[skip:last].sum())
    return tokens / seconds, (last - skip) / seconds, (tokens + float(prompts[skip:last].sum())) / seconds


def _binding(trace: Trace, steps: StepModel, duration: float) -> Binding:
    """A queue names its cause; without one the largest term of the mean iteration is it."""
    work = trace.work
    waits = {
        Binding.KV_CACHE: work.starved_s,
        Binding.MAX_NUM_SEQS: work.full_s,
        Binding.COMPUTE: work.crowded_s,
    }
    longest = max(waits, key=lambda kind: waits[kind])
    if waits[longest] > _QUEUE_SHARE * duration:
        return longest
    if trace.preemptions:
        return Binding.KV_CACHE
    terms = steps.terms(trace.work.mean_batch())
    shares = {
        Binding.COMPUTE: terms.attention + (terms.linear if terms.linear_is_compute else 0.0),
        Binding.BANDWIDTH: terms.cache
        + terms.elementwise
        + terms.head
        + (0.0 if terms.linear_is_compute else terms.linear),
        Binding.LINK: terms.link,
        Binding.HOST: terms.launch + (max(0.0, terms.host - terms.gpu) if steps.hides_host else terms.host),
    }
    return max(shares, key=lambda kind: shares[kind])


def _quantiles(values: npt.NDArray[np.float64]) -> Quantiles:
    if not len(values):
        return Quantiles(None, None, None, None, None)
    p50, p90, p95, p99 = (float(value) for value in np.percentile(values, [50, 90, 95, 99]))
    return Quantiles(float(values.mean()), p50, p90, p95, p99)


def _weighted(values: Sequence[float], counts: Sequence[int]) -> Quantiles:
    """Quantiles of values that each stand for many; the smallest value that enough of them do not exceed."""
    if not values:
        return Quantiles(None, None, None, None, None)
    gaps, weights = np.asarray(values), np.asarray(counts, dtype=float)
    order = np.argsort(gaps, kind="stable")
    gaps, cumulated = gaps[order], np.cumsum(weights[order])
    at = [float(gaps[np.searchsorted(cumulated, share * cumulated[-1])]) for share in (0.5, 0.9, 0.95, 0.99)]
    return Quantiles(float(np.average(values, weights=weights)), *at)
