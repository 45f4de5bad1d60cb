from __future__ import annotations

from harness.plan.cells import Cell
from harness.results.account import RunAccount, State, SweepAccount, account
from harness.results.journal import Event

CELL = Cell("gpua5000", 1, 1, "0.15.1", "m", ())
OTHER = Cell("gpu3", 1, 1, "0.15.1", "m", ())
RUN = f"{CELL.id}-r0"


def replay(*steps: tuple[str, str | None, dict[str, object]], repeats: int = 1) -> SweepAccount:
    events = [Event(n, float(n), run_id, kind, data) for n, (kind, run_id, data) in enumerate(steps, 1)]
    return account([CELL, OTHER], repeats=repeats, events=events)


def first(found: SweepAccount) -> RunAccount:
    assert found.runs[0].run_id == RUN
    return found.runs[0]


def test_every_planned_run_is_listed_even_without_a_journal() -> None:
    found = replay(repeats=2)
    assert [run.run_id for run in found.runs] == [f"{c.id}-r{n}" for c in (CELL, OTHER) for n in (0, 1)]
    assert found.counts() == {"not started": 4}
    assert (found.finished, found.started_unix) == (False, None)


def test_a_measured_run_keeps_its_time_to_ready_and_points() -> None:
    run = first(
        replay(
            ("sweep-started", None, {}),
            ("create-intended", RUN, {"name": "x"}),
            ("created", RUN, {}),
            ("ready", RUN, {"time_to_ready_s": 42.0}),
            ("point-finished", RUN, {"point": 1}),
            ("point-finished", RUN, {"point": 0}),
            ("measured", RUN, {}),
            ("deleted", RUN, {}),
        )
    )
    assert (run.state, run.time_to_ready_s, run.points, run.deleted) == (State.MEASURED, 42.0, (0, 1), True)
    assert run.reason is None


def test_a_failure_after_the_measurement_does_not_unmake_it() -> None:
    run = first(replay(("measured", RUN, {}), ("failed", RUN, {"cause": "delete", "detail": "409"})))
    assert run.state is State.MEASURED


def test_a_failed_run_says_why_and_where_and_a_repeated_cause_is_said_once() -> None:
    run = first(
        replay(
            ("created", RUN, {}), ("failed", RUN, {"cause": "oom", "detail": "oom: no blocks", "phase": "p"})
        )
    )
    assert (run.state, run.phase, run.deleted) == (State.FAILED, "p", False)
    assert run.reason == "oom: no blocks"


def test_a_refusal_is_of_the_cell_and_hits_all_its_repeats() -> None:
    found = replay(("cell-refused", RUN, {"reason": "bad flag", "diagnostics": ["a", "b"]}), repeats=3)
    assert found.counts() == {"refused": 3, "not started": 3}
    assert first(found).reason == "bad flag: a; b"


def test_a_run_that_had_begun_when_the_sweep_ended_is_interrupted() -> None:
    found = replay(
        ("sweep-started", None, {}), ("created", RUN, {}), ("sweep-interrupted", None, {"signal": "SIGINT"})
    )
    assert first(found).state is State.INTERRUPTED
    assert found.counts() == {"interrupted": 1, "not started": 1}
    assert (found.finished, found.interrupted_by) == (False, "SIGINT")


def test_a_resumed_sweep_is_judged_by_its_last_end() -> None:
    found = replay(
        ("sweep-started", None, {}),
        ("sweep-interrupted", None, {"signal": "SIGINT"}),
        ("sweep-resumed", None, {}),
        ("skipped", RUN, {"reason": "no capacity"}),
        ("sweep-finished", None, {"counts": {}}),
    )
    assert (found.finished, found.interrupted_by) == (True, None)
    assert (found.started_unix, found.ended_unix) == (1.0, 5.0)
    assert first(found).state is State.SKIPPED


def test_a_failed_run_that_starts_over_is_no_longer_failed() -> None:
    run = first(
        replay(("failed", RUN, {"cause": "reset"}), ("create-intended", RUN, {}), ("measured", RUN, {}))
    )
    assert (run.state, run.reason) == (State.MEASURED, None)


def test_events_of_unknown_runs_change_nothing() -> None:
    assert replay(("measured", "ffff-r0", {}), ("measured", f"{CELL.id}-r9", {})).counts() == {
        "not started": 2
    }
