from __future__ import annotations

from dataclasses import replace

import pytest

from harness.capacity.fleet import Demand, Excluded, MeasuredPoint, recommend
from harness.capacity.forecasted import PRECISION, Lengths, forecast_points, miss
from harness.forecast.cell import forecast_cell
from harness.forecast.load import Arrivals, Load
from harness.forecast.settings import from_values
from harness.forecast.tables import gpu, model
from harness.load.slo import Slo
from harness.plan.cells import Cell

CELL = Cell("gpua5000", 2, 1, "0.15.1", "meta-llama/Llama-3.1-8B-Instruct", ("--max-model-len=4096",))
LENGTHS = Lengths(512, 64)
SLO = Slo.parse("ttft_p95<=1s,tpot_p95<=60ms")


@pytest.fixture(name="points", scope="module")
def points_fixture() -> list[MeasuredPoint]:
    found = forecast_points(CELL, LENGTHS, SLO)
    assert isinstance(found, list)
    return found


def test_the_search_ends_with_the_highest_rate_known_to_five_percent(points: list[MeasuredPoint]) -> None:
    kept = [point.rate_req_s for point in points if point.miss is None]
    missed = [point.rate_req_s for point in points if point.miss is not None]
    assert len(kept) >= 3
    assert len(missed) >= 1
    assert max(kept) < min(missed) <= max(kept) * (1 + PRECISION) + 1e-9
    assert {point.source for point in points} == {"forecast"}


def fleet_misses(replicas: int, rate: float) -> str | None:
    """What a whole fleet does at a rate, simulated in virtual time; None when it keeps the SLO."""
    facts, card = model(CELL.model), gpu(CELL.gpu_type)
    assert facts is not None
    assert card is not None
    settings = from_values(
        {"max-model-len": "4096"}, engine_version=CELL.engine_version, gpu_count=CELL.gpu_count
    )
    load = Load(Arrivals.POISSON, rate, LENGTHS.input_tokens, LENGTHS.output_tokens, requests=600 * replicas)
    found = forecast_cell(
        facts, card, settings, gpu_count=CELL.gpu_count, replicas=replicas, loads=(load,), seed=1
    )
    return miss(found.levels[0], SLO)


def test_the_recommended_fleet_keeps_the_slo_when_simulated_and_one_replica_fewer_does_not(
    points: list[MeasuredPoint],
) -> None:
    carried = max(point.rate_req_s for point in points if point.miss is None)
    rate = 2.9 * carried
    option = recommend(points, Demand(rate_req_s=rate, utilisation=1.0)).options[0]
    assert option.replicas == 3
    assert fleet_misses(option.replicas, rate) is None
    assert fleet_misses(option.replicas - 1, rate) is not None


def test_a_cell_that_cannot_start_is_excluded_with_the_engines_reason() -> None:
    found = forecast_points(replace(CELL, gpu_type="gpu3080ti", gpu_count=1), LENGTHS, SLO)
    assert isinstance(found, Excluded)
    assert found.reason.startswith("would not start: ")


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (replace(CELL, model="org/unheard-of"), "no facts of org/unheard-of"),
        (replace(CELL, gpu_type="gpux"), "no facts of GPU 'gpux'"),
        (replace(CELL, parameters=("--max-modle-len=1",)), "its parameters are refused"),
    ],
)
def test_what_is_not_known_is_excluded_and_said(cell: Cell, reason: str) -> None:
    found = forecast_points(cell, LENGTHS, SLO)
    assert isinstance(found, Excluded)
    assert found.reason.startswith(reason)
