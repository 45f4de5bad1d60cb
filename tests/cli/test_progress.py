"""The live view of a sweep: what a person sees of events and load tests, by a clock that stands still until told."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest
from rich.console import Console

from harness.cli.progress import SweepView
from harness.load.monitor import Progress
from harness.plan.cells import Cell
from harness.sweep.deployers import Run

RUNS = [Run(Cell("gpua5000", count, 1, "0.15.1", "m/m", ()), 0, "test") for count in (1, 2)]
MEASURING = Progress("measure", 2.0, 8.0, 3, 10, 1, 5.0, 212.4, 0.0512, 0.02)


@dataclass
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


def shown(view: SweepView) -> str:
    out = io.StringIO()
    Console(file=out, width=140).print(view.table())
    return out.getvalue()


def test_a_load_test_names_its_level_and_its_figures() -> None:
    view = SweepView(RUNS, clock=Clock())
    view.notice(RUNS[0].id, "measuring-started", {"point": 0, "label": "c8"})
    view.progress(RUNS[0].id, 0, MEASURING)
    assert "c8: measure, 3 in flight, 212 tok/s, TTFT 51 ms, 1 failed" in shown(view)


def test_runs_that_wait_are_not_in_the_table_and_those_under_way_show_for_how_long() -> None:
    clock = Clock()
    view = SweepView(RUNS, clock=clock)
    view.notice(RUNS[0].id, "provisioning", {"state": "deploying"})
    clock.now_s += 75
    table = shown(view)
    assert "0/2 runs, 1m 15s elapsed" in table
    assert [word for word in ("provisioning", "1m 15s", "deploying") if word not in table] == []
    assert RUNS[1].cell.label not in table


def test_starts_of_a_cloud_that_hurries_are_told_in_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    with SweepView(RUNS, simulated_time=True, clock=Clock()) as view:
        view.notice(RUNS[0].id, "ready", {"time_to_ready_s": 125.0})
        view.notice(RUNS[0].id, "ready", {"time_to_ready_s": 65.0, "resumed": True})
    told = f"[0.0 s, 0/2] {RUNS[0].cell.label}: ready"
    assert capsys.readouterr().err.splitlines() == [
        f"{told} after 2m 05s (simulated time)",
        f"{told} again after 1m 05s (simulated time)",
    ]


def test_the_time_to_go_is_at_the_pace_of_the_runs_that_ended() -> None:
    clock = Clock()
    view = SweepView(RUNS, clock=clock)
    assert view.left_s() is None
    clock.now_s += 40
    view.notice(RUNS[0].id, "measured", {})
    assert view.left_s() == 40
    assert "1/2 runs, 40.0 s elapsed, about 40.0 s to go" in shown(view)


def test_without_a_terminal_what_matters_is_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with SweepView(RUNS, clock=clock) as view:
        view.notice(RUNS[0].id, "provisioning", {"state": "deploying"})
        clock.now_s += 130
        view.notice(RUNS[0].id, "ready", {"time_to_ready_s": 125.0})
        view.notice(RUNS[0].id, "failed", {"detail": "no capacity"})
        view.notice("of-another-sweep", "failed", {"detail": "not ours"})
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"[2m 10s, 0/2] {RUNS[0].cell.label}: ready after 2m 05s",
        f"[2m 10s, 1/2] {RUNS[0].cell.label}: failed: no capacity",
    ]
