"""The forecast against published measurements that the constants were not fitted on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.forecast import accuracy
from harness.forecast.fit import as_tuple, fit, minimise
from harness.forecast.load import Arrivals
from harness.forecast.published import Comparison, Measurement, compare, measurements
from harness.forecast.step import Constants


@pytest.fixture(scope="module")
def compared() -> list[Comparison]:
    found = list(compare(measurements()))
    assert len(found) == 113
    return found


def errors(compared: list[Comparison], *, ttft: bool) -> list[float]:
    return [
        abs(one.error)
        for one in compared
        if not one.measurement.is_fitted and one.measurement.is_ttft is ttft and one.error is not None
    ]


def test_held_out_speeds_are_within_twelve_percent_on_average(compared: list[Comparison]) -> None:
    found = errors(compared, ttft=False)
    assert len(found) == 38
    assert np.mean(found) <= 0.12


def test_held_out_first_tokens_are_within_a_quarter_on_average(compared: list[Comparison]) -> None:
    found = errors(compared, ttft=True)
    assert len(found) == 51
    assert np.mean(found) <= 0.25


def test_the_faster_of_two_is_told_right_nine_times_in_ten(compared: list[Comparison]) -> None:
    right, pairs = accuracy.ranking(compared, lambda one: not one.measurement.is_fitted)
    assert pairs > 500
    assert right / pairs >= 0.9


def test_every_published_cell_starts(compared: list[Comparison]) -> None:
    assert [one.measurement.id for one in compared if one.predicted is None] == []


def test_the_table_names_its_groups_and_its_worst_rows(compared: list[Comparison]) -> None:
    text = accuracy.table(compared)
    assert "held out: TPOT and throughput" in text
    assert "5090 llama-8b w8a16 offline 100 req" in text


def test_a_source_is_judged_by_constants_it_had_no_part_in() -> None:
    """The three small sources alone; without the largest the constants stay near their kernels' own shares."""
    small = [one for one in measurements() if not one.source.startswith("aiconfigurator")]
    found = {one.source: one for one in accuracy.leave_one_source_out(small, evaluations=12)}
    assert len(found) == 3
    assert {name: one.speeds for name, one in found.items()} == {
        "AccelMark verified": 10, "AccelMark verified (V0 engine 0.7.3)": 3, "GPUStack performance lab": 4
    }  # fmt: skip
    for one in found.values():
        assert one.speed_error < 0.2
        assert one.constants.compute_share == pytest.approx(0.74, rel=0.1)
        assert one.constants.memory_share == pytest.approx(0.79, rel=0.1)
    assert found["GPUStack performance lab"].ttft_error is None


def test_every_row_is_printed_once_and_the_fitted_ones_are_marked(compared: list[Comparison]) -> None:
    lines = list(accuracy.row_lines(compared))[1:]
    assert len(lines) == 113
    assert sum(line.endswith("fitted") for line in lines) == 24
    assert len(set(lines)) == 113


def test_the_simplex_finds_the_bottom_of_a_bowl() -> None:
    best = minimise(lambda point: (point[0] - 1) ** 2 + 10 * (point[1] + 2) ** 2, [0.0, 0.0], evaluations=120)
    assert best == pytest.approx([1, -2], abs=1e-3)


def test_a_fit_finds_a_site_that_is_slower_than_the_published_ones() -> None:
    """Figures made with other constants than the shipped ones stand in for a site; the fit moves towards them."""
    truth = Constants(compute_share=0.60, memory_share=0.70, host_s=3.5e-3, link_share=1.07)
    rows = [
        one
        for one in measurements()
        if one.source.startswith("AccelMark verified")
        and not one.is_ttft
        and one.load.arrivals is Arrivals.CLOSED
    ]
    assert len(rows) == 7
    site = [_replaced(one.measurement, one.predicted) for one in compare(rows, truth)]
    before = np.mean([abs(one.error or 0) for one in compare(site)])
    fitted = fit(site, evaluations=60)
    after = np.mean([abs(one.error or 0) for one in compare(site, fitted)])
    assert after < before / 3
    assert as_tuple(fitted)[1] == pytest.approx(0.70, rel=0.05)


def _replaced(measurement: Measurement, value: float | None) -> Measurement:
    assert value is not None
    return replace(measurement, value=value)
