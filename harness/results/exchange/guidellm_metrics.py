"""The metrics of a point as guidellm compiles them from its requests. Pure.

A figure that a counted request does not have counts as 0 there, and so it does here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.load.columns import Floats
from harness.load.figures import Mask
from harness.results.exchange.guidellm_distributions import (
    EMPTY,
    STATUSES,
    Weighted,
    by_status,
    concurrency,
    distribution,
    rates,
)
from harness.results.exchange.guidellm_requests import Requests, joined

NOTHING = [(EMPTY, EMPTY)] * len(STATUSES)


def metrics(requests: Requests, inside: Mask, *, scheduled: bool) -> dict[str, Any]:
    """All metrics over the requests ``inside``; ``scheduled`` says that arrivals followed times of their own."""
    unweighted = np.ones(len(inside))
    target = requests.columns.floats["scheduled_s"] + requests.origin
    late = requests.start - target
    sent = inside & ~np.isnan(late)
    counts = [int((inside & (requests.status == status)).sum()) for status in range(len(STATUSES))]
    return {
        "request_totals": {**dict(zip(STATUSES, counts, strict=True)), "total": sum(counts)},
        "requests_per_second": _in_window(requests, requests.parts(requests.end, None, inside)),
        "request_concurrency": _concurrency(requests, inside, unweighted, window=requests.window),
        "request_latency": _of(requests, requests.end - requests.start, inside),
        **(_scheduled(requests, late, sent) if scheduled else {}),
        "root_dispatch_delay": distribution(late[sent], unweighted[sent]) if sent.any() else None,
        **_latencies(requests, inside),
        **_tokens(requests, inside),
        "text": {"tokens": _text_tokens(requests, inside), "words": None, "characters": None},
        "image": dict.fromkeys(("tokens", "images", "pixels", "bytes")),
        "video": dict.fromkeys(("tokens", "frames", "seconds", "bytes")),
        "audio": dict.fromkeys(("tokens", "samples", "seconds", "bytes")),
        "tool_call": dict.fromkeys(("tokens", "mixed_tokens", "count")),
    }


def _scheduled(requests: Requests, late: Floats, sent: Mask) -> dict[str, Any]:
    """What an arrival schedule gives a meaning to; no request has one before it that it waits for."""
    return {
        "request_dispatch_delay": _of(requests, late, sent),
        "request_scheduled_latency": _of(requests, requests.end - requests.start + late, sent),
        "turn_predecessor_delay": _of(requests, np.zeros(len(late)), sent),
        "turn_scheduling_delay": _of(requests, late, sent),
    }


def _of(requests: Requests, values: Floats, keep: Mask, weights: Floats | None = None) -> dict[str, Any]:
    return by_status(requests.parts(np.nan_to_num(values), weights, keep), distribution)


def _in_window(requests: Requests, parts: list[Weighted]) -> dict[str, Any]:
    return by_status(parts, lambda times, weights: rates(times, weights, window=requests.window))


def _concurrency(
    requests: Requests, keep: Mask, weights: Floats, *, window: tuple[float, float] | None
) -> dict[str, Any]:
    """Of requests that were sent; those that never were have no interval."""
    sent = keep & ~np.isnan(requests.start)
    groups = [sent & (requests.status == status) for status in range(len(STATUSES))]

    def made(mask: Mask) -> dict[str, Any]:
        return concurrency(requests.start[mask], requests.end[mask], weights[mask], window=window)

    return {**{name: made(mask) for name, mask in zip(STATUSES, groups, strict=True)}, "total": made(sent)}


def _latencies(requests: Requests, inside: Mask) -> dict[str, Any]:
    """Time to first token counts where that token lies in the window, gaps where any part after it does."""
    tokens, first, last = np.nan_to_num(requests.tokens), requests.first, requests.last
    end = np.where(np.isnan(last), requests.end, last)
    tpot = np.where(tokens > 0, (end - requests.start) / np.maximum(tokens, 1), np.nan)
    itl = np.where(tokens > 1, (last - first) / np.maximum(tokens - 1, 1), np.nan)
    seen, after = requests.overlapping(requests.start, first), requests.overlapping(first, requests.end)
    later = np.where(tokens > 0, tokens - 1, 0.0)
    return {
        "time_to_first_token_ms": _of(requests, (first - requests.start) * 1000, seen),
        "time_to_first_output_token_ms": by_status(NOTHING, distribution),
        "time_per_output_token_ms": _of(requests, tpot * 1000, inside, tokens),
        "inter_token_latency_ms": _of(requests, itl * 1000, after, later),
        "time_to_last_round_trip_ms": by_status(NOTHING, distribution),
        "avg_round_trip_time_ms": by_status(NOTHING, distribution),
    }


def _tokens(requests: Requests, inside: Mask) -> dict[str, Any]:
    """Counts of tokens, when they arrived, and how many came at a time. A prompt's arrive with the first token."""
    prompts, tokens = np.nan_to_num(requests.prompts), np.nan_to_num(requests.tokens)
    prefilled = np.where(np.isnan(requests.first), requests.end, requests.first)
    prompt_times = requests.parts(prefilled, prompts, inside)
    output_times, later = requests.output_times(inside), requests.later_times(inside)
    role = ~np.isnan(requests.columns.floats["role_s"])
    return {
        "request_streaming_iterations_count": _of(requests, (requests.chunks + role).astype(float), inside),
        "prompt_token_count": _of(requests, prompts, inside),
        "output_token_count": _of(requests, tokens, inside),
        "total_token_count": _of(requests, prompts + tokens, inside),
        "prompt_tokens_per_second": _in_window(requests, prompt_times),
        "output_tokens_per_second": _in_window(requests, output_times),
        "tokens_per_second": _in_window(requests, joined(prompt_times, output_times)),
        "output_tokens_per_iteration": _sizes(output_times),
        "iter_tokens_per_iteration": _sizes(later),
    }


def _sizes(parts: list[Weighted]) -> dict[str, Any]:
    """Of the tokens that came at one instant."""
    return by_status([(sizes, np.ones(len(sizes))) for _, sizes in parts], distribution)


def _text_tokens(requests: Requests, inside: Mask) -> dict[str, Any] | None:
    """Text tokens that the server counted: their distribution, their rate by the request's end, how many at once."""
    counted = requests.columns.integers["completion_tokens"]
    sides = {"input": requests.prompts, "output": np.where(counted < 0, np.nan, counted).astype(np.float64)}
    known = inside & ~np.isnan(requests.start) & ~(np.isnan(sides["input"]) & np.isnan(sides["output"]))
    if not known.any():
        return None
    found: dict[str, Any] = dict.fromkeys(
        f"{side}{kind}" for side in (*sides, "total") for kind in ("", "_per_second", "_concurrency")
    )
    counted_parts, ended_parts = [], []
    for side, values in sides.items():
        given = known & ~np.isnan(values)
        if not given.any():
            continue
        weights = np.nan_to_num(values)
        counted_parts.append(requests.parts(values, None, given))
        ended_parts.append(requests.parts(requests.end, weights, known))
        found[side] = by_status(counted_parts[-1], distribution)
        found[f"{side}_per_second"] = by_status(ended_parts[-1], rates)
        found[f"{side}_concurrency"] = _concurrency(requests, known, weights, window=None)
    if len(counted_parts) < len(sides):
        return found
    return found | {
        "total": by_status(joined(*counted_parts), distribution),
        "total_per_second": by_status(joined(*ended_parts), rates),
        "total_concurrency": _both_concurrencies(requests, known, list(sides.values())),
    }


def _both_concurrencies(requests: Requests, keep: Mask, sides: list[Floats]) -> dict[str, Any]:
    """Of prompt and answer tokens as intervals of their own: each request counts twice."""
    twice = np.tile(np.flatnonzero(keep), len(sides))
    weights = np.concatenate([np.nan_to_num(values[keep]) for values in sides])
    start, end, status = requests.start[twice], requests.end[twice], requests.status[twice]
    chosen = {name: status == number for number, name in enumerate(STATUSES)}
    chosen["total"] = np.ones(len(twice), np.bool_)
    return {name: concurrency(start[mask], end[mask], weights[mask]) for name, mask in chosen.items()}
