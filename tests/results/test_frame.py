from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.plan.cells import Cell
from harness.results.frame import Run, load
from harness.results.pareto import pareto_front
from harness.results.prices import PriceTable
from harness.results.rows import unique_labels
from harness.results.store import RunFolder

RunBuilder = Callable[..., RunFolder]
PRICES = PriceTable("EUR", "2026-10", "test", {"gpua5000": {1: 1.8}})


@pytest.fixture(name="run", scope="module")
def run_fixture(tmp_path_factory: pytest.TempPathFactory, run_builder: RunBuilder) -> Run:
    return load(run_builder(tmp_path_factory.mktemp("frame") / "run", repeats=2).path)


def test_frames_have_the_rows_the_run_was_made_of(run: Run) -> None:
    # 2 measured cells x 2 levels x 2 repeats of 240 requests; 11 chunks each, none for the 2 x 2 failures
    assert (len(run.cells), len(run.points), len(run.levels)) == (5, 8, 4)
    assert len(run.runs) == 10
    assert len(run.requests) == 8 * 240
    assert len(run.chunks) == (8 * 240 - 4) * 11
    assert run.requests["outcome"].value_counts().to_dict() == {"succeeded": 1916, "http_5xx": 4}


def test_chunks_and_requests_join_on_run_point_and_index(run: Run) -> None:
    keys = ["run_id", "point", "index"]
    last = run.chunks.groupby(keys)["time_s"].max()
    requests = run.requests[run.requests["outcome"] == "succeeded"].set_index(keys)["last_token_s"]
    assert len(last) == len(requests) == 1916
    np.testing.assert_allclose(last.sort_index(), requests.sort_index())


def test_repeats_are_joined_by_the_median_and_counts_add_up(run: Run) -> None:
    level = run.levels[(run.levels["gpu_type"] == "gpua5000") & (run.levels["load"] == "c32")].iloc[0]
    points = run.points[(run.points["gpu_type"] == "gpua5000") & (run.points["load"] == "c32")]
    assert len(points) == 2
    assert level["ttft_p50_s"] == pytest.approx(points["ttft_p50_s"].mean())  # the median of two
    assert (level["requests_sent"], level["requests_failed"], level["repeats"]) == (480, 4, 2)


def test_levels_that_meet_an_slo(run: Run) -> None:
    # TTFT: fast 0.1 and 0.2 s, slow 0.2 and 0.4 s, with 5 % jitter
    assert len(run.meets("ttft_p95<=0.15s")) == 1
    assert len(run.meets("ttft_p95<=0.25s")) == 3
    assert len(run.meets("ttft_p95<=1s")) == 4
    assert len(run.meets("ttft_p95<=1s,error_rate<=0.1%")) == 3  # the slow cell at c32 failed 2 of 240


def test_the_pareto_front_is_the_fast_cell(run: Run) -> None:
    front = run.pareto()
    assert list(zip(front["gpu_type"], front["load"], strict=True)) == [
        ("gpurtx6000pro", "c8"),
        ("gpurtx6000pro", "c32"),
    ]


def test_cost_per_million_output_tokens(run: Run) -> None:
    costs = run.cost(PRICES)
    slow = costs[(costs["gpu_type"] == "gpua5000") & (costs["load"] == "c8")].iloc[0]
    # 1.8 an hour; 8 users x 11 tokens per 0.6015 s = 146 tokens/s, all within the SLO
    assert slow["price_per_h"] == 1.8
    assert slow["cost_per_mtok"] == pytest.approx(1.8 / (146.3 * 3600) * 1e6, rel=0.02)
    assert costs[costs["gpu_type"] == "gpurtx6000pro"]["cost_per_mtok"].isna().all()


def test_prices_come_from_a_file_a_mapping_or_a_table(run: Run, tmp_path: Path) -> None:
    document = {"currency": "EUR", "as-of": "2026-10", "what": "test", "per-hour": {"gpua5000": {1: 1.8}}}
    path = tmp_path / "prices.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    wanted = run.cost(PRICES)
    assert wanted["price_per_h"].notna().sum() == 2
    for prices in (path, str(path), document):
        pd.testing.assert_frame_equal(run.cost(prices), wanted)


def test_prices_that_are_none_and_prices_that_the_run_does_not_have_are_said(run: Run) -> None:
    with pytest.raises(
        UsageError, match=r"a file such as .configs/prices\.yaml., a mapping or a PriceTable, not int"
    ):
        run.cost(3)  # type: ignore[arg-type]  # as a notebook may
    with pytest.raises(UsageError, match="'synthetic' had no prices"):
        run.cost()


def test_a_notebook_shows_the_run_and_that_it_is_simulated(run: Run) -> None:
    shown = run._repr_html_()
    assert "synthetic (SIMULATED)" in shown
    assert "<table" in shown
    assert repr(run) == "<Run synthetic (SIMULATED): 5 cells, 8 points>"


def test_labels_of_cells_that_differ_in_little_are_told_apart() -> None:
    def cell(model: str, parameters: tuple[str, ...] = ()) -> Cell:
        return Cell("gpua5000", 1, 1, "0.15.1", model, parameters)

    cells = [cell("org/a"), cell("org/b"), cell("org/b", ("--x",))]
    labels = list(unique_labels(cells).values())
    assert len(set(labels)) == 3
    assert labels[0] == "gpua5000×1 0.15.1 default a"
    assert labels[1] == f"gpua5000×1 0.15.1 default b {cells[1].id}"


def test_a_pareto_front_of_a_worked_example() -> None:
    gains = [10.0, 20.0, 20.0, 15.0, 30.0, float("nan"), 20.0]
    costs = [1.0, 2.0, 3.0, 2.5, 9.0, 0.1, 2.0]
    assert pareto_front(gains, costs).tolist() == [True, True, False, False, True, False, True]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_a_point_is_on_the_front_exactly_when_nothing_beats_it(points: list[tuple[int, int]]) -> None:
    front = pareto_front([float(gain) for gain, _ in points], [float(cost) for _, cost in points])
    for (gain, cost), on_front in zip(points, front, strict=True):
        beaten = any(g >= gain and c <= cost and (g, c) != (gain, cost) for g, c in points)
        assert bool(on_front) is not beaten


def test_a_run_without_a_measured_point_has_empty_frames(tmp_path: Path, run_builder: RunBuilder) -> None:
    folder = run_builder(tmp_path / "run")
    for path in folder.record_files():
        path.unlink()
    run = load(folder.path)
    assert (len(run.points), len(run.levels), len(run.requests), len(run.chunks)) == (0, 0, 0, 0)
    assert len(run.pareto()) == 0
    assert "0 points" in repr(run)
