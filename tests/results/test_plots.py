from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from harness.results.bars import cost_bars, heatmap, request_outcomes
from harness.results.canvas import Plot
from harness.results.figures import rests_on_few
from harness.results.frame import Run
from harness.results.gallery import all_plots
from harness.results.looks import Looks
from harness.results.plots import Quantity, knee, latency_against_load, trade_off
from harness.results.store import RunFolder

TTFT = Quantity("ttft_p95_s", "TTFT p95 (ms)", 1000, 0.3)
OUTPUT = Quantity("output_throughput_tok_s", "output tokens/s")


def levels(**changes: Any) -> pd.DataFrame:
    """Two cells at 4, 8 and 16 users."""
    frame = pd.DataFrame(
        {
            "cell_id": ["a"] * 3 + ["b"] * 3,
            "label": ["cell a"] * 3 + ["cell b"] * 3,
            "load": ["c4", "c8", "c16"] * 2,
            "level": ["c4", "c8", "c16"] * 2,
            "concurrency": [4, 8, 16] * 2,
            "rate_req_s": None,
            "point": [0, 1, 2] * 2,
            "ttft_p50_s": 0.1,
            "ttft_p95_s": [0.1, 0.2, 0.4, 0.15, 0.2, 0.25],
            "ttft_p99_s": 0.5,
            "ttft_count": [500, 500, 100, 500, 500, 500],
            "output_throughput_tok_s": [100.0, 195.0, 200.0, 50.0, 100.0, 190.0],
            "requests_sent": 10,
            "requests_succeeded": 8,
            "requests_failed": 1,
            "requests_unfinished": 1,
            "cost_per_mtok": [3.0, 1.5, 1.4, 9.0, 5.0, 3.0],
            "meets_slo": [True, True, False, True, True, True],
            "verdict": "valid",
        }
    )
    return frame.assign(**changes)


def words_on(plot: Plot | None) -> list[str]:
    """The texts of a plot that is well-formed."""
    assert plot is not None
    svg = "{http://www.w3.org/2000/svg}"
    return [each.text or "" for each in ElementTree.fromstring(plot.svg).iter(f"{svg}text")]


def traded(frame: pd.DataFrame, x: Quantity = TTFT) -> Plot | None:
    front = {("a", "c8"), ("a", "c16")}
    return trade_off(frame, x, OUTPUT, name="t", front=front, looks=Looks.of(frame), simulated=True)


def users(throughput: dict[int, float]) -> pd.DataFrame:
    return pd.DataFrame(
        {"concurrency": list(throughput), "output_throughput_tok_s": list(throughput.values())}
    )


def test_the_knee_is_the_fewest_users_with_nine_tenths_of_the_best() -> None:
    path = users({32: 101.0, 8: 92.0, 16: 100.0, 4: 60.0})
    assert path["concurrency"][knee(path)] == 8  # 0.9 x 101 = 90.9


def test_there_is_no_knee_while_throughput_grows_or_of_too_few_levels() -> None:
    assert knee(users({4: 50.0, 8: 100.0, 16: 200.0})) is None
    assert knee(users({8: 100.0, 16: 101.0})) is None


def test_a_trade_off_names_cells_front_knee_and_slo() -> None:
    plot = traded(levels())
    said = words_on(plot)
    legend = ["cell a", "cell b", "hollow: too few requests", "Pareto front", "knee", "SLO"]
    assert [words for words in said if words in legend] == legend
    # the levels on the front are named by their load beside their cell's mark
    assert said[-2 - len(legend) : -len(legend)] == ["c8", "c16"]
    assert plot is not None
    assert plot.svg.count('class="ring"') == 3  # two levels and the legend
    assert plot.svg.count('class="paper" fill="#fff" stroke') == 2  # the level of 100 requests and the legend
    assert "2 levels are on the Pareto front" in plot.description
    assert "Highest output tokens/s: cell a at c16, 200 at 400 TTFT p95 (ms)" in plot.description


def test_an_slo_off_the_axis_is_said_in_the_legend() -> None:
    far = Quantity("ttft_p95_s", "TTFT p95 (ms)", 1000, 5.0)
    assert "SLO: 5,000, off the axis" in words_on(traded(levels(), far))
    assert "SLO" not in words_on(traded(levels(), far))


def test_latencies_of_very_different_size_are_all_seen() -> None:
    said = words_on(traded(levels(ttft_p95_s=[0.02, 0.05, 30.0, 0.03, 0.05, 0.06])))
    assert "TTFT p95 (ms), logarithmic" in said
    # 20 to 30,000 ms is more than a thousandfold: powers of ten alone; below 1,000 throughput has them too
    assert {"1,000", "10,000"} <= set(said)
    assert not {"500", "2,000", "20,000"} & set(said)


def test_percentiles_stand_side_by_side_with_the_slo_on_its_own() -> None:
    frame = levels()
    plot = latency_against_load(
        frame, "ttft", looks=Looks.of(frame), limits={"ttft_p95_s": 0.3}, simulated=False
    )
    said = words_on(plot)
    assert [words for words in said if words in ("p50", "p95", "p99")] == ["p50", "p95", "p99"]
    assert said.count("SLO") == 1
    assert said.count("users (concurrency)") == 3
    assert [said.count(tick) for tick in ("4", "8", "16")] == [3, 3, 3]
    assert plot is not None
    assert plot.svg.count('stroke-dasharray="1.5 2.5"') == 2  # in one panel, and in the legend


def test_a_figure_rests_on_few_requests_by_its_own_percentile() -> None:
    frame = pd.DataFrame({"ttft_count": [19, 20, 199, 200], "output_throughput_tok_s": 1.0})
    assert rests_on_few(frame, "ttft_p50_s").to_list() == [True, False, False, False]
    assert rests_on_few(frame, "ttft_p95_s").to_list() == [True, True, True, False]
    assert rests_on_few(frame, "output_throughput_tok_s").to_list() == [False] * 4


def test_a_table_of_colour_has_every_figure_and_frames_the_best() -> None:
    table = pd.DataFrame([[3.0, 1.5], [np.nan, 2.0]], index=["1", "2"], columns=["bf16", "fp8"])
    plot = heatmap(
        table,
        rows="gpu_count",
        columns="--quantization",
        words="Lowest",
        simulated=True,
        lower_is_better=True,
    )
    said = words_on(plot)
    assert [words for words in said if "." in words or words == "not measured"] == [
        "3.00", "1.50", "not measured", "2.00",
    ]  # fmt: skip
    assert plot is not None
    assert plot.description == "Best: 1.50 with 1 and fp8."
    assert plot.name == "heatmap-gpu-count-quantization"
    # the worst is darkest, the best brightest, a field without a figure is white
    assert [plot.svg.count(f'fill="{colour}"/>') for colour in ("#00224e", "#fee838")] == [1, 1]


def test_outcomes_are_told_by_level_and_by_cell_where_levels_are_many() -> None:
    few = words_on(request_outcomes(levels(), simulated=False))
    assert [words for words in few if words.startswith("cell")] == [
        f"cell {cell} · c{users}" for cell in "ab" for users in (4, 8, 16)
    ]
    many = pd.concat([levels(load=f"c{n}") for n in range(6)])
    plot = request_outcomes(many, simulated=False)
    assert [words for words in words_on(plot) if words.startswith("cell")] == ["cell a", "cell b"]
    assert plot is not None
    assert plot.description == "36 of 360 requests failed, over 36 load levels."


def test_costs_are_of_levels_within_the_slo() -> None:
    plot = cost_bars(levels(), currency="EUR", simulated=False)
    assert [words for words in words_on(plot) if " at c" in words] == ["1.50 at c8", "3.00 at c16"]


@pytest.fixture(name="run")
def run_fixture(tmp_path: Path, run_builder: Callable[..., RunFolder]) -> Run:
    return Run(run_builder(tmp_path / "run"))


def test_every_plot_of_a_run_is_well_formed_and_says_what_it_shows(run: Run) -> None:
    plots = all_plots(run)
    assert len({plot.name for plot in plots}) == len(plots) >= 10
    for plot in plots:
        assert words_on(plot)
        assert plot.title.endswith("(SIMULATED)")
        assert len(plot.description) > 20
        assert "nan" not in plot.svg.lower()
