"""Measured points in the words of other tools: vLLM's benchmark result, and OpenMetrics text. Pure.

vLLM's names mean vLLM's definitions (``harness.load.definitions``): its TTFT starts before connecting, its TPOT ends
with the last message, its throughput is over the whole run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from harness.load.definitions import variants_of_columns
from harness.load.summary import LatencySummary
from harness.results.point import Point

# column of the levels frame -> (metric, help); the unit is in the metric's name, as OpenMetrics wants it
OPENMETRICS: Mapping[str, tuple[str, str]] = {
    "output_throughput_tok_s": ("harness_output_tokens_per_second", "Output tokens that arrived per second"),
    "request_throughput_req_s": ("harness_requests_per_second", "Requests finished per second"),
    "goodput_req_s": ("harness_goodput_requests_per_second", "Requests per second that met the SLO"),
    "ttft_p50_s": ("harness_ttft_p50_seconds", "Time to first token, median"),
    "ttft_p95_s": ("harness_ttft_p95_seconds", "Time to first token, 95th percentile"),
    "tpot_p50_s": ("harness_tpot_p50_seconds", "Time per output token after the first, median"),
    "tpot_p95_s": ("harness_tpot_p95_seconds", "Time per output token after the first, 95th percentile"),
    "e2e_p95_s": ("harness_e2e_p95_seconds", "Request to last token, 95th percentile"),
    "requests_failed": ("harness_failed_requests", "Requests that failed"),
}
LABELS = ("cell_id", "label", "gpu_type", "gpu_count", "replicas", "engine_version", "parameter_set", "load")


def vllm_bench(point: Point, row: Mapping[str, Any]) -> dict[str, Any]:
    """One result as ``vllm bench serve`` 0.15.1 saves it without details; ``row`` is the point's row of the frame.

    Standard deviations and the texts are left out. Keys of ours are ``gpu_count`` and those that begin with
    ``harness_``.
    """
    stage = point.meta.stage
    found: dict[str, Any] = {
        "backend": "openai-chat",
        "label": str(row["label"]),
        "model_id": str(row["model"]),
        "num_prompts": int(row["requests_sent"]),
        "request_rate": stage.get("rate_req_s", "inf"),
        "burstiness": stage.get("burstiness", 1.0),
        "max_concurrency": stage.get("concurrency"),
        "duration": point.meta.window_s,
        "completed": int(row["requests_succeeded"]),
        "failed": int(row["requests_failed"]),
        "total_input_tokens": int(row["input_tokens"]),
        "total_output_tokens": int(row["output_tokens"]),
        "request_throughput": _number(row["whole_run_request_throughput_req_s"]),
        "request_goodput": _number(row["goodput_req_s"]),
        "output_throughput": _number(row["whole_run_output_throughput_tok_s"]),
        "gpu_count": int(row["gpus"]),
        "harness_verdict": str(row["verdict"]),
        "harness_simulated": point.meta.simulated,
    }
    named = {"TTFT": "ttft", "TPOT": "tpot", "ITL": "itl"}
    for variant in variants_of_columns(point.columns):
        if variant.tool == "vllm bench" and variant.figure in named:
            found |= _summary(named[variant.figure], variant.summary)
    return found | {
        f"{part}_e2el_ms": _milliseconds(row[f"e2e_{column}_s"])
        for part, column in (("mean", "mean"), ("median", "p50"), ("p99", "p99"))
    }


def _summary(name: str, summary: LatencySummary) -> dict[str, float | None]:
    parts = {
        "mean": summary.mean,
        "median": summary.p50,
        "p90": summary.p90,
        "p95": summary.p95,
        "p99": summary.p99,
    }
    return {f"{part}_{name}_ms": _milliseconds(value) for part, value in parts.items()}


def _milliseconds(value: float | None) -> float | None:
    known = _number(value)
    return None if known is None else known * 1000


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def openmetrics(levels: pd.DataFrame, *, name: str, simulated: bool) -> str:
    """The levels as OpenMetrics text, one gauge a figure, one sample a level; absent figures have no sample."""
    lines: list[str] = []
    common = {"sweep": name, "simulated": str(simulated).lower()}
    for column, (metric, words) in OPENMETRICS.items():
        if column not in levels or not levels[column].notna().any():
            continue
        unit = [f"# UNIT {metric} seconds"] if metric.endswith("_seconds") else []
        lines += [f"# TYPE {metric} gauge", *unit, f"# HELP {metric} {words}."]
        lines += list(_samples(levels, column, metric, common))
    return "\n".join([*lines, "# EOF", ""])


def _samples(levels: pd.DataFrame, column: str, metric: str, common: Mapping[str, str]) -> Iterable[str]:
    for _, level in levels[levels[column].notna()].iterrows():
        labels = {**common} | {key: str(level[key]) for key in LABELS}
        text = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())
        yield f"{metric}{{{text}}} {float(level[column])!r}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
