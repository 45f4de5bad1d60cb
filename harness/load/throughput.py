"""What arrived and ended within a window, per second, and how many requests were under way. Pure.

Two rates of requests. ``finished`` over the window is the field's: it counts whole requests, so that a closed loop of N
users in lockstep moves it by N at once, and a window of a few rounds may be off by one of them. ``served_share`` counts
each request for the share of its tokens that arrived within the window. Over windows that follow each other the shares
of a request add up to one, as its one end does: in a steady state both have the same mean, and only the second has no
whole rounds at its edges. Its rate times the tokens of a request is the output throughput.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.load.columns import ABSENT, Columns, Floats
from harness.load.figures import Mask, tokens_of_requests
from harness.load.records import Outcome

Window = tuple[float, float]


def arrived_tokens(columns: Columns) -> tuple[Floats, npt.NDArray[Any]]:
    """When tokens arrived and how many.

    Where tokens per chunk were assumed, a request's chunks share its true count. An answer in one piece arrives with
    its last byte.
    """
    total = columns.integers["completion_tokens"]
    weights: npt.NDArray[Any] = columns.chunk_tokens
    assumed = columns.flags["tokens_assumed"] & (total != ABSENT)
    if assumed.any():
        counted = tokens_of_requests(columns)
        factor = np.where(assumed & (counted > 0), total / np.where(counted > 0, counted, 1), 1.0)
        shares = np.repeat(factor, np.diff(columns.offsets))
        weights = np.multiply(weights, shares, out=shares)
    whole = _in_one_piece(columns)
    if not whole.any():
        return columns.chunk_times_s, weights
    times = np.concatenate([columns.chunk_times_s, columns.floats["last_token_s"][whole]])
    return times, np.concatenate([weights, total[whole].astype(np.float64)])


def _in_one_piece(columns: Columns) -> Mask:
    counted = columns.integers["completion_tokens"] > 0
    found: Mask = (np.diff(columns.offsets) == 0) & counted & ~np.isnan(columns.floats["last_token_s"])
    return found


def finished(columns: Columns, window: Window) -> Mask:
    """Requests that ended well within the window."""
    ended = columns.floats["ended_s"]
    succeeded = columns.outcomes == str(Outcome.SUCCEEDED)
    found: Mask = succeeded & (ended >= window[0]) & (ended <= window[1])
    return found


def served_shares(columns: Columns, window: Window) -> Floats:
    """Of each request the share of its tokens that arrived within the window; 0 for one that failed.

    An answer in one piece is within or not. One that was cut off is taken to be as long as it was asked to be, or
    where that is not known as the others were on average.
    """
    counts = np.diff(columns.offsets)
    arrived = tokens_of_requests(columns)
    served = (columns.outcomes == str(Outcome.SUCCEEDED)) | (columns.outcomes == str(Outcome.UNFINISHED))
    shares = np.zeros(len(columns))
    last = columns.floats["last_token_s"]
    shares[served & _in_one_piece(columns) & (last >= window[0]) & (last <= window[1])] = 1.0
    having = np.flatnonzero(served & (counts > 0) & (arrived > 0))
    if not len(having):
        return shares
    times = columns.chunk_times_s
    begin, end = times[columns.offsets[having]], times[columns.offsets[having + 1] - 1]
    inside = arrived.astype(np.float64)
    inside[having[(end < window[0]) | (begin > window[1])]] = 0.0
    over_an_edge = (begin <= window[1]) & (end >= window[0]) & ((begin < window[0]) | (end > window[1]))
    for row in having[over_an_edge]:
        chunks = slice(columns.offsets[row], columns.offsets[row + 1])
        within = (times[chunks] >= window[0]) & (times[chunks] <= window[1])
        inside[row] = columns.chunk_tokens[chunks].sum(where=within)
    shares[having] = inside[having] / _lengths(columns, arrived)[having]
    return shares


def _lengths(columns: Columns, arrived: npt.NDArray[np.int64]) -> Floats:
    """Tokens of each request's whole answer: what arrived, and of one that was cut off what was to come too."""
    succeeded = columns.outcomes == str(Outcome.SUCCEEDED)
    whole = succeeded | (columns.integers["completion_tokens"] != ABSENT)
    usual = float(arrived[succeeded].mean()) if succeeded.any() else 0.0
    asked = columns.integers["output_tokens_asked"]
    expected = np.where(asked > 0, asked.astype(np.float64), usual)
    return np.where(whole, arrived, np.maximum(arrived, expected))


def concurrency(floats: Mapping[str, Floats], window: Window) -> float:
    """Mean number of requests in flight over the window."""
    begun, ended = floats["sent_s"], np.nan_to_num(floats["ended_s"], nan=window[1])
    overlap = np.minimum(ended, window[1]) - np.maximum(begun, window[0])
    return float(np.nansum(np.maximum(overlap, 0))) / max(window[1] - window[0], 1e-9)


def whole_span(floats: Mapping[str, Floats], good: Mask) -> float | None:
    """Last end less first send over the good requests: what vLLM's benchmark divides by."""
    if not good.any():
        return None
    return float(np.nanmax(floats["ended_s"][good]) - np.nanmin(floats["sent_s"][good])) or None
