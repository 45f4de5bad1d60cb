"""The order of a run's levels: given ones, searches, what is passed over, and a run taken up again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.errors import UsageError
from harness.load.arrivals import Arrivals, ClosedLoop, ConstantRate, GammaRate, PoissonRate
from harness.load.levels import Course, Level, Search, Step, is_higher
from harness.load.metrics import LoadMetrics, summarise
from harness.load.records import ClientStats, StageResult
from harness.load.slo import Slo
from harness.load.stage import Stage
from harness.load.verdict import VALID, Verdict

SLO = Slo.parse("ttft_p95<=1s")
CLIENT = ClientStats("kernel", 0.0, 0.1, 0.0, 10, 10, 0.0, 1)
EMPTY = summarise(StageResult("", {"requests": 1}, [], 0.0, 1.0, 0.0, CLIENT), slo=SLO)


def stage(arrivals: Arrivals) -> Stage:
    return Stage(arrivals=arrivals, duration_s=30)


def outcome(step: Step, *, capacity: float, lost: str | None = None) -> LoadMetrics:
    """A server that keeps the SLO up to ``capacity`` requests/s, or makes 10 tok/s for each of as many users."""
    arrivals = step.stage.arrivals
    rate = arrivals.rate_req_s if isinstance(arrivals, PoissonRate | ConstantRate | GammaRate) else None
    kept = rate is None or rate <= capacity
    return replace(
        EMPTY,
        succeeded=1000,
        attainment_low=0.99 if kept else 0.0,
        attainment_high=1.0 if kept else 0.5,
        slo_met=kept,
        offered_rate_req_s=rate,
        output_throughput_tok_s=10 * min(arrivals.concurrency, capacity)
        if isinstance(arrivals, ClosedLoop)
        else 0.0,
        verdict=Verdict(VALID),
        ended_early=lost,
    )


def played(
    course: Course, *, capacity: float, lost: Callable[[Step], bool] = lambda step: False
) -> list[Step]:
    steps = []
    while (step := course.next_step()) is not None:
        steps.append(step)
        if step.skipped is None:
            why = "hopeless: 11 of at most 100 requests miss ttft_p95<=1s" if lost(step) else None
            course.told(step, outcome(step, capacity=capacity, lost=why))
    return steps


MIXED: list[Level] = [
    stage(ClosedLoop(1)),
    Search("rate", stage(PoissonRate(1.0)), SLO),
    stage(ClosedLoop(8)),
    Search("knee", stage(ClosedLoop(1))),
]


def test_steps_are_numbered_in_order_and_know_what_they_belong_to() -> None:
    course = Course(MIXED)
    steps = played(course, capacity=3.0)
    assert [step.number for step in steps] == list(range(len(steps)))
    assert sorted({step.level for step in steps}) == [0, 1, 2, 3]
    rates = [step.stage.label for step in steps if step.level == 1]
    # 1 and 2 keep it, 4 does not; then the middle of what is left, on a logarithmic scale, to within a tenth.
    assert rates == ["1 req/s", "2 req/s", "4 req/s", "2.83 req/s", "3.36 req/s", "3.08 req/s"]
    first, second = course.findings
    assert first.answer == "2.83 req/s keeps the SLO, 3.08 req/s does not"
    assert (first.best, first.beyond, first.resolved, first.level) == (2.83, 3.08, True, 1)
    assert first.steps == (1, 2, 3, 4, 5, 6)
    assert (second.find, second.best, second.resolved) == ("knee", 3.0, True)


def test_a_course_told_the_same_again_asks_the_same_again() -> None:
    whole = played(Course(MIXED), capacity=5.3)
    for broken_off in range(len(whole)):
        course = Course(MIXED)
        again = []
        for step in whole[:broken_off]:
            assert course.next_step() == step
            course.told(step, outcome(step, capacity=5.3))
            again.append(step)
        assert again + played(course, capacity=5.3) == whole


def test_levels_above_a_lost_one_are_passed_over_with_the_reason_and_keep_their_numbers() -> None:
    ladder = [stage(ClosedLoop(n)) for n in (1, 8, 16)] + [stage(PoissonRate(r)) for r in (1, 2)]
    steps = played(Course(ladder), capacity=9, lost=lambda step: step.stage.label == "c8")
    assert [(step.number, step.stage.label, step.skipped is None) for step in steps] == [
        (0, "c1", True), (1, "c8", True), (2, "c16", False), (3, "1 req/s", True), (4, "2 req/s", True),
    ]  # fmt: skip
    assert steps[2].skipped == "c8 ended early: hopeless: 11 of at most 100 requests miss ttft_p95<=1s"


@pytest.mark.parametrize(
    ("one", "other", "higher"),
    [
        (ClosedLoop(9), ClosedLoop(8), True),
        (ClosedLoop(8), ClosedLoop(8), False),
        (PoissonRate(2), PoissonRate(1), True),
        (PoissonRate(1), PoissonRate(2), False),
        (ConstantRate(2), PoissonRate(1), False),
        (GammaRate(2, 0.5), GammaRate(1, 0.5), True),
        (GammaRate(2, 2.0), GammaRate(1, 0.5), False),
        (PoissonRate(2), ClosedLoop(1), False),
    ],
)
def test_higher_is_more_of_the_same_kind(one: Arrivals, other: Arrivals, higher: bool) -> None:
    assert is_higher(one, other) is higher


def test_a_lost_step_of_a_search_is_a_miss_and_skips_nothing() -> None:
    course = Course([Search("rate", stage(PoissonRate(1.0)), SLO)])
    steps = played(course, capacity=100.0, lost=lambda step: step.stage.arrivals.rate_req_s > 5)
    assert all(step.skipped is None for step in steps)
    assert course.findings[0].best == pytest.approx(5, rel=0.1)
    assert course.findings[0].resolved


def test_a_search_that_was_broken_off_says_what_it_knows() -> None:
    course = Course([Search("rate", stage(PoissonRate(1.0)), SLO)])
    step = course.next_step()
    assert step is not None
    course.told(step, outcome(step, capacity=3.0))
    found = course.finding()
    assert found is not None
    assert found.answer == "unresolved: 1 req/s keeps the SLO; nothing higher was measured"


@pytest.mark.parametrize(
    ("find", "arrivals", "slo", "words"),
    [
        ("rate", ClosedLoop(1), SLO, "starts from one rate"),
        ("rate", PoissonRate(1), None, "needs an SLO"),
        ("knee", PoissonRate(1), None, "starts from a number of users"),
        ("peak", ClosedLoop(1), None, "one of: rate, knee"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(
    find: str, arrivals: Arrivals, slo: Slo | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Search(find, stage(arrivals), slo)
