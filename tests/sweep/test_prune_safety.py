"""The published check of pruning with 48 cells; all 216: ``python -m tests.benchmarks prune``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "bench_prune.py"


def test_the_best_fifth_holds_a_cell_within_three_percent_of_the_true_best() -> None:
    spec = importlib.util.spec_from_file_location("bench_prune", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    cells = check.make_cells((1, 2), (16, 64), (2048,))
    assert len(cells) == 48
    found = check.regrets(cells, seed=1)
    assert len(found) == 2
    for draws in found.values():
        assert len(draws) == 16
        assert sum(regret <= 0.03 for regret in draws) >= 15
