"""A measured point as ``vllm bench serve`` 0.15.1 saves its result, under vLLM's definitions. Pure.

Its TTFT starts before connecting and ends with the role chunk, its TPOT and E2E end with the last message, its
throughput is that of the requests which succeeded over the whole run, tail included, its goodput holds each request
against limits on these. What the records do not know is null or left out: texts, lengths of each request, a tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.load.columns import ABSENT, Columns, Floats
from harness.load.definitions import vllm_gaps, vllm_instants
from harness.load.figures import Mask, RequestFigures, chunks_of
from harness.load.slo import Slo
from harness.results.point import Point

PERCENTILES = (90, 95, 99)
BUCKET_S = 1.0
LIMITS = {"ttft": "ttft", "tpot": "tpot", "e2e": "e2el"}
BACKENDS = {"chat": "openai-chat", "completions": "openai"}


def vllm_bench(point: Point, *, cell: Mapping[str, Any], verdict: str, slo: Slo | None) -> dict[str, Any]:
    """One result; ``cell`` has the point's ``label``, ``model`` and ``gpus``.

    Keys of ours are ``gpu_count`` and those that begin with ``harness_``. ``request_goodput`` is null unless every
    bound of the SLO is one that vLLM knows: on TTFT, TPOT or E2E.
    """
    columns, stage = point.columns, point.meta.stage
    figures = RequestFigures.of(columns)
    good, measured = figures.good, figures.measured
    latencies = _latencies(columns, figures)
    start, _, end = (instants[good] for instants in vllm_instants(columns))
    duration_s = float(np.nanmax(end) - np.nanmin(start)) if good.any() else point.meta.window_s
    inputs, outputs = _tokens(columns, good)
    met = _within(latencies, slo)
    backend = BACKENDS.get(str(_workload(stage).get("api")))
    found: dict[str, Any] = {
        "endpoint_type": backend,
        "backend": backend,
        "label": str(cell["label"]),
        "model_id": str(cell["model"]),
        "tokenizer_id": None,
        "num_prompts": int(measured.sum()),
        "request_rate": stage.get("rate_req_s", "inf"),
        "burstiness": stage.get("burstiness", 1.0),
        "max_concurrency": stage.get("concurrency"),
        "duration": duration_s,
        "completed": int(good.sum()),
        "failed": _failed(columns, figures),
        "total_input_tokens": inputs,
        "total_output_tokens": outputs,
        "request_throughput": int(good.sum()) / duration_s,
        "request_goodput": None if met is None else met / duration_s,
        "output_throughput": None if outputs is None else outputs / duration_s,
        "total_token_throughput": None
        if inputs is None or outputs is None
        else (inputs + outputs) / duration_s,
        **_peaks(columns, figures),
        "gpu_count": int(cell["gpus"]),
        "harness_verdict": verdict,
        "harness_simulated": point.meta.simulated,
    }
    for name, values in latencies.items():
        found |= _summary(name, values)
    if found["max_concurrency"] is None:
        del found["max_concurrency"]  # its Pareto plot takes the peak only where the key is missing
    return found


def _workload(stage: Mapping[str, Any]) -> Mapping[str, Any]:
    found = stage.get("workload")
    return found if isinstance(found, Mapping) else {}


def _latencies(columns: Columns, figures: RequestFigures) -> dict[str, Floats]:
    """Seconds, one a request that succeeded, NaN where there is none; gaps pooled over requests."""
    good = figures.good
    start, begun, end = (instants[good] for instants in vllm_instants(columns))
    count = columns.integers["completion_tokens"][good]
    later = np.where(count > 1, count - 1, np.nan)
    return {
        "ttft": begun - start,
        "tpot": (end - begun) / later,
        "itl": vllm_gaps(columns, figures),
        "e2el": end - start,
    }


def _tokens(columns: Columns, good: Mask) -> tuple[int | None, int | None]:
    """Prompt and answer tokens of the requests that succeeded; None where the server counted neither."""
    return tuple(  # type: ignore[return-value]  # a tuple of two: one for each name
        None if (known := values[values != ABSENT]).size == 0 else int(known.sum())
        for values in (columns.integers[name][good] for name in ("prompt_tokens", "completion_tokens"))
    )


def _failed(columns: Columns, figures: RequestFigures) -> int:
    ended = figures.measured & (columns.outcomes != "unfinished")
    return int(ended.sum()) - int(figures.good.sum())


def _within(latencies: Mapping[str, Floats], slo: Slo | None) -> int | None:
    """Requests within every limit; as there, an answer of one token has a TPOT of 0."""
    if slo is None or any(bound.metric not in LIMITS for bound in slo.bounds):
        return None
    met = np.ones(len(latencies["ttft"]), np.bool_)
    for bound in slo.bounds:
        values = np.nan_to_num(latencies[LIMITS[bound.metric]], nan=0.0)
        met &= values <= bound.limit_s
    return int(met.sum())


def _peaks(columns: Columns, figures: RequestFigures) -> dict[str, Any]:
    """The fullest second of the run: chunks that arrived in it, requests in flight at any moment of it."""
    good = figures.good
    if not good.any():
        return {"max_output_tokens_per_s": 0.0, "max_concurrent_requests": 0}
    start, begun, end = (instants[good] for instants in vllm_instants(columns))
    origin = float(np.nanmin(start))
    chunks = columns.chunk_times_s[chunks_of(columns, good)]
    role = begun[~np.isnan(columns.floats["role_s"][good])]
    arrived = np.concatenate([chunks, role])
    seconds = ((arrived - origin) // BUCKET_S).astype(np.int64)
    return {
        "max_output_tokens_per_s": float(np.bincount(seconds).max()) if len(seconds) else 0.0,
        "max_concurrent_requests": _fullest(start - origin, end - origin),
    }


def _fullest(start: Floats, end: Floats) -> int:
    """The most requests that touch one bucket."""
    known = ~np.isnan(end)
    first: npt.NDArray[np.int64] = (start[known] // BUCKET_S).astype(np.int64)
    last: npt.NDArray[np.int64] = (end[known] // BUCKET_S).astype(np.int64)
    if not len(first):
        return 0
    change = np.zeros(int(last.max()) + 2, np.int64)
    np.add.at(change, first, 1)
    np.add.at(change, last + 1, -1)
    return int(np.cumsum(change).max())


def _summary(name: str, values: Floats) -> dict[str, float | None]:
    """Mean, median, population standard deviation and percentiles in milliseconds; null without a value."""
    known = values[~np.isnan(values)] * 1000
    if not len(known):
        parts = ("mean", "median", "std", *(f"p{p}" for p in PERCENTILES))
        return {f"{part}_{name}_ms": None for part in parts}
    found: dict[str, float | None] = {
        f"mean_{name}_ms": float(known.mean()),
        f"median_{name}_ms": float(np.median(known)),
        f"std_{name}_ms": float(known.std()),
    }
    return found | {f"p{p}_{name}_ms": float(np.percentile(known, p)) for p in PERCENTILES}
