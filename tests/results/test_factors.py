from __future__ import annotations

import math

import pandas as pd
import pytest

from harness.errors import UsageError
from harness.results.factors import factor_frame, factor_pairs, flag_values, grid, main_effects


def make_levels(rows: list[tuple[str, int, str, str, float]], *, verdict: str = "valid") -> pd.DataFrame:
    """(gpu_type, gpu_count, parameters, load, throughput); everything else alike."""
    return pd.DataFrame(
        [
            {
                "gpu_type": gpu_type, "gpu_count": gpu_count, "replicas": 1, "engine_version": "0.15.1", "model": "m",
                "parameter_set": parameters or "base", "parameters": parameters, "load": load, "tok_s": figure,
                "verdict": verdict,
            }
            for gpu_type, gpu_count, parameters, load, figure in rows
        ]
    )  # fmt: skip


FULL = make_levels(
    [
        (gpu_type, count, parameters, "c8", base * (1.5 if count == 2 else 1) * (1.1 if parameters else 1))
        for gpu_type, base in (("a", 100.0), ("b", 300.0))
        for count in (1, 2)
        for parameters in ("", "--max-num-seqs=64")
    ]
)


def test_effects_of_a_full_factorial_are_the_factors_it_was_made_of() -> None:
    effects = {effect.factor: effect for effect in main_effects(FULL, "tok_s")}
    assert set(effects) == {"gpu_type", "gpu_count", "--max-num-seqs"}
    assert {name: effect.pairs for name, effect in effects.items()} == dict.fromkeys(effects, 4)
    assert effects["gpu_type"].relative == pytest.approx(2.0)
    assert effects["gpu_count"].relative == pytest.approx(0.5)
    assert effects["--max-num-seqs"].relative == pytest.approx(0.1)
    assert (effects["--max-num-seqs"].base, effects["--max-num-seqs"].value) == ("(default)", "64")
    assert all(effect.distinguished for effect in effects.values())


def test_an_effect_that_differs_from_pair_to_pair_has_a_wide_interval() -> None:
    rows = [
        ("a", 1, "", "c1", 100.0),
        ("a", 2, "", "c1", 200.0),
        ("a", 1, "", "c8", 100.0),
        ("a", 2, "", "c8", 50.0),
    ]
    effect = main_effects(make_levels(rows), "tok_s")[0]
    assert effect.relative == pytest.approx(0.0)  # doubled once, halved once
    assert effect.interval is not None
    # logs ±0.693, standard error 0.693, t(1) = 12.706
    assert effect.interval.high == pytest.approx(math.expm1(12.706 * 0.6931), rel=1e-3)
    assert not effect.distinguished


def test_a_single_pair_has_an_effect_and_no_interval() -> None:
    effect = main_effects(make_levels([("a", 1, "", "c1", 10.0), ("b", 1, "", "c1", 30.0)]), "tok_s")[0]
    assert (effect.relative, effect.interval, effect.pairs) == (pytest.approx(2.0), None, 1)
    assert not effect.distinguished


def test_levels_without_a_partner_count_for_nothing_and_void_ones_neither() -> None:
    rows = [("a", 1, "", "c1", 10.0), ("b", 1, "", "c8", 30.0)]
    assert main_effects(make_levels(rows), "tok_s") == []
    assert main_effects(make_levels([("a", 1, "", "c1", 10.0)] * 2, verdict="void"), "tok_s") == []


def test_flags_that_only_change_together_are_one_factor() -> None:
    rows = [("a", 1, "--x=1 --y=1", "c1", 10.0), ("a", 1, "--x=2 --y=2", "c1", 12.0)]
    assert list(factor_frame(make_levels(rows))) == ["parameter_set"]


def test_flags_are_read_with_and_without_an_equals_sign() -> None:
    assert flag_values("--a=1 --b 2 --c --no-d") == {"--a": "1", "--b": "2", "--c": "on", "--no-d": "on"}
    assert flag_values("") == {}


def test_the_grid_has_the_best_figure_of_each_pair_of_values() -> None:
    table = grid(FULL, rows="gpu_type", columns="gpu_count", figure="tok_s")
    assert table.index.to_list() == ["a", "b"]
    assert table.columns.to_list() == ["1", "2"]
    assert table.loc["b", "2"] == pytest.approx(300 * 1.5 * 1.1)


def test_the_grid_can_have_the_lowest_figure_and_skips_what_is_not_known() -> None:
    levels = make_levels([("a", 1, "", "c1", 3.0), ("a", 1, "", "c8", 2.0), ("b", 2, "", "c1", float("nan"))])
    table = grid(levels, rows="gpu_type", columns="gpu_count", figure="tok_s", lower_is_better=True)
    assert table.loc["a", "1"] == 2.0
    assert table.isna().to_numpy().sum() == 3


@pytest.mark.parametrize(
    ("rows", "figure", "said"),
    [
        ("replicas", "tok_s", "'replicas' does not vary here; what does: gpu_type"),
        ("gpu_type", "x", "no figure is"),
    ],
)
def test_a_grid_over_what_is_not_there_says_what_is(rows: str, figure: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        grid(FULL, rows=rows, columns="gpu_count", figure=figure)


def test_pairs_of_factors_come_strongest_first() -> None:
    # effects on the logarithm: gpu_type ln 3, gpu_count ln 1.5, --max-num-seqs ln 1.1
    assert factor_pairs(main_effects(FULL, "tok_s")) == [
        ("gpu_type", "gpu_count"),
        ("gpu_type", "--max-num-seqs"),
        ("gpu_count", "--max-num-seqs"),
    ]
    assert factor_pairs([]) == []
