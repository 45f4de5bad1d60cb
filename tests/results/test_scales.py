from __future__ import annotations

import math

import pytest

from harness.results.scales import doubling, latencies, linear, named, nice_step, rows, tick_words


@pytest.mark.parametrize(
    ("least", "step"),
    [(1.0, 1), (1.01, 2), (2.1, 2.5), (3, 5), (6, 10), (0.03, 0.05), (130, 200), (0.2, 0.2)],
)
def test_steps_are_those_people_count_in(least: float, step: float) -> None:
    assert nice_step(least) == pytest.approx(step)


@pytest.mark.parametrize(
    ("value", "step", "words"),
    [(1500, 500, "1,500"), (0.25, 0.25, "0.25"), (7.5, 2.5, "7.5"), (0.1 + 0.2, 0.1, "0.3"), (-0.0, 5, "0")],
)
def test_ticks_have_as_many_decimals_as_their_step(value: float, step: float, words: str) -> None:
    assert tick_words(value, step=step) == words


def test_a_linear_scale_begins_at_0_and_has_room_for_the_largest() -> None:
    scale = linear([3.0, 10.0, math.nan], "ms")
    assert (scale.low, scale.high, scale.words) == (0.0, pytest.approx(10.5), "ms")
    # 10.5 / 6 is 1.75, so steps of 2
    assert [words for _, words in scale.ticks] == ["0", "2", "4", "6", "8", "10"]
    assert scale.place(0) == 0
    assert scale.place(5.25) == pytest.approx(0.5)


def test_a_linear_scale_of_changes_has_room_at_both_ends() -> None:
    scale = linear([-20.0, 20.0], most_ticks=4)
    assert (scale.low, scale.high) == (pytest.approx(-22), pytest.approx(22))
    assert [words for _, words in scale.ticks] == ["-20", "0", "20"]
    assert not scale.holds(-23)


def test_nothing_but_zeros_still_has_an_axis() -> None:
    assert linear([0.0, 0.0]).high > 0
    assert linear([]).ticks[0] == (0.0, "0.0")


def test_users_double_and_crowded_ones_are_not_written() -> None:
    scale = doubling([1, 2, 4, 60, 64, 64], "users")
    assert [words for _, words in scale.ticks] == ["1", "2", "4", "60"]
    assert scale.place(4) - scale.place(2) == pytest.approx(scale.place(2) - scale.place(1))
    assert 0 < scale.place(1) < scale.place(64) < 1


def test_one_number_of_users_is_a_scale_too() -> None:
    scale = doubling([8.0])
    assert scale.ticks == ((8.0, "8"),)
    assert 0 < scale.place(8) < 1


def test_latencies_far_apart_are_logarithmic_and_say_so() -> None:
    near, far = latencies([10, 390], "ms"), latencies([10, 900], "ms")
    assert (near.logarithmic, near.words) == (False, "ms")
    assert (far.logarithmic, far.words) == (True, "ms, logarithmic")
    assert [words for _, words in far.ticks] == ["10", "20", "50", "100", "200", "500", "1,000"]
    assert far.place(100) - far.place(10) == pytest.approx(far.place(1000) - far.place(100))


def test_a_limit_is_on_the_axis_unless_it_would_push_the_values_aside() -> None:
    assert latencies([10, 50], limit=125).holds(125)
    assert not latencies([10, 50], limit=126).holds(126)
    assert not latencies([], limit=5).holds(5)


def test_names_have_places_in_order_and_rows_go_down() -> None:
    scale = named(["a", "b", "c", "d", "e"], most_ticks=2)
    assert scale.ticks == ((0.0, "a"), (3.0, "d"))
    assert scale.place(2) == pytest.approx(0.5)
    down = rows(["a", "b"])
    assert down.place(0) > down.place(1)
    assert down.holds(1)
