"""The same records under other tools' definitions, to set our figures beside theirs. Pure.

One word means several things in this field; each variant says what it computes. Versions read: guidellm 0.8.1, aiperf
0.13.0, vLLM's serving benchmark 0.15.1. Throughput of all three is over the whole run, tail included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.load.columns import ABSENT, Columns, Floats, columns_of
from harness.load.figures import RequestFigures
from harness.load.records import StageResult
from harness.load.summary import LatencySummary, summary, summary_by


@dataclass(frozen=True, slots=True)
class Variant:
    """One figure as one tool defines it; ``definition`` says how, in our names for the instants."""

    tool: str
    figure: str
    definition: str
    summary: LatencySummary


def variants(result: StageResult) -> tuple[Variant, ...]:
    """TTFT, time per token and gaps of the measured, successful requests as four tools would report them."""
    return variants_of_columns(columns_of(result.records))


def variants_of_columns(columns: Columns) -> tuple[Variant, ...]:
    """``variants`` from columns."""
    figures = RequestFigures.of(columns)
    good, floats, gaps = figures.good, columns.floats, figures.good_gaps()
    count = columns.integers["completion_tokens"][good]
    tokens = np.where(count == ABSENT, np.nan, count).astype(np.float64)
    sent, first, last = (floats[name][good] for name in ("sent_s", "first_token_s", "last_token_s"))
    return (
        Variant("harness", "TTFT", "first_token - sent", summary(figures.ttft[good])),
        Variant(
            "harness", "TPOT", "(last_token - first_token) / (n - first chunk's)", summary(figures.tpot[good])
        ),
        Variant("harness", "ITL", "gaps between chunks, pooled", summary(gaps)),
        *_guidellm(sent, first, last, tokens),
        *_aiperf(sent, first, last, tokens, gaps),
        *_vllm(columns, figures, tokens),
    )


def _guidellm(sent: Floats, first: Floats, last: Floats, tokens: Floats) -> tuple[Variant, ...]:
    """Its TPOT holds the TTFT; both are one mean per request, weighted by tokens; percentiles by nearest rank."""
    per_request = (last - first) / _above_zero(tokens - 1)
    count = np.nan_to_num(np.maximum(tokens, 0)).astype(np.int64)
    repeats = np.maximum(count - 1, 0)
    tpot = np.repeat((last - sent) / _above_zero(tokens), count)
    return (
        Variant("guidellm", "TTFT", "first_token - sent", _nearest(first - sent)),
        Variant("guidellm", "TPOT", "(last_token - sent) / n per token", _nearest(tpot)),
        Variant(
            "guidellm",
            "ITL",
            "(last_token - first_token) / (n - 1) per token",
            _nearest(np.repeat(per_request, repeats)),
        ),
    )


def _aiperf(sent: Floats, first: Floats, last: Floats, tokens: Floats, gaps: Floats) -> tuple[Variant, ...]:
    """No TPOT: what others call so is its ITL; the gaps are its inter-chunk latency."""
    itl = (last - first) / _above_zero(tokens - 1)
    return (
        Variant("aiperf", "TTFT", "first_token - sent", summary(first - sent)),
        Variant("aiperf", "ITL", "(last_token - first_token) / (n - 1)", summary(itl)),
        Variant("aiperf", "ICL", "gaps between chunks, pooled", summary(gaps)),
    )


def vllm_instants(columns: Columns) -> tuple[Floats, Floats, Floats]:
    """Start, first token and end of every request as vLLM's benchmark stamps them; NaN where they never came.

    It starts before connecting; the role chunk is its first token; the usage chunk is its last. Our records have no
    instant of the usage chunk: ``done``, which follows it at once, stands in.
    """
    floats = columns.floats
    opening = np.nan_to_num(floats["connect_time_s"]) + np.nan_to_num(floats["tls_time_s"])
    role, first = floats["role_s"], floats["first_token_s"]
    return floats["sent_s"] - opening, np.where(np.isnan(role), first, role), floats["done_s"]


def vllm_gaps(columns: Columns, figures: RequestFigures) -> Floats:
    """The gaps it pools over requests: between chunks, the role chunk being the first."""
    good = figures.good
    role_gaps = (columns.floats["first_token_s"] - columns.floats["role_s"])[good]
    return np.concatenate([figures.good_gaps(), role_gaps[~np.isnan(role_gaps)]])


def _vllm(columns: Columns, figures: RequestFigures, tokens: Floats) -> tuple[Variant, ...]:
    start, begun, end = (instants[figures.good] for instants in vllm_instants(columns))
    return (
        Variant("vllm bench", "TTFT", "role chunk - start, connecting included", summary(begun - start)),
        Variant(
            "vllm bench",
            "TPOT",
            "(last message - role chunk) / (n - 1)",
            summary((end - begun) / _above_zero(tokens - 1)),
        ),
        Variant(
            "vllm bench",
            "ITL",
            "gaps between chunks, pooled, from the role chunk on",
            summary(vllm_gaps(columns, figures)),
        ),
    )


def _above_zero(values: Floats) -> Floats:
    """Divisors, NaN where a division would mean nothing."""
    return np.where(values > 0, values, np.nan)


def _nearest(values: Floats) -> LatencySummary:
    """A summary whose percentiles are values that occurred."""
    return summary_by(values, "inverted_cdf")
