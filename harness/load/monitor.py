"""How the client itself is doing while it measures: CPU time, lag of its event loop, figures for a live view."""

from __future__ import annotations

import asyncio
import itertools
import time
from array import array
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from harness.load.columns import Columns
from harness.load.records import ClientStats, Outcome, RequestRecord
from harness.load.response import NS_PER_S

# Of several lengths: with one, a load of the same period would always or never be seen.
TICKS_S = (0.005, 0.007, 0.011, 0.013, 0.017)
RECENT, RECENT_S = 500, 5.0
# Below this share of kernel-stamped reads the stage counts as measured by the user-space clock.
KERNEL_SHARE = 0.9
COUNTED = ("kernel_reads", "user_reads", "token_reads", "coalesced_reads", "retries")


@dataclass(frozen=True, slots=True)
class Progress:
    """A stage as it stands: for a live view, not for results.

    ``phase`` is ``start`` (``waiting_for`` so many shards), ``warm-up``, ``measure`` or ``drain``; ``total_s`` None
    when the stage ends by a number of requests.
    Rates are of the requests that ended in the last five seconds, ``ttft_s`` and ``tpot_s`` their medians.
    """

    phase: str
    elapsed_s: float
    total_s: float | None
    in_flight: int
    succeeded: int
    failed: int
    requests_req_s: float
    output_tok_s: float
    ttft_s: float | None
    tpot_s: float | None
    failures: dict[str, int] = field(default_factory=dict)
    waiting_for: int = 0


def waiting_for(shards: int) -> Progress:
    """A stage that has not begun: so many shards are not ready yet."""
    return Progress("start", 0.0, None, 0, 0, 0, 0.0, 0.0, None, None, waiting_for=shards)


class LoopLag:
    """Measures how late the running loop serves its timers, from ``start`` to ``stop``."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ticks = itertools.cycle(TICKS_S)
        self._lags = array("d")  # a hundred a second, for hours
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """Begin; a timer every 10 ms or so."""
        tick_s = next(self._ticks)
        self._due = time.monotonic() + tick_s
        self._handle = self._loop.call_later(tick_s, self._tick)

    def _tick(self) -> None:
        self._lags.append(max(time.monotonic() - self._due, 0.0))
        self.start()

    def stop(self) -> float:
        """The 99th percentile of the lags, in seconds; 0 when no timer ran."""
        if self._handle is not None:
            self._handle.cancel()
        return float(np.percentile(self._lags, 99)) if self._lags else 0.0


class Tally:
    """Running counts of a stage, cheap enough to be kept on the hot path."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.succeeded = 0
        self.failures: dict[str, int] = {}
        self._recent: deque[tuple[float, int, float | None, float | None]] = deque(maxlen=RECENT)

    def ended(self, record: RequestRecord) -> None:
        """Count a request that ended."""
        if record.outcome is Outcome.SUCCEEDED:
            self.succeeded += 1
        elif record.outcome.is_failure:
            self.failures[record.outcome] = self.failures.get(record.outcome, 0) + 1
        tpot_s = None
        tokens = record.completion_tokens or 0
        if record.first_token_s is not None and record.last_token_s is not None and tokens > 1:
            tpot_s = (record.last_token_s - record.first_token_s) / (tokens - 1)
        self._recent.append((time.monotonic(), tokens, record.ttft_s, tpot_s))

    def progress(self, *, phase: str, elapsed_s: float, total_s: float | None) -> Progress:
        """The present state."""
        now = time.monotonic()
        recent = [entry for entry in self._recent if now - entry[0] < RECENT_S]
        # The oldest kept request begins the span only when older ones had to make room for it.
        full = len(recent) == RECENT
        span_s = max(now - recent[0][0] if full else min(RECENT_S, elapsed_s), 0.25)
        ttfts = [entry[2] for entry in recent if entry[2] is not None]
        tpots = [entry[3] for entry in recent if entry[3] is not None]
        return Progress(
            phase=phase,
            elapsed_s=elapsed_s,
            total_s=total_s,
            in_flight=self.in_flight,
            succeeded=self.succeeded,
            failed=sum(self.failures.values()),
            requests_req_s=len(recent) / span_s,
            output_tok_s=sum(entry[1] for entry in recent) / span_s,
            ttft_s=float(np.median(ttfts)) if ttfts else None,
            tpot_s=float(np.median(tpots)) if tpots else None,
            failures=dict(self.failures),
        )


@dataclass(slots=True)
class CpuMeter:
    """CPU time of this process between ``start`` and ``stats``."""

    cpu_ns: int = field(default_factory=time.process_time_ns)
    wall_ns: int = field(default_factory=time.monotonic_ns)

    def used(self) -> tuple[float, float]:
        """CPU seconds, and CPU seconds per wall second, since it was made."""
        cpu_s = (time.process_time_ns() - self.cpu_ns) / NS_PER_S
        wall_s = max((time.monotonic_ns() - self.wall_ns) / NS_PER_S, 1e-9)
        return cpu_s, cpu_s / wall_s


class ClientWatch:
    """Looks at the client while a stage runs, from its making to ``stop``. In virtual time
    there is nothing to see."""

    def __init__(self, *, virtual: bool) -> None:
        self.virtual = virtual
        self._meter, self._lag = CpuMeter(), LoopLag()
        self._lag_p99_s = 0.0
        if not virtual:
            self._lag.start()

    def stop(self) -> None:
        """The stage is over."""
        self._lag_p99_s = self._lag.stop()

    def seen(self) -> tuple[float, float, float]:
        """CPU seconds, their share of the wall's, and the loop's lag (p99) in seconds."""
        return (0.0, 0.0, 0.0) if self.virtual else (*self._meter.used(), self._lag_p99_s)


def client_stats(
    columns: Columns, watch: ClientWatch, *, connections_opened: int, queued: int
) -> ClientStats:
    """The client's own account of a stage that is over."""
    cpu_s, cpu_share, loop_lag_p99_s = watch.seen()
    counts = {name: int(columns.integers[name].sum()) for name in COUNTED}
    kernel, token_reads = counts["kernel_reads"], counts["token_reads"]
    reads = kernel + counts["user_reads"]
    return ClientStats(
        clock="virtual"
        if watch.virtual
        else "kernel"
        if reads and kernel >= KERNEL_SHARE * reads
        else "user",
        cpu_s=cpu_s,
        cpu_share=cpu_share,
        loop_lag_p99_s=loop_lag_p99_s,
        reads=reads,
        kernel_reads=kernel,
        coalesced_read_share=counts["coalesced_reads"] / token_reads if token_reads else 0.0,
        connections_opened=connections_opened,
        queued=queued,
        retries=counts["retries"],
    )
