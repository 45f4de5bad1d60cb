"""May a measured point be believed? ``valid``, ``suspect`` or ``void``, with every reason. Pure.

``suspect``: read it with the reason in mind. ``void``: the figures are the client's or nobody's; never rank it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.load.records import ClientStats
from harness.load.summary import LatencySummary

VALID, SUSPECT, VOID = "valid", "suspect", "void"

LATE_S, LATE_SHARE, VERY_LATE_SHARE = 0.001, 0.01, 0.5
BUSY_CPU, SATURATED_CPU = 0.85, 0.97
COALESCED_SHARE = 0.05
SMALL_GAP_SHARE = 0.1
OFF_LENGTH_SHARE = 0.01
INPUT_LENGTH_ERROR = 0.02
ERROR_SHARE, VOID_ERROR_SHARE = 0.01, 0.1
CACHED_SHARE = 0.01
FEWEST_REQUESTS = 20
BACKLOG_SHARE = 0.05
# Poisson arrivals and departures differ by some standard deviations in a server that keeps up.
CHANCE = 3.0
LAGGING_LOOP_S = 0.01
CLOCK_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Verdict:
    """``state`` is ``valid``, ``suspect`` or ``void``; ``reasons`` are one line each, the void ones first."""

    state: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The figures of a stage that a verdict rests on; None where a figure does not apply.

    ``arrivals`` is the number of requests an open loop scheduled in a window that ends by time, None otherwise;
    ``backlog`` how many more were in flight at its end than at its start. ``unexpected_cached_share`` leaves out what
    the workload shares on purpose.
    """

    client: ClientStats
    succeeded: int
    failed: int
    ttft: LatencySummary
    lateness_p99_s: float | None
    arrivals: int | None
    backlog: int
    small_gap_share: float | None
    output_length_off_share: float | None
    input_length_error: float | None
    unexpected_cached_share: float | None
    drift: tuple[str, ...]
    output_tok_s: float | None
    ceiling_tok_s: float | None = None
    window_s: float | None = None
    modes: tuple[str, ...] = ()
    ended_early: str | None = None
    server_restarted: bool = False


def judge(evidence: Evidence) -> Verdict:
    """Every reason not to believe a point, and what they amount to."""
    void = [text for text in (*_void_client(evidence), *_void_server(evidence)) if text]
    suspect = [text for text in (*_suspect_client(evidence), *_suspect_server(evidence)) if text]
    state = VOID if void else SUSPECT if suspect else VALID
    return Verdict(state, (*void, *suspect))


def _late(evidence: Evidence) -> float | None:
    """Lateness as a share of the median TTFT when it is above both bars of the facts; else None."""
    late_s, ttft_s = evidence.lateness_p99_s, evidence.ttft.p50
    if late_s is None or ttft_s is None or late_s <= LATE_S or late_s <= LATE_SHARE * ttft_s:
        return None
    return late_s / ttft_s if ttft_s > 0 else float("inf")


def _late_text(evidence: Evidence) -> str:
    late_ms = (evidence.lateness_p99_s or 0.0) * 1000
    return (
        f"client late: p99 of sent after scheduled is {late_ms:.1f} ms ({_late(evidence) or 0:.0%} of TTFT)"
    )


def _void_client(evidence: Evidence) -> list[str | None]:
    client, late = evidence.client, _late(evidence)
    return [
        _late_text(evidence) if late is not None and late > VERY_LATE_SHARE else None,
        f"client CPU-bound: {client.cpu_share:.0%} of a core" if client.cpu_share > SATURATED_CPU else None,
        f"user-space clock on a loop that lags by {client.loop_lag_p99_s * 1000:.0f} ms (p99)"
        if client.clock == "user" and client.loop_lag_p99_s > LAGGING_LOOP_S
        else None,
    ]


def _void_server(evidence: Evidence) -> list[str | None]:
    ended = evidence.succeeded + evidence.failed
    errors = evidence.failed / ended if ended else 0.0
    ceiling, reached = evidence.ceiling_tok_s, evidence.output_tok_s
    return [
        "no request succeeded" if not evidence.succeeded else None,
        f"{errors:.1%} of the requests failed" if errors > VOID_ERROR_SHARE else None,
        "the engine restarted: its counters went back, and requests failed"
        if evidence.server_restarted and evidence.failed
        else None,
        f"faster than the hardware allows: {reached:.0f} tok/s, at most {ceiling:.0f}"
        if ceiling is not None and reached is not None and reached > ceiling
        else None,
    ]


def _suspect_client(evidence: Evidence) -> list[str | None]:
    client, late = evidence.client, _late(evidence)
    lagging = client.loop_lag_p99_s > LAGGING_LOOP_S
    return [
        _late_text(evidence) if late is not None and late <= VERY_LATE_SHARE else None,
        f"client busy: {client.cpu_share:.0%} of a core"
        if BUSY_CPU < client.cpu_share <= SATURATED_CPU
        else None,
        f"client slowed: its loop lags by {client.loop_lag_p99_s * 1000:.0f} ms (p99)" if lagging else None,
        "user-space clock: the client's own delays are in the figures" if client.clock == "user" else None,
        f"{client.coalesced_read_share:.0%} of the reads carried several events: the gaps between them are not known"
        if client.coalesced_read_share > COALESCED_SHARE
        else None,
        f"{client.queued} requests waited for the limit on requests in flight" if client.queued else None,
        _clocks_text(evidence),
    ]


def _clocks_text(evidence: Evidence) -> str | None:
    """Hosts whose clocks are not known well enough: each shard's times are its own host's, start and window are not."""
    unknown_s = max((host.uncertainty_s for host in evidence.client.hosts), default=0.0)
    if evidence.window_s is None or unknown_s <= CLOCK_SHARE * evidence.window_s:
        return None
    return (
        f"the clocks of the cluster's hosts are known to ±{unknown_s * 1000:.0f} ms only, "
        f"{unknown_s / evidence.window_s:.0%} of the window: the shards began that far apart"
    )


def _suspect_server(evidence: Evidence) -> list[str | None]:
    ended = evidence.succeeded + evidence.failed
    errors = evidence.failed / ended if ended else 0.0
    gaps, off = evidence.small_gap_share, evidence.output_length_off_share
    wrong_input, cached = evidence.input_length_error, evidence.unexpected_cached_share
    return [
        f"{errors:.1%} of the requests failed" if ERROR_SHARE < errors <= VOID_ERROR_SHARE else None,
        f"{gaps:.0%} of the gaps are under 1 ms: chunks come in batches"
        if gaps and gaps > SMALL_GAP_SHARE
        else None,
        f"output length not honoured by {off:.0%} of the requests"
        if off and off > OFF_LENGTH_SHARE
        else None,
        f"input length is off by {wrong_input:.1%} on average"
        if wrong_input and abs(wrong_input) > INPUT_LENGTH_ERROR
        else None,
        f"{cached:.1%} of the prompt tokens came from the prefix cache"
        if cached and cached > CACHED_SHARE
        else None,
        # With nothing lost it may as well be another replica that answered the second time.
        "the engine's counters went back: it restarted, or several answer behind this address"
        if evidence.server_restarted and not evidence.failed
        else None,
        f"ended early: {evidence.ended_early}" if evidence.ended_early else None,
        *evidence.modes,
        *(f"drifting: {what}" for what in evidence.drift),
        f"too few samples: {evidence.succeeded} requests"
        if 0 < evidence.succeeded < FEWEST_REQUESTS
        else None,
        _rate_text(evidence),
    ]


def backlog_limit(arrivals: int) -> float:
    """How many requests more may be in flight after so many arrivals than before, in a server that keeps up."""
    return max(BACKLOG_SHARE * arrivals, CHANCE * math.sqrt(arrivals))


def _rate_text(evidence: Evidence) -> str | None:
    """An open loop the server does not keep up with: requests pile up by more than chance explains."""
    arrivals = evidence.arrivals
    if not arrivals or evidence.backlog <= backlog_limit(arrivals):
        return None
    return f"rate not reached: {evidence.backlog} of {arrivals} requests piled up over the window"
