"""Figures of each request, as arrays over all requests of a stage. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.load.columns import ABSENT, Columns, Floats
from harness.load.records import Outcome
from harness.load.summary import LatencySummary, summary

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RequestFigures:
    """Figures of every request (NaN where absent), which requests they may be summed over, and all gaps.

    ``good`` marks measured requests that succeeded; ``gap_owner`` is the request a gap belongs to.
    """

    ttft: Floats
    e2e: Floats
    tpot: Floats
    stall: Floats
    lateness: Floats
    gaps: Floats
    gap_owner: npt.NDArray[np.int32]
    measured: Mask
    good: Mask

    @staticmethod
    def of(columns: Columns) -> RequestFigures:
        """The figures of facts: ttft, e2e, tpot over tokens after the first chunk, gaps between chunks."""
        sent, first, last = (columns.floats[name] for name in ("sent_s", "first_token_s", "last_token_s"))
        counts = np.diff(columns.offsets)
        gap_counts = np.maximum(counts - 1, 0)
        gaps = _gaps(columns)
        gap_owner = np.repeat(np.arange(len(columns), dtype=np.int32), gap_counts)
        stall = np.full(len(columns), np.nan)
        having = gap_counts > 0
        if having.any():
            stall[having] = np.maximum.reduceat(gaps, (np.cumsum(gap_counts) - gap_counts)[having])
        measured = ~columns.flags["warmup"]
        return RequestFigures(
            ttft=first - sent,
            e2e=last - sent,
            tpot=_tpot(columns, counts),
            stall=stall,
            lateness=sent - columns.floats["scheduled_s"],
            gaps=gaps,
            gap_owner=gap_owner,
            measured=measured,
            good=measured & (columns.outcomes == str(Outcome.SUCCEEDED)),
        )

    def good_gaps(self) -> Floats:
        """The gaps of good requests, not to be written to."""
        return self.gaps if self.good.all() else self.gaps[self.good[self.gap_owner]]


def _gaps(columns: Columns) -> Floats:
    """Times between chunks of one request, all requests one after another."""
    between = np.diff(columns.chunk_times_s)
    ends = columns.offsets[1:-1]
    ends = ends[(ends > 0) & (ends < len(columns.chunk_times_s))]
    if not len(ends):
        return between
    within = np.ones(len(between), np.bool_)
    within[ends - 1] = False
    return between[within]


def chunks_of(columns: Columns, requests: Mask) -> Mask:
    """Which chunks belong to the requests marked."""
    return np.repeat(requests, np.diff(columns.offsets))


def tokens_of_requests(columns: Columns) -> npt.NDArray[np.int64]:
    """Tokens that arrived in each request's chunks."""
    tokens = np.zeros(len(columns), np.int64)
    having = np.diff(columns.offsets) > 0
    if having.any():
        tokens[having] = np.add.reduceat(columns.chunk_tokens, columns.offsets[:-1][having], dtype=np.int64)
    return tokens


def ttft_by_turn(columns: Columns, figures: RequestFigures) -> dict[int, LatencySummary]:
    """TTFT of each turn of conversations, over requests that succeeded; empty where there are none."""
    turns = columns.integers["turn"]
    known = np.unique(turns[figures.good & (turns != ABSENT)])
    return {int(turn): summary(figures.ttft[figures.good & (turns == turn)]) for turn in known}


def _tpot(columns: Columns, chunk_counts: npt.NDArray[np.int64]) -> Floats:
    """``(last - first) / (n - tokens in the first chunk)``, NaN where that divisor is below 1."""
    first_tokens = np.zeros(len(columns))
    having = chunk_counts > 0
    first_tokens[having] = columns.chunk_tokens[columns.offsets[:-1][having]]
    first_tokens = np.maximum(first_tokens, 1)
    total = columns.integers["completion_tokens"]
    divisor = np.where(total == ABSENT, np.nan, total - first_tokens)
    divisor[~(divisor >= 1)] = np.nan
    span: Floats = columns.floats["last_token_s"] - columns.floats["first_token_s"]
    return span / divisor
