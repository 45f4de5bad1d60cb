"""Costs of the synthetic run: the fast cell makes 580 output tokens/s at c32, the slow one 146 at c8, each to about one
in three hundred (240 requests, 5 % of jitter). Three repeats see a difference of 8 %, and none see one of nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness.results.frame import Run
from harness.results.ranking import ranked_levels
from harness.results.rivals import Rival, rivals, told
from harness.results.store import RunFolder

RunBuilder = Callable[..., RunFolder]


def priced(folder: RunFolder, *, fast_per_h: float) -> Run:
    """The run with a price of 1 an hour for the slow cell."""
    families = {"gpua5000": {"1": 1.0}, "gpurtx6000pro": {"1": fast_per_h}}
    prices = {"currency": "EUR", "as-of": "2026-10", "what": "test", "per-hour": families}
    path = folder.path / "resolved.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prices": prices}))
    return Run(folder)


def found(run: Run) -> tuple[list[Rival], list[str]]:
    levels = ranked_levels(run)
    within = levels[levels["meets_slo"].astype(bool)]
    near = rivals(run, within, within.iloc[0], figure="cost_per_mtok")
    return near, list(told(near, within.iloc[0], unit="EUR"))


def throughputs(run: Run) -> tuple[float, float]:
    """Output tokens/s of the slow cell at c8 and of the fast one at c32."""
    levels = run.levels.set_index(["gpu_type", "load"])["output_throughput_tok_s"]
    return float(levels["gpua5000", "c8"]), float(levels["gpurtx6000pro", "c32"])


def test_a_cell_that_costs_the_same_is_not_distinguished(tmp_path: Path, run_builder: RunBuilder) -> None:
    folder = run_builder(tmp_path / "run", repeats=3)
    slow, fast = throughputs(Run(folder))
    near, words = found(priced(folder, fast_per_h=fast / slow * 1.0001))
    assert [rival.label for rival in near] == ["gpurtx6000pro×1 0.15.1 base"]
    assert near[0].relative == pytest.approx(0.0001)
    assert near[0].interval is not None
    assert near[0].interval.low < 0 < near[0].interval.high
    assert len(words) == 1
    assert words[0].startswith(
        "Not distinguished from gpua5000×1 0.15.1 base: gpurtx6000pro×1 0.15.1 base at c32 (1."
    )


def test_a_cell_eight_per_cent_dearer_is_distinguished_by_repeats_and_not_named(
    tmp_path: Path, run_builder: RunBuilder
) -> None:
    folder = run_builder(tmp_path / "run", repeats=3)
    slow, fast = throughputs(Run(folder))
    near, words = found(priced(folder, fast_per_h=fast / slow * 1.08))
    assert near[0].relative == pytest.approx(0.08)
    assert near[0].distinguished
    assert words == []


def test_a_cell_further_off_is_not_looked_at(run_folder: RunFolder) -> None:
    slow, fast = throughputs(Run(run_folder))
    assert found(priced(run_folder, fast_per_h=fast / slow * 1.2)) == ([], [])


def test_several_rivals_are_held_to_intervals_that_hold_together(
    tmp_path: Path, run_builder: RunBuilder
) -> None:
    """Four copies of the slow cell at the same price, each repeat faster or slower by chosen shares: of each pair the
    logarithms differ by d - 0.01, d and d + 0.01, whose mean has a standard error of 0.01 / sqrt(3)."""
    folder = run_builder(tmp_path / "run", repeats=3)
    run = priced(folder, fast_per_h=1e6)
    best = ranked_levels(run).iloc[0]
    copies = {"a": 0.02, "b": 0.03, "c": 0.04}
    points = run.points[(run.points["cell_id"] == best["cell_id"]) & (run.points["level"] == best["level"])]
    extra = []
    for name, difference in copies.items():
        shares = [math.exp(-difference - 0.01), math.exp(-difference), math.exp(-difference + 0.01)]
        rate = points["output_throughput_tok_s"] * shares
        extra.append(points.assign(cell_id=name, label=name, output_throughput_tok_s=rate))
    run.points = pd.concat([run.points, *extra])
    dearer = {name: best["cost_per_mtok"] * math.exp(difference) for name, difference in copies.items()}
    others = [
        best.to_dict() | {"cell_id": name, "label": name, "cost_per_mtok": cost}
        for name, cost in dearer.items()
    ]
    levels = pd.DataFrame([best.to_dict(), *others])
    near = rivals(run, levels, best, figure="cost_per_mtok")
    assert [rival.label for rival in near] == ["a", "b", "c"]
    # t of 2 degrees: 4.3027 at 95 %, half a width of 2.48 %; at 1 - 0.05 / 3 it is 7.6489, and 4.42 %
    for rival, difference in zip(near, copies.values(), strict=True):
        assert rival.interval is not None
        assert math.log1p(rival.interval.low) == pytest.approx(difference - 0.04416, abs=2e-4)
        assert math.log1p(rival.interval.high) == pytest.approx(difference + 0.04416, abs=2e-4)
    [words] = told(near, best, unit="EUR")
    assert words.startswith(
        f"Not distinguished from {best['label']} (3 comparisons that hold together at 95 %): a at c8 ("
    )


def test_of_windows_too_short_for_an_interval_that_is_said(run_folder: RunFolder) -> None:
    rival = Rival("b", "c8", 1.05, 0.05, None)
    best = Run(run_folder).levels.iloc[0]
    words = list(told([rival], best, unit="EUR"))
    assert words == [
        f"Within 10% of {best['label']}, and the windows are too short to tell them apart: b at c8 (1.05 EUR)."
    ]
