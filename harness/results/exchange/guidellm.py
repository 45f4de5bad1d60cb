"""The points of a cell as a report of guidellm 0.8.1 (schema version 2), under guidellm's definitions. Pure.

Its measurement counts every request that was in flight in the window, warm-up included; its TPOT holds the TTFT; means
of a request are weighted by its tokens; rates and concurrencies are distributions over time. What the records do not
know (texts, reasoning, queues of its scheduler, its own versions) is null, an empty distribution, ``unknown`` or -1,
which is guidellm's own word for a time it does not have. Of a stream's chunks only the role chunk and those with tokens
are in the records: ``request_iterations`` counts these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness import __version__
from harness.load.lengths import lengths_from_json, mean_length
from harness.results.exchange.guidellm_distributions import STATUSES
from harness.results.exchange.guidellm_metrics import metrics
from harness.results.exchange.guidellm_requests import Requests, request_of
from harness.results.point import Point

UNKNOWN = "unknown"
UNKNOWN_TIME = -1.0
FORMATS = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}


def guidellm_report(
    points: Sequence[Point], *, cell: Mapping[str, Any], target: str, verdicts: Sequence[str]
) -> dict[str, Any]:
    """The points of one cell as one report; ``target`` is the endpoint's URL, ``verdicts`` are the points'."""
    first = points[0].meta
    labels = {
        "cell": str(cell["label"]),
        "gpu_type": str(cell["gpu_type"]),
        "gpus": str(cell["gpus"]),
        "engine_version": str(cell["engine_version"]),
        "parameters": str(cell["parameters"]),
        "simulated": str(first.simulated).lower(),
    }
    return {
        "metadata": {
            "version": 2,
            "guidellm_version": f"none: written by harness {__version__}",
            "python_version": UNKNOWN,
            "platform": UNKNOWN,
        },
        "config": {
            "metadata": {"labels": labels},
            "spec": {
                "backend": _backend(first.stage, cell, target),
                "profile": _profile([point.meta.stage for point in points]),
                "data": [_data(first.stage)],
                "metrics": {"kind": "generative", "confidence": None},
            },
        },
        "benchmarks": [
            _benchmark(point, index, cell=cell, target=target, verdict=verdict)
            for index, (point, verdict) in enumerate(zip(points, verdicts, strict=True))
        ],
    }


def _workload(stage: Mapping[str, Any]) -> Mapping[str, Any]:
    found = stage.get("workload")
    return found if isinstance(found, Mapping) else {}


def _backend(stage: Mapping[str, Any], cell: Mapping[str, Any], target: str) -> dict[str, Any]:
    workload = _workload(stage)
    return {
        "kind": "openai_http",
        "target": target,
        "model": str(cell["model"]),
        "request_format": FORMATS.get(str(workload.get("api")), FORMATS["chat"]),
        "stream": bool(workload.get("streamed", True)),
    }


def _profile(stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One profile for all points: streams where every point is a closed loop, else the rates, else a replay."""
    if all("concurrency" in stage for stage in stages):
        return {
            "kind": "concurrent",
            "streams": list(dict.fromkeys(stage["concurrency"] for stage in stages)),
        }
    kinds = {_arrivals(stage) for stage in stages}
    listed = list(dict.fromkeys(stage["rate_req_s"] for stage in stages if "rate_req_s" in stage))
    if kinds == {"constant"} or kinds == {"poisson"}:
        return {"kind": kinds.pop(), "rate": listed}
    return {"kind": "replay"}


def _arrivals(stage: Mapping[str, Any]) -> str:
    """Our kind of arrivals in guidellm's words, where it has one: ``poisson`` for ``poisson-rate``."""
    return str(stage.get("kind")).removesuffix("-rate")


def _data(stage: Mapping[str, Any]) -> dict[str, Any]:
    """The lengths asked for, as its synthetic data: means, and standard deviation and limits where they are given."""
    found: dict[str, Any] = {"kind": "synthetic_text"}
    for name, key in (("prompt_tokens", "input_tokens"), ("output_tokens", "output_tokens")):
        given = _workload(stage).get(key)
        if given is None:
            continue
        found[name] = round(mean_length(lengths_from_json(given)))
        if isinstance(given, Mapping) and given.get("kind") in ("normal", "uniform"):
            found |= {f"{name}_min": given["low"], f"{name}_max": given["high"]}
            found |= {f"{name}_stdev": round(given["sd"])} if "sd" in given else {}
    return found


def _strategy(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Arrivals that guidellm has no word for are a replay: their instants were given beforehand."""
    if "concurrency" in stage:
        return {"type_": "concurrent", "streams": stage["concurrency"]}
    kind = _arrivals(stage)
    if kind in ("constant", "poisson"):
        return {"type_": kind, "rate": stage["rate_req_s"]}
    return {"type_": "trace"}


def _benchmark(
    point: Point, index: int, *, cell: Mapping[str, Any], target: str, verdict: str
) -> dict[str, Any]:
    meta, requests = point.meta, Requests.of(point)
    stage = dict(meta.stage)
    inside = requests.overlapping(requests.start, requests.end)
    return {
        "type_": "generative_benchmark",
        "config": {
            "id_": f"{meta.run_id}-p{meta.point}",
            "run_id": meta.run_id,
            "run_index": index,
            "strategy": _strategy(stage),
            "constraints": _constraints(stage),
            "sample_size": 0,
            "warmup": {"value": stage.get("warmup_s") or None},
            "confidence": None,
            "warnings": [],
            "profile": _profile([stage]),
            "requests": {"data": [_data(stage)]},
            "backend": _backend(stage, cell, target),
            "environment": {},
            "harness_verdict": verdict,
            "harness_simulated": meta.simulated,
        },
        "scheduler_state": _state(requests),
        "scheduler_metrics": _scheduler(requests, stage),
        "metrics": metrics(requests, inside, scheduled="concurrency" not in stage),
        "requests": {
            **{
                name: [
                    request_of(requests, int(i), run_id=meta.run_id) for i in np.flatnonzero(inside & chosen)
                ]
                for name, chosen in zip(STATUSES, (requests.status == k for k in range(3)), strict=True)
            },
            "total": None,
        },
        "warnings": [],
        "start_time": requests.window[0],
        "end_time": requests.window[1],
        "duration": meta.window_s,
    }


def _constraints(stage: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    named = {"max_duration": stage.get("duration_s"), "max_requests": stage.get("requests")}
    return {kind: {"kind": kind, "value": value} for kind, value in named.items() if value is not None}


def _bounds(requests: Requests) -> tuple[float, float]:
    """First send and last end of the whole stage, warm-up and drain included; the window's without a request."""
    if np.isnan(requests.start).all():
        return requests.window
    return float(np.nanmin(requests.start)), float(requests.end.max())


def _state(requests: Requests) -> dict[str, Any]:
    first, last = _bounds(requests)
    counts = [int((requests.status == status).sum()) for status in range(3)]
    return {
        "start_time": requests.origin,
        "end_time": last,
        "start_requests_time": first,
        "end_requests_time": last,
        "created_requests": len(requests.status),
        "processed_requests": len(requests.status),
        "successful_requests": counts[0],
        "cancelled_requests": counts[1],
        "errored_requests": counts[2],
    }


def _scheduler(requests: Requests, stage: Mapping[str, Any]) -> dict[str, Any]:
    first, last = _bounds(requests)
    counts = {name: int((requests.status == k).sum()) for k, name in enumerate(STATUSES)}
    sent = ~np.isnan(requests.start)
    lateness = (requests.start - requests.origin - requests.columns.floats["scheduled_s"])[sent]
    took = (requests.end - requests.start)[sent]
    unknown = (
        "queued_time_avg", "resolve_start_delay_avg", "resolve_targeted_start_delay_avg", "request_start_delay_avg",
        "resolve_end_delay_avg", "resolve_time_avg", "finalized_delay_avg", "processed_delay_avg",
    )  # fmt: skip
    return {
        "start_time": requests.origin,
        "request_start_time": first,
        "measure_start_time": requests.window[0],
        "measure_end_time": requests.window[1],
        "request_end_time": last,
        "end_time": last,
        "requests_made": {**counts, "total": len(requests.status)},
        **dict.fromkeys(unknown, UNKNOWN_TIME),
        "request_targeted_start_delay_avg": float(lateness.mean()) if sent.any() else UNKNOWN_TIME,
        "request_time_avg": float(took.mean()) if sent.any() else UNKNOWN_TIME,
        "strategy_type": _strategy(stage)["type_"],
    }
