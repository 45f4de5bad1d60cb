"""One measured point: whose it is, how it was measured, and its records as columns. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.load.columns import Columns, records_of
from harness.load.records import ClientStats, StageResult


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
    server_restarted: bool = False
    ended_early: str | None = None
    interrupted: bool = False

    @property
    def window_s(self) -> float:
        """Length of the measurement window."""
        return self.window_end_s - self.window_start_s


@dataclass(frozen=True, slots=True)
class Point:
    """A point and its records."""

    meta: PointMeta
    columns: Columns

    def __len__(self) -> int:
        return len(self.columns)

    def to_stage_result(self) -> StageResult:
        """The same point as objects, one a request, for code that wants them; chunk arrays are views."""
        meta = self.meta
        return StageResult(
            label=meta.label,
            stage=meta.stage,
            records=records_of(self.columns),
            window_start_s=meta.window_start_s,
            window_end_s=meta.window_end_s,
            started_at_unix=meta.started_at_unix,
            client=meta.client,
            probe=meta.probe,
            server_metrics=meta.server_metrics,
            server_restarted=meta.server_restarted,
            ended_early=meta.ended_early,
            interrupted=meta.interrupted,
        )
