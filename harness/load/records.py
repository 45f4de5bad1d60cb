"""What is known of one request, one stage and one endpoint: the types every other room reads. Pure.

All instants are seconds on one monotonic clock, counted from the stage's origin; None means it never happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.secret import Secret


class Outcome(StrEnum):
    """How a request ended. Exactly one; everything but the first and last is a failure."""

    SUCCEEDED = "succeeded"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    HTTP_4XX = "http_4xx"
    HTTP_429 = "http_429"
    HTTP_5XX = "http_5xx"
    ERROR_EVENT = "error_event"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    EMPTY = "empty"
    CANCELLED = "cancelled"
    UNFINISHED = "unfinished"

    @property
    def is_failure(self) -> bool:
        """True for the failure classes; unfinished is neither success nor failure."""
        return self not in (Outcome.SUCCEEDED, Outcome.UNFINISHED)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go. ``url`` ends in ``/v1``; ``key`` is None for a server without authentication.

    ``ca_file`` is a PEM file of private authorities to trust besides the system's; None for the system's alone.
    """

    url: str
    model: str
    key: Secret | None = None
    ca_file: str | None = None


@dataclass(slots=True)
class RequestRecord:
    """One request from its schedule to its end. The meaning of each instant: ``results/README.md``.

    ``chunk_times_s`` (float64) and ``chunk_tokens`` (int32) have one entry per token-bearing chunk;
    ``tokens_assumed`` is True when the server gave no count per chunk and 1 was taken for each. A ``warmup``
    request keeps the server busy and its tokens count where they arrive; it is in no latency and no count of
    requests. ``outcome`` is as of the window's end: a request that ended in the drain is unfinished, its token
    counts stay. ``retries`` counts reused connections the server had closed; the clock starts with the last send.
    ``conversation`` and ``turn`` (from 1) are None where requests do not belong to conversations.
    """

    index: int
    scheduled_s: float
    warmup: bool = False
    sent_s: float | None = None
    connected_s: float | None = None
    headers_s: float | None = None
    role_s: float | None = None
    first_token_s: float | None = None
    last_token_s: float | None = None
    done_s: float | None = None
    ended_s: float | None = None
    chunk_times_s: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    chunk_tokens: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    tokens_assumed: bool = True
    connect_time_s: float | None = None
    tls_time_s: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    input_tokens_asked: int | None = None
    output_tokens_asked: int | None = None
    outcome: Outcome = Outcome.UNFINISHED
    detail: str = ""
    status: int | None = None
    finish_reason: str | None = None
    kernel_reads: int = 0
    user_reads: int = 0
    coalesced_reads: int = 0
    token_reads: int = 0
    retries: int = 0
    conversation: int | None = None
    turn: int | None = None

    @property
    def ttft_s(self) -> float | None:
        """First token after the request was sent (facts: what the server did)."""
        if self.first_token_s is None or self.sent_s is None:
            return None
        return self.first_token_s - self.sent_s

    @property
    def e2e_s(self) -> float | None:
        """Last token after the request was sent."""
        if self.last_token_s is None or self.sent_s is None:
            return None
        return self.last_token_s - self.sent_s

    @property
    def tpot_s(self) -> float | None:
        """Time per output token after the first chunk; None where that is less than one token."""
        if self.completion_tokens is None or self.first_token_s is None or self.last_token_s is None:
            return None
        first = max(int(self.chunk_tokens[0]), 1) if len(self.chunk_tokens) else 1
        divisor = self.completion_tokens - first
        return (self.last_token_s - self.first_token_s) / divisor if divisor >= 1 else None

    @property
    def stall_s(self) -> float | None:
        """The longest gap between chunks; None without any."""
        return float(np.diff(self.chunk_times_s).max()) if len(self.chunk_times_s) > 1 else None

    @property
    def lateness_s(self) -> float | None:
        """The client's own delay: sent after scheduled."""
        return None if self.sent_s is None else self.sent_s - self.scheduled_s


@dataclass(frozen=True, slots=True)
class HostClock:
    """A host that ran ``shards`` of a stage: its wall clock less ours, and how far off that may be (seconds).

    Within ``uncertainty_s`` its shards began when the others did; each shard's times are on its host's own clock.
    """

    host: str
    shards: int
    offset_s: float
    uncertainty_s: float


@dataclass(frozen=True, slots=True)
class ClientStats:
    """How the client itself did during a stage: what the verdict rests on.

    ``clock`` is ``kernel``, ``user`` or ``virtual``. ``coalesced_read_share`` is the share of token-bearing reads that
    carried more than one token-bearing event; ``loop_lag_p99_s`` how late the event loop served its timers;
    ``cpu_share`` CPU seconds per wall second of the busiest client process. ``queued`` counts requests held back by the
    limit on requests in flight, ``retries`` reused connections that the server had closed. ``hosts`` are those of a
    cluster; empty when all ran on this machine.
    """

    clock: str
    cpu_s: float
    cpu_share: float
    loop_lag_p99_s: float
    reads: int
    kernel_reads: int
    coalesced_read_share: float
    connections_opened: int
    processes: int = 1
    queued: int = 0
    retries: int = 0
    hosts: tuple[HostClock, ...] = ()


def client_from_json(data: Mapping[str, Any]) -> ClientStats:
    """The client's account from its JSON form; keys of a newer version are passed over, TypeError when some lack."""
    known = {each.name for each in fields(ClientStats)}
    hosts = tuple(HostClock(**host) for host in data.get("hosts", ()))
    return ClientStats(**{**{key: data[key] for key in data if key in known}, "hosts": hosts})


@dataclass(slots=True)
class StageResult:
    """One load level, measured: its records and what is needed to judge them without the client at hand.

    ``window_start_s`` and ``window_end_s`` bound the measurement on the records' clock. ``started_at_unix`` is
    the wall-clock time of the origin. ``stage`` is the stage's own description as plain JSON values, ``probe``
    what the endpoint was found to support, ``server_metrics`` the endpoint's ``/metrics`` deltas where it has them;
    ``server_restarted`` is True when those counters went back. ``ended_early`` says why the window was cut short.
    """

    label: str
    stage: Mapping[str, Any]
    records: Sequence[RequestRecord]
    window_start_s: float
    window_end_s: float
    started_at_unix: float
    client: ClientStats
    probe: Mapping[str, Any] = field(default_factory=dict)
    server_metrics: Mapping[str, float] | None = None
    server_restarted: bool = False
    ended_early: str | None = None
    interrupted: bool = False
