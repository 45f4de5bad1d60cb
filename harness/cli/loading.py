"""What ``harness load`` shows: the live view on stderr, the table on stdout, the JSON of cli.md."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from harness.load.definitions import Variant
from harness.load.metrics import LoadMetrics
from harness.load.monitor import Progress
from harness.load.records import ClientStats
from harness.load.server_side import ServerSide
from harness.load.slo import Slo
from harness.load.stage import Stage
from harness.load.summary import LatencySummary

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Measured:
    """A stage that is over; ``server`` is None where the endpoint shows no ``/metrics``."""

    stage: Stage
    metrics: LoadMetrics
    client: ClientStats
    server: ServerSide | None
    variants: tuple[Variant, ...]


class LoadView:
    """One line that follows a stage on a terminal; a line per stage elsewhere. A context manager."""

    def __init__(self) -> None:
        self._live: Any = None
        self._text = ""

    def __enter__(self) -> LoadView:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live("", console=Console(stderr=True), refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def begin(self, label: str, *, number: int, of: int | None) -> None:
        """A stage starts; ``of`` is None in a search."""
        self._text = f"[{number}{'' if of is None else f'/{of}'}] {label}"
        if self._live is None:
            click.echo(f"{self._text} …", err=True)

    def progress(self, progress: Progress) -> None:
        """A stage's present state."""
        if self._live is not None:
            self._live.update(f"{self._text}  {progress_line(progress)}")


def progress_line(progress: Progress) -> str:
    """``measure 4/30 s · 8 in flight · 3.1 req/s · 210 tok/s · TTFT 52 ms · TPOT 12.1 ms · 2 timeout``."""
    if progress.waiting_for:
        return f"waiting for {progress.waiting_for} {'shard' if progress.waiting_for == 1 else 'shards'}"
    total = "" if progress.total_s is None else f"/{progress.total_s:.0f}"
    words = [
        f"{progress.phase} {progress.elapsed_s:.0f}{total} s",
        f"{progress.in_flight} in flight",
        f"{progress.requests_req_s:.1f} req/s",
        f"{progress.output_tok_s:.0f} tok/s",
    ]
    if progress.ttft_s is not None:
        words.append(f"TTFT {progress.ttft_s * 1000:.0f} ms")
    if progress.tpot_s is not None:
        words.append(f"TPOT {progress.tpot_s * 1000:.1f} ms")
    words += [f"{count} {name}" for name, count in progress.failures.items()]
    return " · ".join(words)


def table_of(measured: Sequence[Measured], *, slo: Slo | None) -> str:
    """The final table and the reasons under it; a percentile from too few requests is in parentheses."""
    headers = [
        "load",
        "ok/failed/open",
        "req/s",
        "tok/s",
        "TTFT p50",
        "p99",
        "TPOT p50",
        "p99",
        "ITL p99",
        "verdict",
    ]
    if slo is not None:
        headers.insert(-1, "goodput")
    rows = [_row(each.metrics, slo) for each in measured]
    widths = [max(len(row[i]) for row in [headers, *rows]) for i in range(len(headers))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(padded).rstrip()

    lines = [line(headers), *(line(row) for row in rows)]
    lines.append("latencies in ms; a figure in parentheses rests on too few requests")
    for each in measured:
        verdict = each.metrics.verdict
        lines += [f"{each.metrics.label}: {verdict.state}: {reason}" for reason in verdict.reasons]
    lines += [line for line in map(turns_line, measured) if line is not None]
    lines += [line for line in map(server_line, measured) if line is not None]
    lines += [line for line in map(hosts_line, measured) if line is not None]
    return "\n".join(lines)


def definitions_of(measured: Sequence[Measured]) -> str:
    """The same requests under other tools' definitions, stage by stage."""
    lines = []
    for each in measured:
        lines.append(f"{each.metrics.label}: the same requests as other tools define them, in ms")
        for variant in each.variants:
            p50, p99 = _percentile(variant.summary, 50), _percentile(variant.summary, 99)
            figures = f"p50 {p50:>9}  p99 {p99:>9}"
            lines.append(f"  {variant.tool:<10}  {variant.figure:<4}  {figures}  {variant.definition}")
    return "\n".join(lines)


def hosts_line(measured: Measured) -> str | None:
    """The hosts of a cluster and how well their clocks are known; None when all ran here."""
    words = [
        f"{host.host} ({host.shards} {'shard' if host.shards == 1 else 'shards'}) {host.offset_s * 1000:+.1f} ms "
        f"± {host.uncertainty_s * 1000:.1f}"
        for host in measured.client.hosts
    ]
    return (
        f"{measured.metrics.label}: clocks of the hosts against ours: {', '.join(words)}" if words else None
    )


def turns_line(measured: Measured) -> str | None:
    """TTFT turn by turn; None without conversations."""
    metrics = measured.metrics
    if not metrics.ttft_by_turn:
        return None
    words = [f"{turn}: {_percentile(ttft, 50)}" for turn, ttft in metrics.ttft_by_turn.items()]
    return f"{metrics.label}: TTFT p50 by turn: {', '.join(words)}"


def server_line(measured: Measured) -> str | None:
    """The server's own figures beside the client's; None without them."""
    server, metrics = measured.server, measured.metrics
    if server is None:
        return None
    words = [
        f"{name} mean {value * 1000:.1f} ms (client {client * 1000:.1f})"
        for name, value, client in (
            ("TTFT", server.ttft_mean_s, metrics.ttft.mean),
            ("ITL", server.itl_mean_s, metrics.itl.mean),
        )
        if value is not None and client is not None
    ]
    if server.queue_mean_s is not None:
        words.append(f"queue {server.queue_mean_s * 1000:.1f} ms")
    if server.generation_tokens is not None:
        words.append(f"{server.generation_tokens} tokens (client {metrics.output_tokens})")
    if server.preemptions:
        words.append(f"{server.preemptions} preemptions")
    if server.cache_hit_share:
        words.append(f"{server.cache_hit_share:.1%} of prompt tokens cached")
    return f"{metrics.label}: the server says: {', '.join(words)}" if words else None


def _row(metrics: LoadMetrics, slo: Slo | None) -> list[str]:
    row = [
        metrics.label,
        f"{metrics.succeeded}/{metrics.failed}/{metrics.unfinished}",
        f"{metrics.steady_request_throughput_req_s:.2f}",
        f"{metrics.output_throughput_tok_s:.0f}",
        *(_percentile(metrics.ttft, which) for which in (50, 99)),
        *(_percentile(metrics.tpot, which) for which in (50, 99)),
        _percentile(metrics.itl, 99),
        metrics.verdict.state,
    ]
    if slo is not None:
        share = (
            "–"
            if metrics.attainment is None
            else f"{metrics.steady_goodput_req_s:.2f} ({metrics.attainment:.0%})"
        )
        row.insert(-1, share)
    return row


def _percentile(summary: LatencySummary, which: int) -> str:
    value = summary.p50 if which == 50 else summary.p99
    if value is None:
        return "–"
    text = f"{value * 1000:.1f}"
    return text if summary.enough_for(which) else f"({text})"


def report_json(measured: Sequence[Measured], *, url: str, model: str, slo: Slo | None) -> dict[str, Any]:
    """The document ``--json`` writes: plain values, absent figures null."""
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "url": url, "model": model}
    if slo is not None:
        document["slo"] = str(slo)
    document["stages"] = [_stage_json(each) for each in measured]
    return document


def _stage_json(measured: Measured) -> dict[str, Any]:
    metrics, client = measured.metrics, measured.client
    return {
        "load": measured.stage.to_json(),
        "window_s": metrics.window_s,
        "requests": {
            "sent": metrics.sent,
            "succeeded": metrics.succeeded,
            "failed": metrics.failed,
            "unfinished": metrics.unfinished,
            "failures": dict(metrics.failures),
        },
        **{
            f"{name}_ms": summary_ms(getattr(metrics, name))
            for name in (
                "ttft",
                "itl",
                "tpot",
                "e2e",
                "stall",
                "ttft_from_schedule",
                "e2e_from_schedule",
                "connect",
                "tls",
            )
        },
        "ttft_by_turn_ms": {str(turn): summary_ms(ttft) for turn, ttft in metrics.ttft_by_turn.items()},
        "adjusted_ms": {name: _adjusted_ms(values) for name, values in metrics.adjusted.items()},
        "output_throughput_tok_s": metrics.output_throughput_tok_s,
        "input_throughput_tok_s": metrics.input_throughput_tok_s,
        "request_throughput_req_s": metrics.request_throughput_req_s,
        "steady_request_throughput_req_s": metrics.steady_request_throughput_req_s,
        "achieved_concurrency": metrics.achieved_concurrency,
        "offered_rate_req_s": metrics.offered_rate_req_s,
        "tokens_per_chunk": metrics.tokens_per_chunk,
        "small_gap_share": metrics.small_gap_share,
        "output_tokens": metrics.output_tokens,
        "input_tokens": metrics.input_tokens,
        "input_length_error": metrics.input_length_error,
        "output_length_off_share": metrics.output_length_off_share,
        "cached_share": metrics.cached_share,
        "goodput_req_s": metrics.goodput_req_s,
        "steady_goodput_req_s": metrics.steady_goodput_req_s,
        "attainment": metrics.attainment,
        "attainment_interval": None
        if metrics.attainment is None
        else [metrics.attainment_low, metrics.attainment_high],
        "slo_met": metrics.slo_met,
        "client": {
            "clock": client.clock,
            "lateness_ms": summary_ms(metrics.client_lateness),
            "coalesced_read_share": client.coalesced_read_share,
            "cpu_s": client.cpu_s,
            "cpu_share": client.cpu_share,
            "loop_lag_p99_ms": client.loop_lag_p99_s * 1000,
            "connections_opened": client.connections_opened,
            "processes": client.processes,
            "hosts": [
                {
                    "host": host.host,
                    "shards": host.shards,
                    "clock_offset_ms": host.offset_s * 1000,
                    "clock_uncertainty_ms": host.uncertainty_s * 1000,
                }
                for host in client.hosts
            ],
        },
        "server": None if measured.server is None else asdict(measured.server),
        "definitions": [
            {
                "tool": variant.tool,
                "figure": variant.figure,
                "definition": variant.definition,
                "ms": summary_ms(variant.summary),
            }
            for variant in measured.variants
        ],
        "ended_early": metrics.ended_early,
        "verdict": metrics.verdict.state,
        "reasons": list(metrics.verdict.reasons),
    }


def summary_ms(summary: LatencySummary) -> dict[str, float | int | None]:
    """A summary in milliseconds and how many values it rests on."""
    figures = {name: getattr(summary, name) for name in ("mean", "p50", "p90", "p95", "p99", "max")}
    in_ms = {name: None if value is None else value * 1000 for name, value in figures.items()}
    return {**in_ms, "count": summary.count}


def _adjusted_ms(values: Mapping[float, float]) -> dict[str, float | None]:
    """Percentiles with failures as infinitely late; an infinite one is null."""
    return {f"p{p:g}": value * 1000 if value != float("inf") else None for p, value in values.items()}
