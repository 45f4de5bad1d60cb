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
# Of reads with several events, two or more each: a third of all events then have no time of their own; most have none.
STARVED_SHARE, MOSTLY_STARVED_SHARE = 0.2, 0.5
WINDOW_REQUESTS = 3
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
    the workload shares on purpose. ``tpot_s`` is the median; ``request_s`` that of the time whole requests took, of the
    warm-up and of the drain too; ``unfinished`` were under way when the window ended.
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
    tpot_s: float | None = None
    request_s: float | None = None
    unfinished: int = 0


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
        _starved_text(evidence),
    ]


def _starved_text(evidence: Evidence) -> str | None:
    """A client that came to its sockets too seldom to see what it measures.

    The kernel stamps a read, not each event in it: of events that waited together only the last one's time is known.
    That alone may be a proxy that sends in batches, and a lag alone is mended by the stamps. Together, with a lag
    (p99) above the median TTFT, first tokens have the time of what came after them; where most reads are such and the
    lag is above the time per token, so have all others. In a closed loop the lag also delays what is sent next.
    """
    client, ttft_s, tpot_s = evidence.client, evidence.ttft.p50, evidence.tpot_s
    lag_s, share = client.loop_lag_p99_s, client.coalesced_read_share
    if lag_s <= LAGGING_LOOP_S:
        return None
    if share > STARVED_SHARE and ttft_s is not None and lag_s > ttft_s:
        measure = f"TTFT ({ttft_s * 1000:.0f} ms, median)"
    elif share > MOSTLY_STARVED_SHARE and tpot_s is not None and lag_s > tpot_s:
        measure = f"the time per token ({tpot_s * 1000:.1f} ms, median)"
    else:
        return None
    return (
        f"client starved: its loop lags by {lag_s * 1000:.0f} ms (p99), more than {measure}, and {share:.0%} of the "
        "reads carried several events: the times are the client's"
    )


def _void_server(evidence: Evidence) -> list[str | None]:
    ended = evidence.succeeded + evidence.failed
    errors = evidence.failed / ended if ended else 0.0
    ceiling, reached = evidence.ceiling_tok_s, evidence.output_tok_s
    return [
        _none_text(evidence) if not evidence.succeeded else None,
        f"{errors:.1%} of the requests failed" if errors > VOID_ERROR_SHARE else None,
        "the engine restarted: its counters went back, and requests failed"
        if evidence.server_restarted and evidence.failed
        else None,
        f"faster than the hardware allows: {reached:.0f} tok/s, at most {ceiling:.0f}"
        if ceiling is not None and reached is not None and reached > ceiling
        else None,
    ]


def _none_text(evidence: Evidence) -> str:
    """Why no measured request succeeded; in a window that is too short, how long it would have to be."""
    if evidence.failed or not evidence.unfinished or evidence.window_s is None:
        return "no request succeeded"
    window, took_s = f"the window ({evidence.window_s:.3g} s)", evidence.request_s
    if took_s is None:
        return (
            f"no request ended within {window}: {evidence.unfinished} were still under way; measure for longer, or "
            "until a number of requests have ended"
        )
    longer = f"measure for {math.ceil(WINDOW_REQUESTS * took_s)} s or longer, or until a number of requests have ended"
    if took_s > evidence.window_s:
        return f"{window} is shorter than a request ({took_s:.1f} s median): none began and ended in it; {longer}"
    return f"no request began and ended within {window}, and one takes {took_s:.1f} s (median); {longer}"


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
