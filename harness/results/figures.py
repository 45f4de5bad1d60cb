"""The figures of one measured point as flat, named columns: one row of the points frame. Pure.

The arithmetic and the definitions are ``harness.load.metrics``'s; here they get the frame's names and units.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.load.metrics import LoadMetrics, summarise_columns
from harness.load.slo import Slo
from harness.results.point import Point

LATENCIES = (
    "ttft", "tpot", "itl", "e2e", "stall", "ttft_from_schedule", "e2e_from_schedule", "lateness", "connect", "tls",
)  # fmt: skip
PARTS = ("mean", "p50", "p90", "p95", "p99", "max")
RATES = (
    "output_throughput_tok_s", "input_throughput_tok_s", "request_throughput_req_s",
    "steady_request_throughput_req_s", "whole_run_output_throughput_tok_s", "whole_run_request_throughput_req_s",
    "achieved_concurrency", "offered_rate_req_s", "per_user_throughput_tok_s", "tokens_per_chunk", "small_gap_share",
    "tokens_assumed_share", "output_length_off_share", "input_length_error", "cached_share", "output_tokens",
    "input_tokens", "goodput_req_s", "steady_goodput_req_s", "attainment", "attainment_low", "attainment_high",
)  # fmt: skip


def metrics_of(point: Point, *, slo: Slo | None = None, ceiling_tok_s: float | None = None) -> LoadMetrics:
    """All figures of the point, against an SLO and the hardware's ceiling where they are known."""
    meta = point.meta
    return summarise_columns(
        point.columns,
        label=meta.label,
        window=(meta.window_start_s, meta.window_end_s),
        stage=meta.stage,
        client=meta.client,
        probe=meta.probe,
        ended_early=meta.ended_early,
        server_restarted=meta.server_restarted,
        slo=slo,
        ceiling_tok_s=ceiling_tok_s,
    )


def level_name(stage: Mapping[str, Any], label: str) -> str:
    """What makes two points the same level, whatever their numbers: the load, and how it was measured."""
    said = (
        ("duration_s", "{:g} s"),
        ("requests", "{} requests"),
        ("warmup_s", "after {:g} s"),
        ("max_in_flight", "at most {} in flight"),
    )
    return ", ".join([label, *(text.format(stage[key]) for key, text in said if stage.get(key))])


def point_row(point: Point, *, slo: Slo | None = None, ceiling_tok_s: float | None = None) -> dict[str, Any]:
    """One row of the points frame, its cell's columns aside. NaN where a figure does not apply."""
    meta, metrics = point.meta, metrics_of(point, slo=slo, ceiling_tok_s=ceiling_tok_s)
    row: dict[str, Any] = {
        "run_id": meta.run_id,
        "cell_id": meta.cell_id,
        "repeat": meta.repeat,
        "point": meta.point,
        "load": meta.label,
        "level": level_name(meta.stage, meta.label),
        "arrivals": meta.stage.get("kind"),
        "concurrency": meta.stage.get("concurrency"),
        "rate_req_s": meta.stage.get("rate_req_s"),
        "window_s": meta.window_s,
        "started_at_unix": meta.started_at_unix,
        "requests_sent": metrics.sent,
        "requests_succeeded": metrics.succeeded,
        "requests_failed": metrics.failed,
        "requests_unfinished": metrics.unfinished,
    }
    row |= {name: getattr(metrics, name) for name in RATES}
    row["ceiling_tok_s"] = ceiling_tok_s
    for name in LATENCIES:
        latency = getattr(metrics, name)
        row |= {f"{name}_{part}_s": getattr(latency, part) for part in PARTS}
        row[f"{name}_count"] = latency.count
    known = {name: np.nan if value is None else value for name, value in row.items()}
    return known | {
        "failures": ", ".join(f"{kind} {count}" for kind, count in metrics.failures.items()),
        "verdict": metrics.verdict.state,
        "reasons": "; ".join(metrics.verdict.reasons),
        "meets_slo": None if slo is None else bool(metrics.slo_met),
        "clock": meta.client.clock,
        "client_cpu_share": meta.client.cpu_share,
        "simulated": meta.simulated,
        "interrupted": meta.interrupted,
    }
