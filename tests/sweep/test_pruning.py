"""Which cells a rule leaves out, why, and which it never does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.forecast.cell import Forecast
from harness.forecast.level import Quantiles
from harness.forecast.load import Arrivals, Load
from harness.load.slo import Slo
from harness.plan.cells import Cell
from harness.plan.config import LengthConfig, LoadLevel, WorkloadConfig, load_config
from harness.plan.pruning import PruneRule
from harness.sweep.equivalence import longest_request, twins
from harness.sweep.forecasts import CellForecast, forecast, has_searches, searched
from harness.sweep.preflight import Preflight
from harness.sweep.pruning import prune

QWEN = "Qwen/Qwen2.5-7B-Instruct"
LEVEL = Load(Arrivals.CLOSED, 8, 256, 24, requests=60)
SLO = Slo.parse("tpot_p95<=50ms")


def make_cell(name: str, family: str = "gpua5000", *, model: str = QWEN, count: int = 1) -> Cell:
    return Cell(family, count, 1, "0.15.1", model, ("--max-model-len=4096",), parameter_set=name)


@pytest.fixture(scope="module")
def shape() -> Forecast:
    found = forecast(make_cell("any"), [LEVEL], None, seed=1).forecast
    assert found is not None
    return found


def that_gives(shape: Forecast, tok_s: float, tpot_s: float = 0.03) -> CellForecast:
    """A forecast of one level with this throughput and this TPOT, the same at every percentile."""
    level = replace(
        shape.levels[0],
        output_throughput=tok_s,
        tpot_s=Quantiles(*[tpot_s] * 5),
        tpot_each_s=shape.levels[0].tpot_each_s * 0 + tpot_s,
    )
    return CellForecast(replace(shape, levels=(level,)))


def plan_of(cells: list[Cell]) -> Preflight:
    named = [replace(cell, parameters=(*cell.parameters, f"--seed={n}")) for n, cell in enumerate(cells)]
    return Preflight(tuple(named), (), ())


def names(plan: Preflight) -> list[str]:
    return [cell.parameter_set for cell in plan.accepted]


def reasons(plan: Preflight) -> dict[str, str]:
    return {pruned.cell.parameter_set: pruned.reason for pruned in plan.pruned}


def test_a_share_keeps_the_cheapest_cells_in_the_files_order(shape: Forecast) -> None:
    plan = plan_of([make_cell(name) for name in "abcde"])
    speeds = dict(zip("abcde", (100, 500, 300, 400, 200), strict=True))
    found = {cell.id: that_gives(shape, speeds[cell.parameter_set]) for cell in plan.accepted}
    kept = prune(plan, PruneRule(keep=0.4), found)
    assert names(kept) == ["b", "d"]
    assert reasons(kept) == {
        name: f"predicted to take {500 / speeds[name]:.2f} x the GPUs per output token of "
        "gpua5000×1 0.15.1 b; keep=40%"
        for name in "ace"
    }
    assert kept.cells == 5
    assert names(prune(plan, PruneRule(keep=0.21), found)) == ["b", "d"]  # a part of a cell is a cell
    assert names(prune(plan, PruneRule(within=1.7), found)) == ["b", "c", "d"]


def test_gpus_stand_for_prices_unless_every_cell_has_one(shape: Forecast) -> None:
    plan = plan_of([make_cell("one"), make_cell("two", count=2)])
    found = {
        cell.id: that_gives(shape, {"one": 100.0, "two": 180.0}[cell.parameter_set]) for cell in plan.accepted
    }
    rule = PruneRule(within=1.0)
    assert names(prune(plan, rule, found)) == ["one"]
    cheap_pair = {"one": 2.0, "two": 3.0}
    assert names(prune(plan, rule, found, price=lambda cell: cheap_pair[cell.parameter_set])) == ["two"]
    assert names(prune(plan, rule, found, price=lambda cell: {"two": 3.0}.get(cell.parameter_set))) == ["one"]


def test_every_family_keeps_its_best_and_every_model_is_for_itself(shape: Forecast) -> None:
    cells = [
        make_cell("fast"), make_cell("slow"), make_cell("other best", "gpu3"), make_cell("other", "gpu3"),
        make_cell("large", model="m/large"),
    ]  # fmt: skip
    plan = plan_of(cells)
    speeds = {"fast": 900, "slow": 800, "other best": 90, "other": 80, "large": 10}
    found = {cell.id: that_gives(shape, speeds[cell.parameter_set]) for cell in plan.accepted}
    assert names(prune(plan, PruneRule(keep=0.01), found)) == ["fast", "other best", "large"]


def test_a_cell_without_a_forecast_is_never_left_out(shape: Forecast) -> None:
    plan = plan_of([make_cell("known"), make_cell("slow"), make_cell("unknown")])
    speeds = {"known": 900.0, "slow": 100.0}
    found = {
        cell.id: that_gives(shape, speeds[cell.parameter_set])
        if cell.parameter_set in speeds
        else CellForecast(None, "no facts")
        for cell in plan.accepted
    }
    assert names(prune(plan, PruneRule(keep=0.01), found)) == ["known", "unknown"]


def test_a_level_counts_by_its_chance_to_keep_the_slo(shape: Forecast) -> None:
    """Twice the speed at exactly the bound is worth as much as the speed with room to spare; far beyond, nothing."""
    plan = plan_of([make_cell(name) for name in ("room", "edge", "near", "far")])
    figures = {"room": (100, 0.01), "edge": (201, 0.05), "near": (1000, 0.06), "far": (9000, 0.5)}
    found = {cell.id: that_gives(shape, *figures[cell.parameter_set]) for cell in plan.accepted}
    # A bound of 50 ms missed at 60 ms, with an interval of 25 %: chance of ln(50/60)/0.25 = -0.73 sigma, 23 %.
    kept = prune(plan, PruneRule(within=2.4), found, slo=SLO)
    assert names(kept) == ["room", "edge", "near"]
    assert reasons(kept) == {
        "far": "predicted to miss the SLO at every level (tpot_p95 500 ms > 50 ms (bandwidth)); within=2.4"
    }
    assert names(prune(plan, PruneRule(within=2.32), found, slo=SLO)) == ["edge", "near"]


def test_no_cell_goes_for_a_doubt_of_the_slo_alone_and_the_reason_names_what_decides(shape: Forecast) -> None:
    """60 ms against 50 ms is within the forecast's 25 % (ln 1.2 = 0.18), 70 ms is not (ln 1.4 = 0.34)."""
    plan = plan_of([make_cell(name) for name in ("sure", "doubt", "slow", "past", "mixed", "unsure")])
    figures = {
        "sure": (100, 0.01), "doubt": (150, 0.06), "slow": (90, 0.01), "past": (500, 0.07), "mixed": (80, 0.01),
        "unsure": (75, 0.06),
    }  # fmt: skip
    found = {cell.id: that_gives(shape, *figures[cell.parameter_set]) for cell in plan.accepted}
    mixed = next(cell.id for cell in plan.accepted if cell.parameter_set == "mixed")
    light, heavy = that_gives(shape, 80, 0.01).forecast, that_gives(shape, 300, 0.5).forecast
    assert light is not None
    assert heavy is not None
    found[mixed] = CellForecast(replace(light, levels=light.levels + heavy.levels))
    kept = prune(plan, PruneRule(keep=0.01), found, slo=SLO)
    assert names(kept) == ["sure", "doubt"]
    told = "x the GPUs per output token of gpua5000×1 0.15.1 doubt"
    assert reasons(kept) == {
        "slow": f"predicted to take 1.67 {told}; keep=1%",
        "past": "predicted to miss the SLO at every level (tpot_p95 70 ms > 50 ms (bandwidth)); keep=1%",
        "mixed": f"predicted to take 1.88 {told}, for its cheapest load misses the SLO "
        "(tpot_p95 500 ms > 50 ms (bandwidth)); keep=1%",
        "unsure": f"predicted to take 2.00 {told} at a load that keeps the SLO with a chance of 23%; keep=1%",
    }


def test_where_no_cell_has_a_chance_nothing_is_left_out(shape: Forecast) -> None:
    plan = plan_of([make_cell("a"), make_cell("b")])
    found = {cell.id: that_gives(shape, 100, 0.5) for cell in plan.accepted}
    assert names(prune(plan, PruneRule(keep=0.5), found, slo=SLO)) == ["a", "b"]


FIXED = WorkloadConfig(
    input_tokens=LengthConfig("fixed", mean=256), output_tokens=LengthConfig("fixed", mean=24)
)
LIMITS = [
    (("--max-num-seqs=256",), "its arguments come to the same settings"),
    (("--max-num-seqs=64",), "8 requests run at a time at most (max-num-seqs 64, 256 there)"),
    (("--max-num-seqs=8",), "8 requests run at a time at most (max-num-seqs 8, 256 there)"),
    (("--max-num-seqs=7",), None),
    (("--max-model-len=2048",), "no request is longer than 344 tokens (max-model-len 2048)"),
    (("--max-model-len=300",), None),
    (("--gpu-memory-utilization=0.9", "--seed=0", "--dtype=bfloat16"), "its arguments come to the same settings"),
    (("--gpu-memory-utilization=0.85",), None),
    (("--max-num-batched-tokens=2048",), "its arguments come to the same settings"),
    (("--max-num-batched-tokens=1024",), None),
    (("--enable-lora",), None),
    (("--seed=3",), None),
]  # fmt: skip


@pytest.mark.parametrize(("more", "reason"), LIMITS)
def test_a_cell_that_runs_the_same_is_found_with_the_reason(
    more: tuple[str, ...], reason: str | None
) -> None:
    one = Cell("gpua5000", 1, 1, "0.15.1", QWEN, ("--max-model-len=4096",))
    other = replace(one, parameters=(*one.parameters, *more), parameter_set="other")
    found = {cell.id: forecast(cell, [LEVEL], None, seed=1) for cell in (one, other)}
    alike = twins([one, other], found, FIXED)
    assert [twin.reason for twin in alike] == ([] if reason is None else [reason])
    rule = PruneRule(equivalent=True)
    kept = prune(Preflight((one, other), (), ()), rule, found, twins=alike)
    assert kept.accepted == ((one, other) if reason is None else (one,))
    assert prune(Preflight((one, other), (), ()), PruneRule(keep=1.0), found, twins=alike).accepted == (
        one,
        other,
    )


def test_other_places_versions_and_models_are_never_the_same() -> None:
    one = Cell("gpua5000", 1, 1, "0.15.1", QWEN, ("--max-model-len=4096",))
    others = [
        replace(one, gpu_type="gpu3"), replace(one, gpu_count=2), replace(one, replicas=2),
        replace(one, engine_version="0.12.0"), replace(one, model="Qwen/Qwen2.5-7B"),
    ]  # fmt: skip
    cells = [one, *others]
    found = {cell.id: forecast(cell, [LEVEL], None, seed=1) for cell in cells}
    assert len(found) == 6
    assert twins(cells, found, FIXED) == []


def test_a_length_without_a_bound_lets_no_limit_pass() -> None:
    lognormal = LengthConfig("lognormal", mean=256, stddev=50)
    assert longest_request(FIXED) == 256 + 24 + 64
    assert longest_request(replace(FIXED, prefix_tokens=100)) == 444
    assert longest_request(replace(FIXED, input_tokens=lognormal)) is None
    assert longest_request(replace(FIXED, input_tokens=replace(lognormal, maximum=500))) == 588


def test_a_search_is_weighed_at_every_load_it_may_come_to(tmp_path: Path) -> None:
    path = tmp_path / "searching.yaml"
    path.write_text(
        "name: s\nmodel: m\ngpu-type: gpua5000\ngpu-count: 1\nengine-version: '0.15.1'\nslo: ttft_p95<=1s\n"
        "workload: {input-tokens: 8, output-tokens: 8}\n"
        "load: [{concurrency: 3, requests: 5}, {find: rate, from: 0.5, duration: 9s, steps: 3}]\n"
    )
    config = load_config(str(path))
    assert has_searches(config)
    levels = [level for level in searched(config).load if isinstance(level, LoadLevel)]
    assert [(level.concurrency, level.rate_per_s) for level in levels] == [
        (3, None), (None, 0.5), (None, 1.0), (None, 2.0),
    ]  # fmt: skip
    assert not has_searches(searched(config))
