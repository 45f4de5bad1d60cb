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
        *_vllm(columns, figures, tokens, gaps),
    )


def _guidellm(sent: Floats, first: Floats, last: Floats, tokens: Floats) -> tuple[Variant, ...]:
    """Its TPOT holds the TTFT; its ITL is one mean per request, weighted by tokens; percentiles by nearest rank."""
    per_request = (last - first) / _above_zero(tokens - 1)
    repeats = np.nan_to_num(np.maximum(tokens - 1, 0)).astype(np.int64)
    return (
        Variant("guidellm", "TTFT", "first_token - sent", _nearest(first - sent)),
        Variant("guidellm", "TPOT", "(last_token - sent) / n", _nearest((last - sent) / _above_zero(tokens))),
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


def _vllm(columns: Columns, figures: RequestFigures, tokens: Floats, gaps: Floats) -> tuple[Variant, ...]:
    """Starts before connecting; the role chunk is its first token; the usage chunk is its last.

    Our records have no instant of the usage chunk: ``done``, which follows it at once, stands in.
    """
    good, floats = figures.good, columns.floats
    opening = np.nan_to_num(floats["connect_time_s"]) + np.nan_to_num(floats["tls_time_s"])
    start = (floats["sent_s"] - opening)[good]
    role, first = floats["role_s"][good], floats["first_token_s"][good]
    begun = np.where(np.isnan(role), first, role)
    end = floats["done_s"][good]
    role_gaps = (first - role)[~np.isnan(role)]
    gaps = np.concatenate([gaps, role_gaps])
    return (
        Variant("vllm bench", "TTFT", "role chunk - start, connecting included", summary(begun - start)),
        Variant(
            "vllm bench",
            "TPOT",
            "(last message - role chunk) / (n - 1)",
            summary((end - begun) / _above_zero(tokens - 1)),
        ),
        Variant("vllm bench", "ITL", "gaps between chunks, pooled, from the role chunk on", summary(gaps)),
    )


def _above_zero(values: Floats) -> Floats:
    """Divisors, NaN where a division would mean nothing."""
    return np.where(values > 0, values, np.nan)


def _nearest(values: Floats) -> LatencySummary:
    """A summary whose percentiles are values that occurred."""
    return summary_by(values, "inverted_cdf")
