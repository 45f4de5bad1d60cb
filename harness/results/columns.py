"""The records of one measured point as columns: what reports read, a hundred numbers at a time. Pure.

A float column holds NaN, and so does an optional count, where the record holds None.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.load.records import ClientStats, Outcome, RequestRecord, StageResult

INSTANTS = (
    "sent_s", "connected_s", "headers_s", "role_s", "first_token_s", "last_token_s", "done_s", "ended_s",
    "connect_time_s", "tls_time_s",
)  # fmt: skip
OPTIONAL_COUNTS = (
    "prompt_tokens", "completion_tokens", "cached_tokens", "input_tokens_asked", "output_tokens_asked", "status",
)  # fmt: skip
COUNTS = ("index", "kernel_reads", "user_reads", "coalesced_reads")
TEXTS = ("outcome", "detail", "finish_reason")


@dataclass(frozen=True, slots=True)
class PointMeta:
    """Whose point it is and how it was measured; the records file carries it as JSON (``results/README.md``)."""

    run_id: str
    cell_id: str
    repeat: int
    point: int
    simulated: bool
    label: str
    stage: Mapping[str, Any]
    window_start_s: float
    window_end_s: float
    started_at_unix: float
    client: ClientStats
    probe: Mapping[str, Any] = field(default_factory=dict)
    server_metrics: Mapping[str, float] | None = None
    interrupted: bool = False

    @property
    def window_s(self) -> float:
        """Length of the measurement window."""
        return self.window_end_s - self.window_start_s


@dataclass(frozen=True, slots=True)
class RecordColumns:
    """One measured point. ``columns`` maps each field of RequestRecord to an array with one item a request.

    The chunks of request i are ``chunk_times_s[chunk_offsets[i]:chunk_offsets[i + 1]]``, likewise their tokens.
    """

    meta: PointMeta
    columns: Mapping[str, npt.NDArray[Any]]
    chunk_offsets: npt.NDArray[np.int64]
    chunk_times_s: npt.NDArray[np.float64]
    chunk_tokens: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.chunk_offsets) - 1

    def to_stage_result(self) -> StageResult:
        """The same point as objects, one a request, for code that wants them; chunk arrays are views."""
        meta = self.meta
        return StageResult(
            label=meta.label,
            stage=meta.stage,
            records=self._records(),
            window_start_s=meta.window_start_s,
            window_end_s=meta.window_end_s,
            started_at_unix=meta.started_at_unix,
            client=meta.client,
            probe=meta.probe,
            server_metrics=meta.server_metrics,
            interrupted=meta.interrupted,
        )

    def _records(self) -> list[RequestRecord]:
        lists: dict[str, list[Any]] = {
            name: _with_none(self.columns[name], whole=name in OPTIONAL_COUNTS)
            for name in (*INSTANTS, *OPTIONAL_COUNTS)
        }
        for name in (*COUNTS, "scheduled_s", "tokens_assumed", "detail", "finish_reason"):
            lists[name] = self.columns[name].tolist()
        outcomes = {outcome.value: outcome for outcome in Outcome}
        lists["outcome"] = [outcomes[text] for text in self.columns["outcome"].tolist()]
        starts = self.chunk_offsets.tolist()
        lists["chunk_times_s"] = [self.chunk_times_s[a:b] for a, b in itertools.pairwise(starts)]
        lists["chunk_tokens"] = [self.chunk_tokens[a:b] for a, b in itertools.pairwise(starts)]
        names = list(lists)
        return [
            RequestRecord(**dict(zip(names, row, strict=True))) for row in zip(*lists.values(), strict=True)
        ]


def columns_of(records: list[RequestRecord]) -> dict[str, npt.NDArray[Any]]:
    """The fixed-width fields of the records, one array each; None becomes NaN (texts keep None)."""
    found: dict[str, npt.NDArray[Any]] = {
        "scheduled_s": np.array([record.scheduled_s for record in records], np.float64),
        "tokens_assumed": np.array([record.tokens_assumed for record in records], np.bool_),
    }
    for name in (*INSTANTS, *OPTIONAL_COUNTS):
        values = [getattr(record, name) for record in records]
        found[name] = np.array([np.nan if value is None else value for value in values], np.float64)
    for name in COUNTS:
        found[name] = np.array([getattr(record, name) for record in records], np.int64)
    for name in TEXTS:
        found[name] = np.array([_text(getattr(record, name)) for record in records], dtype=object)
    return found


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _with_none(values: npt.NDArray[np.float64], *, whole: bool) -> list[float | int | None]:
    absent = np.isnan(values).tolist()
    if whole:
        return [None if gone else int(value) for value, gone in zip(values.tolist(), absent, strict=True)]
    return [None if gone else value for value, gone in zip(values.tolist(), absent, strict=True)]
