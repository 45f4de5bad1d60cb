"""When a deployment is begun and when it is scaled to zero, in hand-worked timetables."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from harness.errors import ApiError, EngineStartError
from harness.plan.cells import Cell
from harness.sweep.deployers import Ready, Run
from harness.sweep.interrupts import Interrupts
from harness.sweep.outcome import SweepOutcome
from harness.sweep.pacing import Pacing, idle_s, scaling_costs_s
from harness.sweep.runner import Limits, SweepRunner
from harness.sweep.starts import SPREAD, Starts, seen_starts
from harness.sweep.states import Result

COLD, WARM, DOWN_S = Starts(300.0), Starts(120.0), 30.0
LATE_S = 535.7191  # 300 x exp(0.41 x sqrt(2))


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def timetable(clock: Clock, *, load_s: float = 600.0, slots: int = 1) -> Pacing:
    return Pacing(dict.fromkeys("abcdef", load_s), COLD, WARM, DOWN_S, clock, slots)


def test_a_turn_comes_when_all_before_it_have_had_theirs() -> None:
    clock = Clock()
    pacing = timetable(clock)
    for run in "abcd":
        pacing.take_place(run)
    assert [pacing.wait_s(run) for run in "abcd"] == [0.0, 600.0, 1200.0, 1800.0]
    pacing.begin("a")
    clock.now_s = 200.0
    assert [pacing.wait_s(run) for run in "bcd"] == [400.0, 1000.0, 1600.0]
    pacing.leave("c")
    pacing.leave("a")
    assert [pacing.wait_s(run) for run in "bd"] == [0.0, 600.0]


def test_one_that_takes_longer_than_thought_is_about_to_end() -> None:
    clock = Clock()
    pacing = timetable(clock)
    pacing.take_place("a")
    pacing.take_place("b")
    pacing.begin("a")
    clock.now_s = 5000.0
    assert pacing.wait_s("b") == 0.0


def test_two_at_once_halve_the_waiting() -> None:
    pacing = timetable(Clock(), slots=2)
    for run in "abcde":
        pacing.take_place(run)
    assert [pacing.wait_s(run) for run in "abcde"] == [0.0, 0.0, 600.0, 600.0, 1200.0]


def test_a_create_is_held_back_until_a_late_start_would_just_be_in_time() -> None:
    assert pytest.approx(LATE_S, abs=1e-3) == COLD.late_s
    clock = Clock()
    pacing = timetable(clock)
    for run in "ab":
        pacing.take_place(run)
    pacing.begin("a")
    assert not pacing.is_near("b")
    clock.now_s = 600.0 - LATE_S + 0.01
    assert pacing.is_near("b")


def test_scaling_to_zero_pays_from_where_the_arithmetic_says() -> None:
    # Between two cells the restart that a changed parameter takes anyway is saved.
    assert scaling_costs_s(COLD, WARM, DOWN_S, restarts=True) == pytest.approx(30 + LATE_S - 120, abs=1e-3)
    assert scaling_costs_s(COLD, WARM, DOWN_S, restarts=False) == pytest.approx(30 + LATE_S, abs=1e-3)
    # Where cold starts turn out quick a restart saves no more than one.
    assert scaling_costs_s(Starts(300.0, [10.0]), WARM, DOWN_S, restarts=True) > DOWN_S


def test_what_a_run_waits_is_counted_in_the_plan() -> None:
    def idle(others_s: float, *, fresh: bool) -> float:
        return idle_s(others_s, COLD, WARM, DOWN_S, is_fresh=fresh)

    assert (idle(0.0, fresh=True), idle(0.0, fresh=False)) == (0.0, 0.0)
    assert idle(250.0, fresh=True) == 0.0  # it is over before the deployment is up
    assert idle(400.0, fresh=True) == 100.0
    assert idle(9999.0, fresh=True) == pytest.approx(LATE_S - 300, abs=1e-3)  # held back
    assert idle(400.0, fresh=False) == 280.0  # idles beyond its restart
    assert idle(9999.0, fresh=False) == pytest.approx(30 + LATE_S - 120, abs=1e-3)  # scaled to zero


def test_starts_that_were_seen_take_the_place_of_the_guess_and_narrow_the_interval() -> None:
    seen = Starts(300.0, [100.0, 140.0, 120.0, 90.0])
    assert seen.likely_s == 110.0
    assert seen.factors(4)[1] == pytest.approx(math.exp(1.645 * SPREAD * math.sqrt(1 / 4 + 1 / 4)))
    assert COLD.factors(4)[1] == pytest.approx(math.exp(1.645 * SPREAD * math.sqrt(1 + 1 / 4)))
    low, high = COLD.factors(1)
    assert low * high == pytest.approx(1.0)


@dataclass(frozen=True)
class Event:
    kind: str
    run_id: str
    data: dict[str, object]


def test_only_starts_of_fresh_deployments_teach() -> None:
    events = [
        Event("create-intended", "a", {}),
        Event("ready", "a", {"time_to_ready_s": 250.0}),
        Event("ready", "a", {"time_to_ready_s": 99.0, "resumed": True}),
        Event("adopted", "b", {}),
        Event("ready", "b", {"time_to_ready_s": 60.0}),
    ]
    assert seen_starts(events) == [250.0]


# A load test takes twenty minutes, a start five.
LOAD_S = 1200.0
READY_S = 300.0


def runs_of(count: int, *, families: tuple[str, ...] = ("gpua5000",)) -> list[Run]:
    cells = [Cell(family, 1, 1, "0.15.1", "m", (f"--seed={n}",)) for n in range(count) for family in families]
    return [Run(cell, 0, f"harness-{number}") for number, cell in enumerate(cells)]


@dataclass
class Story:
    """What happened when, in the loop's seconds."""

    outcome: SweepOutcome
    created_at: list[float]
    scaled_at: list[tuple[float, int]]
    measured_at: list[float]


@pytest.fixture
def sweep(lifecycle, platform, impatiently) -> Callable[..., Story]:
    """``sweep(runs)``: two deployments at a time, one load test."""

    def run(runs: list[Run], *, reuse: bool = False, paced: bool = True) -> Story:
        return swept(lifecycle, platform, impatiently, runs, reuse=reuse, paced=paced)

    return run


def swept(lifecycle, platform, impatiently, runs: list[Run], *, reuse: bool, paced: bool) -> Story:
    platform.ready_s = READY_S
    story = Story(SweepOutcome({}), [], [], [])
    real_create, real_scale = platform.create, platform.scale

    async def create(run: Run) -> str:
        story.created_at.append(asyncio.get_running_loop().time())
        return await real_create(run)

    async def scale(deployment_id: str, *, replicas: int) -> None:
        story.scaled_at.append((asyncio.get_running_loop().time(), replicas))
        await real_scale(deployment_id, replicas=replicas)

    async def measure(run: Run, ready: Ready) -> None:
        story.measured_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(LOAD_S)

    async def carry() -> SweepOutcome:
        load = {run.id: LOAD_S for run in runs} | {"ahead": LOAD_S}
        clock = asyncio.get_running_loop().time
        platform.pacing = Pacing(load, Starts(READY_S), Starts(120.0), DOWN_S, clock)
        runner = SweepRunner(
            lifecycle,
            measure=measure,
            keep_logs=lambda run_id, lines: "log",
            interrupts=Interrupts(),
            limits=Limits(parallel_deployments=2, reuse=reuse),
            pacing=platform.pacing if paced else None,
        )
        return await runner.run(runs)

    platform.create, platform.scale = create, scale
    story.outcome = impatiently(carry())
    assert {ledger.result for ledger in story.outcome.ledgers.values()} == {Result.MEASURED}
    assert len(story.outcome.ledgers) == len(runs)
    assert sorted(platform.deleted) == sorted(platform.created)
    return story


def test_a_fresh_deployment_is_created_when_a_late_start_would_just_be_in_time(sweep) -> None:
    story = sweep(runs_of(3))
    assert story.measured_at == pytest.approx([300.0, 1500.0, 2700.0], abs=1.0)
    # The second is thought to have its turn at 1200 until the first is under way, the third at 2700.
    assert story.created_at[0] == 0.0
    assert 1200 - LATE_S <= story.created_at[1] <= 1500 - LATE_S + 1
    assert story.created_at[2] == pytest.approx(
        2700 - 495.68, abs=2.0
    )  # 300 x exp(0.41 x sqrt(1 / 2 + 1)): two seen
    assert story.scaled_at == []


def test_without_a_timetable_every_deployment_is_created_as_soon_as_it_may_be(sweep) -> None:
    story = sweep(runs_of(3), paced=False)
    assert story.created_at == pytest.approx([0.0, 0.0, 1500.0], abs=1.0)
    assert story.scaled_at == []


def test_a_reused_deployment_has_no_replicas_while_others_are_loaded(sweep, platform) -> None:
    story = sweep(runs_of(2, families=("gpua5000", "gpu3")), reuse=True)
    assert len(platform.created) == 2
    assert [replicas for _, replicas in story.scaled_at] == [0, 0]  # the way back is part of the move
    # A load test of either group ends, and its next turn comes 1200 s later, when the other group's is over.
    assert [at for at, _ in story.scaled_at] == pytest.approx([1500.0, 2700.0], abs=2.0)
    assert story.measured_at == pytest.approx([300.0, 1500.0, 2700.0, 3900.0], abs=2.0)


def test_one_deployment_at_a_time_never_waits_and_is_never_scaled(sweep, platform) -> None:
    story = sweep(runs_of(3), reuse=True)
    assert len(platform.created) == 1
    assert story.scaled_at == []


def test_a_refused_scaling_leaves_it_idle_and_the_run_is_measured(sweep, platform) -> None:
    refusals = [ApiError("scale-deployment", status=409, detail="busy") for _ in range(50)]
    platform.faults["scale"] = refusals
    sweep(runs_of(2, families=("gpua5000", "gpu3")), reuse=True)
    assert len(platform.created) == 2
    assert len(refusals) == 46  # tried before and after the move of either group


def overtaken(platform) -> None:
    """Somebody else's load test begins just before the first deployment is ready."""
    real_wait = platform.wait_ready

    async def wait(run, deployment_id, on_state):
        platform.wait_ready = real_wait
        ready = await real_wait(run, deployment_id, on_state)
        platform.pacing.begin("ahead")
        return ready

    platform.wait_ready = wait


def test_one_that_is_ready_far_too_early_is_scaled_to_zero_and_back(sweep, platform) -> None:
    overtaken(platform)
    story = sweep(runs_of(1))
    assert [replicas for _, replicas in story.scaled_at] == [0, 1]
    assert story.scaled_at[0][0] == pytest.approx(300.0, abs=1.0)
    assert story.scaled_at[1][0] == pytest.approx(1500 - LATE_S, abs=2.0)
    (ledger,) = story.outcome.ledgers.values()
    assert ledger.time_to_ready_s == 1.5  # of the start, not of the way back


def test_one_that_does_not_come_back_from_zero_is_replaced(sweep, platform) -> None:
    overtaken(platform)
    platform.faults["ready"] = []
    real_scale = platform.scale

    async def scale(deployment_id: str, *, replicas: int) -> None:
        await real_scale(deployment_id, replicas=replicas)
        if replicas:
            platform.faults["ready"] = [EngineStartError("no GPUs left", cause="no-capacity")]

    platform.scale = scale
    story = sweep(runs_of(1))
    assert [replicas for _, replicas in story.scaled_at] == [0, 1]
    assert platform.created == ["id-0", "id-1"]


def test_a_run_stopped_while_its_deployment_has_no_replicas_leaves_nothing(lifecycle, platform) -> None:
    runs = runs_of(1)
    assert lifecycle.ledger(runs[0].id).paused is False

    async def story() -> None:
        await lifecycle.provision(runs[0])
        assert await lifecycle.pause(runs[0].id)
        assert lifecycle.ledger(runs[0].id).paused
        assert lifecycle.ledger(runs[0].id).may_cost
        await lifecycle.tear_down(runs[0].id)

    asyncio.run(story())
    assert platform.created == platform.deleted == ["id-0"]
