"""Is a window in a steady state? Tests for a trend of TTFT and of tokens per second. Pure.

A trend counts when it is both significant (t above 3) and large (a fifth of the mean between the ends).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.load.summary import Floats

SIGNIFICANT_T = 3.0
LARGE_CHANGE = 0.2
FEWEST_POINTS = 10
BINS = 12
AT_A_TIME = 1 << 20


def trend(times: Floats, values: Floats) -> float | None:
    """Change over the span relative to the mean, when it is significant and large; else None.

    Significance by Spearman's rank correlation, the size by a straight line through the values.
    """
    if len(values) < FEWEST_POINTS or values.mean() == 0 or np.ptp(times) == 0 or np.ptp(values) == 0:
        return None
    correlation = float(np.corrcoef(_ranks(times), _ranks(values))[0, 1])
    t = abs(correlation) * math.sqrt((len(values) - 2) / max(1 - correlation**2, 1e-12))
    slope = float(np.polyfit(times, values, 1)[0])
    change = slope * float(np.ptp(times)) / float(values.mean())
    return change if t > SIGNIFICANT_T and abs(change) > LARGE_CHANGE else None


def _ranks(values: Floats) -> Floats:
    """Ranks from 0, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = (ends - (counts + 1) / 2)[inverse]
    return ranks


def drifts(
    sent_s: Floats,
    ttft_s: Floats,
    *,
    token_times_s: Floats,
    tokens: npt.NDArray[Any],
    window: tuple[float, float],
) -> tuple[str, ...]:
    """What drifts over the window, in words; empty when it looks steady. Tokens outside the window do not count."""
    found = []
    known = ~np.isnan(ttft_s)
    ttft_change = trend(sent_s[known], ttft_s[known])
    if ttft_change is not None:
        found.append(
            f"TTFT {'rises' if ttft_change > 0 else 'falls'} by {abs(ttft_change):.0%} over the window"
        )
    if window[1] > window[0]:
        rates = _binned(token_times_s, tokens, window)
        rate_change = trend(np.arange(BINS, dtype=np.float64), rates)
        if rate_change is not None:
            found.append(
                f"tokens/s {'rise' if rate_change > 0 else 'fall'} by {abs(rate_change):.0%} over the window"
            )
    return tuple(found)


def _binned(times_s: Floats, weights: npt.NDArray[Any], window: tuple[float, float]) -> Floats:
    """Weights of each twelfth of the window, some of 10 million at a time."""
    found = np.zeros(BINS)
    for start in range(0, len(times_s), AT_A_TIME):
        part = slice(start, start + AT_A_TIME)
        found += np.histogram(times_s[part], BINS, window, weights=weights[part])[0]
    return found
