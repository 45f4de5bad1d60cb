"""The live view of a sweep on stderr: runs by phase, what the load test says now, elapsed and left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from harness.load.monitor import Progress
from harness.sweep.deployers import Run
from harness.units import format_duration

PHASES = {
    "create-intended": "creating",
    "created": "creating",
    "provisioning": "provisioning",
    "ready": "ready",
    "measuring-started": "measuring",
    "measured": "measured",
    "failed": "failed",
    "skipped": "skipped",
    "delete-intended": "deleting",
    "deleted": "deleted",
}
LONGEST_DETAIL = 76
SETTLED = ("measured", "failed", "skipped")
SAID = ("ready", "search-ended", "level-skipped", "measured", "failed", "skipped", "delete-refused")


@dataclass(slots=True)
class _Row:
    run: Run
    phase: str = "waiting"
    since: float = 0.0
    detail: str = ""
    level: str = ""
    outcome: str | None = None


class SweepView:
    """A table on a terminal, one line per turn of events elsewhere. A context manager; ``notice`` feeds it.

    ``simulated_time``: starts are told in the time of a cloud that goes faster than the clock beside them.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        *,
        simulated_time: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rows = {run.id: _Row(run) for run in runs}
        self._start_unit = " (simulated time)" if simulated_time else ""
        self._clock = clock
        self._started = clock()
        self._live: Any = None

    def __enter__(self) -> SweepView:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                get_renderable=self.table, console=Console(stderr=True), refresh_per_second=4, transient=True
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def notice(self, run_id: str, kind: str, data: Mapping[str, Any]) -> None:
        """Follow one journal event."""
        row = self._rows.get(run_id)
        if row is None:
            return
        row.phase = PHASES.get(kind, row.phase)
        row.since = self._clock()
        row.detail = str(
            data.get("answer")
            or data.get("label")
            or data.get("state")
            or data.get("detail")
            or data.get("reason")
            or ""
        )
        if kind == "measuring-started":
            row.level = str(data.get("label", ""))
        if kind in SETTLED:
            row.outcome = kind
        if self._live is None and kind in SAID:
            click.echo(self._line(row, kind, data), err=True)

    def progress(self, run_id: str, point: int, progress: Progress) -> None:
        """Follow a load test."""
        row = self._rows.get(run_id)
        if row is not None:
            row.detail = f"{row.level}: {told(progress)}" if row.level else told(progress)

    def say(self, text: str) -> None:
        """A line above the table."""
        if self._live is not None:
            self._live.console.print(text)
        else:
            click.echo(text, err=True)

    def _line(self, row: _Row, kind: str, data: Mapping[str, Any]) -> str:
        done = sum(each.outcome is not None for each in self._rows.values())
        elapsed = format_duration(self._clock() - self._started)
        detail = f": {row.detail}" if row.detail else ""
        if kind == "ready":
            again = " again" if data.get("resumed") else ""  # it was scaled to zero in between
            detail = f"{again} after {format_duration(data['time_to_ready_s'])}{self._start_unit}"
        return f"[{elapsed}, {done}/{len(self._rows)}] {row.run.cell.label}: {kind}{detail}"

    def left_s(self) -> float | None:
        """Seconds still to go, from the pace so far; None before the first run has ended."""
        done = sum(row.outcome is not None for row in self._rows.values())
        if not done:
            return None
        return (self._clock() - self._started) / done * (len(self._rows) - done)

    def table(self) -> Any:
        """The runs under way, as rich shows them: each with its phase, for how long, and what its load test says."""
        from rich.table import Table

        done = sum(row.outcome is not None for row in self._rows.values())
        left = self.left_s()
        title = f"{done}/{len(self._rows)} runs, {format_duration(self._clock() - self._started)} elapsed"
        if left is not None and done < len(self._rows):
            title += f", about {format_duration(left)} to go"
        table = Table(title=title, expand=False)
        for name in ("cell", "phase", "for", "now"):
            table.add_column(name, overflow="fold")
        active = [row for row in self._rows.values() if row.phase not in ("waiting", "deleted", "skipped")]
        for row in active[-12:]:
            shown = row.outcome or row.phase
            table.add_row(
                row.run.cell.label,
                shown,
                format_duration(self._clock() - row.since),
                row.detail[:LONGEST_DETAIL],
            )
        return table


def told(progress: Progress) -> str:
    """What a load test says now, short enough for a table."""
    if progress.waiting_for:
        return f"waiting for {progress.waiting_for} shards"
    words = [progress.phase, f"{progress.in_flight} in flight", f"{progress.output_tok_s:.0f} tok/s"]
    if progress.ttft_s is not None:
        words.append(f"TTFT {progress.ttft_s * 1000:.0f} ms")
    if progress.failed:
        words.append(f"{progress.failed} failed")
    return ", ".join(words)
