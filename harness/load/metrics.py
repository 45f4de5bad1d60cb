"""All figures of one stage, from its records. Pure; the definitions are in results/README.md.

Latencies are over requests that succeeded within the window. Throughput counts what arrived in the window, requests of
the warm-up included: they are part of the load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from harness.load.columns import ABSENT, Columns, Floats, columns_of
from harness.load.drift import drifts
from harness.load.figures import Mask, RequestFigures, tokens_of_requests, ttft_by_turn
from harness.load.goodput import goodput
from harness.load.modes import modes
from harness.load.outlook import OVER_SATURATED
from harness.load.records import ClientStats, Outcome, StageResult
from harness.load.reuse import cached_share, template_tokens, unexpected_share
from harness.load.slo import Slo
from harness.load.summary import LatencySummary, adjusted_percentiles, summary
from harness.load.throughput import arrived_tokens, concurrency, finished, served_shares, whole_span
from harness.load.verdict import Evidence, Verdict, judge

SMALL_GAP_S = 0.001
LENGTH_LOW, LENGTH_HIGH = 0.9, 1.1
# Their load changes on purpose, and so do latencies and throughput.
CHANGING_LOADS = ("ramp", "step-series", "trace-replay")
OPEN_LOOP_RATES = ("constant-rate", "poisson-rate", "gamma-rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadMetrics:
    """A load level in figures. Times in seconds, shares from 0 to 1, None where a figure does not apply.

    ``sent`` counts measured requests and is the sum of ``succeeded``, ``failed`` and ``unfinished``.
    ``client_lateness`` is ``lateness`` less the time spent opening connections. ``adjusted`` maps ``ttft``,
    ``tpot`` and ``e2e`` to percentiles in which a failure is infinitely late. ``input_length_error`` is the mean of
    (counted - asked) / asked. ``output_tokens`` and ``input_tokens`` are the server's counts over all requests, warm-up
    included; of a request cut off before its usage the output tokens that had arrived.
    ``steady_request_throughput_req_s`` counts the shares of requests served within the window, and
    ``request_throughput_req_s`` whole requests where they end (``harness.load.throughput``).
    ``offered_rate_req_s`` is the nominal rate of an open loop. ``ended_early`` says why the window was cut short.
    ``ttft_by_turn`` is empty without conversations.
    """

    label: str
    window_s: float
    sent: int
    succeeded: int
    failed: int
    unfinished: int
    failures: Mapping[str, int]
    ttft: LatencySummary
    ttft_from_schedule: LatencySummary
    e2e: LatencySummary
    e2e_from_schedule: LatencySummary
    tpot: LatencySummary
    itl: LatencySummary
    stall: LatencySummary
    lateness: LatencySummary
    client_lateness: LatencySummary
    connect: LatencySummary
    tls: LatencySummary
    adjusted: Mapping[str, Mapping[float, float]]
    output_throughput_tok_s: float
    input_throughput_tok_s: float
    request_throughput_req_s: float
    steady_request_throughput_req_s: float
    whole_run_output_throughput_tok_s: float | None
    whole_run_request_throughput_req_s: float | None
    achieved_concurrency: float
    offered_rate_req_s: float | None
    per_user_throughput_tok_s: float | None
    tokens_per_chunk: float | None
    small_gap_share: float | None
    tokens_assumed_share: float | None
    output_length_off_share: float | None
    input_length_error: float | None
    cached_share: float | None
    output_tokens: int
    input_tokens: int
    drift: tuple[str, ...]
    verdict: Verdict
    goodput_req_s: float | None = None
    steady_goodput_req_s: float | None = None
    attainment: float | None = None
    attainment_low: float | None = None
    attainment_high: float | None = None
    slo_met: bool | None = None
    ttft_by_turn: Mapping[int, LatencySummary] = field(default_factory=dict)
    ended_early: str | None = None


def summarise(
    result: StageResult, *, slo: Slo | None = None, ceiling_tok_s: float | None = None
) -> LoadMetrics:
    """All figures of a stage. ``ceiling_tok_s`` is what the hardware can give at most, if that is known."""
    return summarise_columns(
        columns_of(result.records),
        label=result.label,
        window=(result.window_start_s, result.window_end_s),
        stage=result.stage,
        client=result.client,
        probe=result.probe,
        ended_early=result.ended_early,
        server_restarted=result.server_restarted,
        slo=slo,
        ceiling_tok_s=ceiling_tok_s,
    )


def summarise_columns(
    columns: Columns,
    *,
    label: str,
    window: tuple[float, float],
    stage: Mapping[str, object],
    client: ClientStats,
    probe: Mapping[str, object] | None = None,
    ended_early: str | None = None,
    server_restarted: bool = False,
    slo: Slo | None = None,
    ceiling_tok_s: float | None = None,
) -> LoadMetrics:
    """``summarise`` without a Python object per request; ``stage`` and ``probe`` are JSON forms."""
    figures = RequestFigures.of(columns)
    kind = stage.get("kind")
    rate = stage.get("rate_req_s")
    offered = float(rate) if kind in OPEN_LOOP_RATES and isinstance(rate, int | float) else None
    metrics = _metrics(columns, figures, label=label, window=window, client=client, offered=offered)
    workload = stage.get("workload")
    reused = unexpected_share(
        columns,
        figures.good,
        workload=workload if isinstance(workload, Mapping) else {},
        overhead_tokens=template_tokens(probe or {}),
    )
    evidence = _evidence(
        metrics,
        columns,
        client,
        window=window,
        by_time=stage.get("requests") is None,
        steady=kind not in CHANGING_LOADS,
        reused=reused,
        ceiling_tok_s=ceiling_tok_s,
    )
    evidence = replace(
        evidence,
        modes=modes(columns, figures),
        ended_early=ended_early,
        server_restarted=server_restarted,
    )
    metrics = replace(metrics, verdict=judge(evidence), ended_early=ended_early)
    if slo is None:
        return metrics
    found = goodput(columns, figures, window=window, slo=slo)
    return replace(
        metrics,
        goodput_req_s=found.goodput_req_s,
        # Of the requests served, as the steady rate counts them; failures are not in it.
        steady_goodput_req_s=metrics.steady_request_throughput_req_s * found.of_succeeded,
        attainment=found.attainment,
        attainment_low=found.low,
        attainment_high=found.high,
        # Its latencies were still within the SLO: they would not have stayed there.
        slo_met=found.met and not (ended_early or "").startswith(OVER_SATURATED),
    )


def _metrics(
    columns: Columns,
    figures: RequestFigures,
    *,
    label: str,
    window: tuple[float, float],
    client: ClientStats,
    offered: float | None,
) -> LoadMetrics:
    good, measured = figures.good, figures.measured
    window_s = max(window[1] - window[0], 1e-9)
    floats, outcomes = columns.floats, columns.outcomes[measured]
    names, counts = np.unique(outcomes, return_counts=True)
    failures = {str(n): int(c) for n, c in zip(names, counts, strict=True) if Outcome(str(n)).is_failure}
    failed = sum(failures.values())
    opening = np.nan_to_num(floats["connect_time_s"]) + np.nan_to_num(floats["tls_time_s"])
    token_times, weights = arrived_tokens(columns)
    inside = (token_times >= window[0]) & (token_times <= window[1])
    ended = finished(columns, window)
    tpot = summary(figures.tpot[good])
    gaps = figures.good_gaps()
    arrived = tokens_of_requests(columns)
    chunks = int(np.diff(columns.offsets)[good].sum())
    prompt = columns.integers["prompt_tokens"]
    completion = columns.integers["completion_tokens"]
    span_s = whole_span(floats, good)
    return LoadMetrics(
        label=label,
        window_s=window_s,
        sent=int(measured.sum()),
        succeeded=int(good.sum()),
        failed=failed,
        unfinished=int((outcomes == str(Outcome.UNFINISHED)).sum()),
        failures=failures,
        ttft=summary(figures.ttft[good]),
        ttft_from_schedule=summary((figures.ttft + figures.lateness)[good]),
        e2e=summary(figures.e2e[good]),
        e2e_from_schedule=summary((figures.e2e + figures.lateness)[good]),
        tpot=tpot,
        itl=summary(gaps),
        stall=summary(figures.stall[good]),
        lateness=summary(figures.lateness[measured]),
        client_lateness=summary((figures.lateness - opening)[measured]),
        connect=summary(floats["connect_time_s"]),
        tls=summary(floats["tls_time_s"]),
        adjusted={
            name: adjusted_percentiles(values[good], failed=failed)
            for name, values in (("ttft", figures.ttft), ("tpot", figures.tpot), ("e2e", figures.e2e))
        },
        output_throughput_tok_s=float(weights.sum(where=inside)) / window_s,
        input_throughput_tok_s=float(np.maximum(prompt, 0)[ended].sum()) / window_s,
        request_throughput_req_s=int(ended.sum()) / window_s,
        steady_request_throughput_req_s=float(served_shares(columns, window).sum()) / window_s,
        whole_run_output_throughput_tok_s=float(completion[good].sum()) / span_s if span_s else None,
        whole_run_request_throughput_req_s=int(good.sum()) / span_s if span_s else None,
        achieved_concurrency=concurrency(floats, window),
        offered_rate_req_s=offered,
        per_user_throughput_tok_s=1 / tpot.p50 if tpot.p50 else None,
        tokens_per_chunk=int(arrived[good].sum()) / chunks if chunks else None,
        small_gap_share=_mean(gaps < SMALL_GAP_S),
        tokens_assumed_share=_mean(columns.flags["tokens_assumed"][good]),
        output_length_off_share=_off_length(columns, good),
        input_length_error=_input_error(columns, good),
        cached_share=cached_share(columns, good),
        # The server's counts; for a request cut off before its usage, the tokens that had arrived.
        output_tokens=int(np.where(completion == ABSENT, arrived, completion).sum()),
        input_tokens=int(np.maximum(prompt, 0).sum()),
        drift=drifts(
            floats["sent_s"][good],
            figures.ttft[good],
            token_times_s=token_times,
            tokens=weights,
            window=window,
        ),
        verdict=Verdict("valid"),
        ttft_by_turn=ttft_by_turn(columns, figures),
    )


def _mean(values: npt.NDArray[np.generic]) -> float | None:
    return float(values.mean()) if len(values) else None


def _off_length(columns: Columns, good: Mask) -> float | None:
    """Share of requests whose answer is outside 90 to 110 % of the length asked for."""
    asked, given = columns.integers["output_tokens_asked"], columns.integers["completion_tokens"]
    known = good & (asked > 0) & (given != ABSENT)
    return _mean((given[known] < LENGTH_LOW * asked[known]) | (given[known] > LENGTH_HIGH * asked[known]))


def _input_error(columns: Columns, good: Mask) -> float | None:
    asked, given = columns.integers["input_tokens_asked"], columns.integers["prompt_tokens"]
    known = good & (asked > 0) & (given != ABSENT)
    return _mean((given[known] - asked[known]) / asked[known])


def _backlog(floats: Mapping[str, Floats], window: tuple[float, float]) -> int:
    """Requests in flight at the window's end less those at its start."""
    begun, ended = floats["scheduled_s"], np.nan_to_num(floats["ended_s"], nan=np.inf)
    at_start, at_end = ((begun < instant) & (ended > instant) for instant in window)
    return int(at_end.sum()) - int(at_start.sum())


def _evidence(
    metrics: LoadMetrics,
    columns: Columns,
    client: ClientStats,
    *,
    window: tuple[float, float],
    by_time: bool,
    steady: bool,
    reused: float | None,
    ceiling_tok_s: float | None,
) -> Evidence:
    return Evidence(
        client=client,
        succeeded=metrics.succeeded,
        failed=metrics.failed,
        ttft=metrics.ttft,
        lateness_p99_s=metrics.client_lateness.p99,
        arrivals=metrics.sent if by_time and metrics.offered_rate_req_s else None,
        backlog=_backlog(columns.floats, window),
        small_gap_share=metrics.small_gap_share,
        output_length_off_share=metrics.output_length_off_share,
        input_length_error=metrics.input_length_error,
        unexpected_cached_share=reused,
        drift=metrics.drift if steady else (),
        output_tok_s=metrics.output_throughput_tok_s,
        window_s=metrics.window_s,
        ceiling_tok_s=ceiling_tok_s,
        tpot_s=metrics.tpot.p50,
        request_s=_whole_request_s(columns),
        unfinished=metrics.unfinished,
    )


def _whole_request_s(columns: Columns) -> float | None:
    """Median time of all requests whose answer came whole, in the warm-up and in the drain too."""
    kinds = (str(Outcome.SUCCEEDED), str(Outcome.UNFINISHED))
    whole = np.isin(columns.outcomes, kinds) & ~np.isnan(columns.floats["done_s"])
    took = (columns.floats["last_token_s"] - columns.floats["sent_s"])[whole]
    took = took[~np.isnan(took)]
    return float(np.median(took)) if len(took) else None
