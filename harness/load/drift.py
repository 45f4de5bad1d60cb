"""Is a window in a steady state? Tests for a trend of TTFT and of tokens per second. Pure.

A trend counts when it is both significant (t above 3) and large (a fifth of the mean between the ends). It is told as
what the first and the last third of the window had: the ends of a straight line may lie below 0.
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
OVER = "over the window (medians of its first and last third)"


def trend(times: Floats, values: Floats) -> float | None:
    """Change over the span relative to the mean, when it is significant and large; else None.

    Significance by Spearman's rank correlation, the size by a straight line through the values; None where the two,
    or the medians of the first and the last third, do not point the same way.
    """
    if len(values) < FEWEST_POINTS or values.mean() == 0 or np.ptp(times) == 0 or np.ptp(values) == 0:
        return None
    correlation = float(np.corrcoef(_ranks(times), _ranks(values))[0, 1])
    t = abs(correlation) * math.sqrt((len(values) - 2) / max(1 - correlation**2, 1e-12))
    slope = float(np.polyfit(times, values, 1)[0])
    change = slope * float(np.ptp(times)) / float(values.mean())
    first, last = thirds(times, values)
    agree = change * correlation > 0 and change * (last - first) > 0
    return change if agree and t > SIGNIFICANT_T and abs(change) > LARGE_CHANGE else None


def thirds(times: Floats, values: Floats) -> tuple[float, float]:
    """Medians over the first and over the last third of the values in time."""
    ordered = values[np.argsort(times, kind="stable")]
    count = max(len(ordered) // 3, 1)
    return float(np.median(ordered[:count])), float(np.median(ordered[-count:]))


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
        first, last = thirds(sent_s[known], ttft_s[known])
        verb = "rises" if ttft_change > 0 else "falls"
        found.append(f"TTFT {verb} from {first * 1000:.0f} to {last * 1000:.0f} ms {OVER}")
    if window[1] > window[0]:
        rates = _binned(token_times_s, tokens, window)
        numbers = np.arange(BINS, dtype=np.float64)
        rate_change = trend(numbers, rates)
        if rate_change is not None:
            bin_s = (window[1] - window[0]) / BINS
            first, last = (tokens_of_bin / bin_s for tokens_of_bin in thirds(numbers, rates))
            verb = "rise" if rate_change > 0 else "fall"
            found.append(f"tokens/s {verb} from {first:.0f} to {last:.0f} {OVER}")
    return tuple(found)


def _binned(times_s: Floats, weights: npt.NDArray[Any], window: tuple[float, float]) -> Floats:
    """Weights of each twelfth of the window, some of 10 million at a time."""
    found = np.zeros(BINS)
    for start in range(0, len(times_s), AT_A_TIME):
        part = slice(start, start + AT_A_TIME)
        found += np.histogram(times_s[part], BINS, window, weights=weights[part])[0]
    return found
