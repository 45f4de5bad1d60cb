"""A measured point as a benchmark report of llm-d, schema 0.2, under this tool's own definitions. Pure.

That report is a form for results of any load tool and names the tool whose figures it holds: here ``harness``.
Percentiles are linear interpolations over the requests that succeeded; a rate is the window's, and one number.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from harness import __version__
from harness.load.columns import ABSENT, Columns, Floats
from harness.load.figures import Mask, RequestFigures, chunks_of
from harness.load.lengths import lengths_from_json, mean_length
from harness.load.metrics import LoadMetrics
from harness.plan.cells import Cell
from harness.plan.engine import UnknownEngine, settings_of
from harness.results.point import Point

VERSION = "0.2"
PERCENTILES: Mapping[str, float] = {
    "p0p1": 0.1, "p1": 1, "p5": 5, "p10": 10, "p25": 25, "p50": 50, "p75": 75, "p90": 90, "p95": 95, "p99": 99,
    "p99p9": 99.9,
}  # fmt: skip
DISTRIBUTIONS = {"fixed": "fixed", "uniform": "uniform", "normal": "gaussian"}


def llmd_report(
    point: Point, *, cell: Cell, label: str, sweep: str, metrics: LoadMetrics, seed: int
) -> dict[str, Any]:
    """One report: what was deployed, how it was loaded, what came of it. ``metrics`` are the point's own figures.

    ``cfg_id`` is the cell's id for the engine and a hash of the load's description for the load.
    """
    meta, columns = point.meta, point.columns
    return {
        "version": VERSION,
        "run": {
            "uid": f"{meta.run_id}-p{meta.point}",
            "eid": sweep,
            "time": _time(meta.started_at_unix + meta.window_start_s, meta.window_s),
            "description": f"{label} at {meta.label}{', SIMULATED' if meta.simulated else ''}",
            "keywords": [metrics.verdict.state, *(["simulated"] if meta.simulated else [])],
        },
        "scenario": {
            "stack": [_engine(cell, label)],
            "load": {
                "metadata": {"cfg_id": _hash(meta.stage)},
                "standardized": _load(
                    meta.stage, columns, stage_number=meta.point, parallelism=meta.client.processes
                ),
                "native": {"config": {"stage": dict(meta.stage), "seed": seed}},
            },
        },
        "results": {
            "request_performance": {
                "aggregate": {
                    "requests": _requests(metrics, columns),
                    "latency": _latency(columns),
                    "throughput": _throughput(metrics),
                }
            }
        },
    }


def _time(start_unix: float, seconds: float) -> dict[str, str]:
    start = datetime.datetime.fromtimestamp(start_unix, datetime.UTC)
    end = start + datetime.timedelta(seconds=seconds)
    return {"start": start.isoformat(), "end": end.isoformat(), "duration": f"PT{seconds:.6f}S"}


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _engine(cell: Cell, label: str) -> dict[str, Any]:
    """The cell. GPUs are counted per replica; parallel sizes are what its parameters come to."""
    settings = settings_of(cell)
    if isinstance(settings, UnknownEngine):
        sizes, doubt = {}, f"parallel sizes unknown: {settings.reason}"
    else:
        names = {"tp": "tensor_parallel", "pp": "pipeline_parallel", "dp": "data_parallel"}
        sizes, doubt = {short: getattr(settings, name) for short, name in names.items()}, None
    return {
        "metadata": {
            "label": label,
            "cfg_id": cell.id,
            "description": doubt,
        },
        "standardized": {
            "kind": "inference_engine",
            "tool": "vllm",
            "tool_version": cell.engine_version,
            "role": "replica",
            "replicas": cell.replicas,
            "model": {"name": cell.model},
            "accelerator": {"model": cell.gpu_type, "count": cell.gpu_count, "parallelism": sizes},
        },
        "native": {"config": {"parameters": list(cell.parameters)}},
    }


def _load(
    stage: Mapping[str, Any], columns: Columns, *, stage_number: int, parallelism: int
) -> dict[str, Any]:
    """The load level. An answer's length is in it only where the server was asked to keep it."""
    given = stage.get("workload")
    workload: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    prompts = _known(columns, "prompt_tokens", ~columns.flags["warmup"])
    measured_input = {"distribution": "other", "value": float(prompts.mean()) if len(prompts) else 0.0}
    exact = workload.get("exact_output") and "output_tokens" in workload
    return {
        "tool": "harness",
        "tool_version": __version__,
        "parallelism": parallelism,
        "source": "sampled" if workload.get("items") else "random" if workload else "unknown",
        "stage": stage_number,
        "input_seq_len": _length(workload["input_tokens"]) if "input_tokens" in workload else measured_input,
        "output_seq_len": _length(workload["output_tokens"]) if exact else None,
        "rate_qps": stage.get("rate_req_s"),
        "concurrency": stage.get("concurrency"),
    }


def _length(given: Any) -> dict[str, Any]:
    """A length as was asked for; what the form has no word for (log-normal, a list) is ``other`` with its mean."""
    kind = given.get("kind") if isinstance(given, Mapping) else "fixed"
    found: dict[str, Any] = {
        "distribution": DISTRIBUTIONS.get(str(kind), "other"),
        "value": mean_length(lengths_from_json(given)),
    }
    if isinstance(given, Mapping) and kind in ("uniform", "normal"):
        found |= {"min": given["low"], "max": given["high"]}
        found |= {"std_dev": given["sd"]} if "sd" in given else {}
    return found


def _requests(metrics: LoadMetrics, columns: Columns) -> dict[str, Any]:
    good = RequestFigures.of(columns).good
    return {
        "total": metrics.sent,
        "failures": metrics.failed,
        "incomplete": metrics.unfinished,
        "input_length": _statistics(_known(columns, "prompt_tokens", good), "count"),
        "output_length": _statistics(_known(columns, "completion_tokens", good), "count"),
    }


def _known(columns: Columns, name: str, keep: Mask) -> Floats:
    values = columns.integers[name][keep]
    found: Floats = values[values != ABSENT].astype(np.float64)
    return found


def _latency(columns: Columns) -> dict[str, Any]:
    """Latencies in seconds. A gap is one token's only where no chunk carries more: else it is left out."""
    figures = RequestFigures.of(columns)
    good = figures.good
    count = columns.integers["completion_tokens"][good]
    one_by_one = bool((columns.chunk_tokens[chunks_of(columns, good)] == 1).all())
    gaps = figures.good_gaps()
    per_token = figures.e2e[good] / np.where(count > 0, count, np.nan)
    return {
        "time_to_first_token": _statistics(figures.ttft[good], "s"),
        "normalized_time_per_output_token": _statistics(per_token, "s/token"),
        "time_per_output_token": _statistics(figures.tpot[good], "s/token"),
        "inter_token_latency": _statistics(gaps, "s/token") if one_by_one else None,
        "request_latency": _statistics(figures.e2e[good], "s"),
    }


def _statistics(values: Floats, units: str) -> dict[str, Any] | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    percentiles = np.percentile(known, list(PERCENTILES.values())).tolist()
    return {
        "units": units,
        "mean": float(known.mean()),
        "stddev": float(known.std()),
        "min": float(known.min()),
        **dict(zip(PERCENTILES, percentiles, strict=True)),
        "max": float(known.max()),
    }


def _throughput(metrics: LoadMetrics) -> dict[str, Any]:
    both = metrics.input_throughput_tok_s + metrics.output_throughput_tok_s
    return {
        "input_token_rate": {"units": "tokens/s", "mean": metrics.input_throughput_tok_s},
        "output_token_rate": {"units": "tokens/s", "mean": metrics.output_throughput_tok_s},
        "total_token_rate": {"units": "tokens/s", "mean": both},
        "request_rate": {"units": "queries/s", "mean": metrics.request_throughput_req_s},
    }
