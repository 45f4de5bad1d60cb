from __future__ import annotations

import dataclasses

import pytest

from harness.capacity.fleet import (
    Demand,
    MeasuredPoint,
    Option,
    break_even_req_s,
    recommend,
)
from harness.errors import UsageError
from harness.results.prices import PriceTable

PRICES = PriceTable(
    currency="EUR", as_of="2026-10", what="test", per_hour={"small": {1: 1.0, 2: 1.9}, "large": {1: 3.0}}
)


def level(
    gpu_type: str,
    load: int,
    rate: float,
    *,
    miss: str | None = None,
    void: bool = False,
    gpu_count: int = 1,
    replicas: int = 1,
) -> MeasuredPoint:
    return MeasuredPoint(
        cell_id=f"{gpu_type}{gpu_count}",
        label=f"{gpu_type}×{gpu_count}",
        gpu_type=gpu_type,
        gpu_count=gpu_count,
        replicas=replicas,
        load=f"c{load}",
        rate_req_s=rate,
        concurrency=float(load),
        miss=miss,
        void=void,
        output_tokens_per_request=100.0,
        e2e_mean_s=2.0,
    )


SMALL = [
    level("small", 4, 2.0),
    level("small", 8, 3.0),
    level("small", 16, 3.5, miss="tpot_p95 80 ms > 60 ms"),
]
LARGE = [level("large", 8, 6.0), level("large", 16, 10.0)]


def test_the_cheapest_fleet_of_a_worked_example() -> None:
    # small carries 3.0, large 10.0 requests/s; at 80 % and 10 requests/s: 10/2.4 -> 5 x 1.0, 10/8 -> 2 x 3.0
    answer = recommend([*SMALL, *LARGE], Demand(rate_req_s=10.0), prices=PRICES)
    assert [(o.point.gpu_type, o.replicas, o.price_per_h) for o in answer.options] == [
        ("small", 5, 5.0),
        ("large", 2, 6.0),
    ]
    best = answer.best
    assert best is not None
    assert (best.gpus, best.used) == (5, pytest.approx(10 / 15))
    assert best.binding == "tpot_p95 80 ms > 60 ms at c16"
    assert answer.options[1].binding == "not reached: c16, the highest load measured, keeps the SLO"
    # 5 EUR an hour for 10 requests/s x 100 tokens x 3600 s = 3.6M tokens
    assert best.cost_per_mtok == pytest.approx(5 / 3.6)
    assert best.price_per_month == pytest.approx(3650)


def test_a_rate_that_fills_the_fleet_exactly_needs_no_further_replica() -> None:
    # 3 replicas of 3.0 at 80 % carry 7.2
    assert recommend(SMALL, Demand(rate_req_s=7.2)).options[0].replicas == 3
    assert recommend(SMALL, Demand(rate_req_s=7.21)).options[0].replicas == 4
    assert recommend(SMALL, Demand(rate_req_s=0.01)).options[0].replicas == 1


def test_one_replica_fewer_would_run_above_the_wished_utilisation() -> None:
    for rate in (0.5, 2.4, 3.0, 9.9, 47.3):
        option = recommend(SMALL, Demand(rate_req_s=rate)).options[0]
        assert option.used <= 0.8 + 1e-9
        assert option.replicas == 1 or rate / ((option.replicas - 1) * 3.0) > 0.8


def test_bursts_and_spares_add_replicas() -> None:
    # 10 x 1.5 / 2.4 = 6.25 -> 7, and one spare
    option = recommend(SMALL, Demand(rate_req_s=10.0, burst=1.5, spare=1)).options[0]
    assert option.replicas == 8
    assert option.used == pytest.approx(10 / 24)


def test_users_become_a_rate_by_the_measured_latency() -> None:
    # 60 users, 28 s of thought and 2 s of answer: 2 requests/s, one replica
    option = recommend(SMALL, Demand(users=60, think_s=28.0)).options[0]
    assert option.mean_rate_req_s == pytest.approx(2.0)
    assert option.replicas == 1


def test_a_load_above_the_first_miss_is_not_relied_upon() -> None:
    lucky = [level("small", 4, 2.0), level("small", 8, 3.0, miss="late"), level("small", 16, 9.0)]
    option = recommend(lucky, Demand(rate_req_s=1.0)).options[0]
    assert (option.per_replica_req_s, option.binding) == (2.0, "late at c8")


def test_the_rate_of_several_replicas_is_shared_among_them() -> None:
    option = recommend([level("small", 8, 8.0, replicas=4)], Demand(rate_req_s=4.0)).options[0]
    assert (option.per_replica_req_s, option.replicas) == (2.0, 3)


def test_cells_that_are_no_option_say_why() -> None:
    void = [level("large", 8, 6.0, void=True)]
    misses = [level("small", 8, 3.0, miss="ttft_p95 1400 ms > 1000 ms", gpu_count=2)]
    unpriced = [level("rare", 8, 3.0)]
    answer = recommend([*void, *misses, *unpriced], Demand(rate_req_s=1.0), prices=PRICES)
    assert answer.best is None
    assert {excluded.label: excluded.reason for excluded in answer.excluded} == {
        "large×1": "every point is void",
        "small×2": "misses the SLO at its lowest load: ttft_p95 1400 ms > 1000 ms at c8",
        "rare×1": "no price for rare x 1",
    }


def test_a_void_level_between_believed_ones_is_passed_over() -> None:
    levels = [level("small", 4, 2.0), level("small", 8, 9.0, void=True), level("small", 16, 3.0)]
    assert recommend(levels, Demand(rate_req_s=1.0)).options[0].per_replica_req_s == 3.0


def test_without_prices_the_fewest_gpus_come_first() -> None:
    answer = recommend([*SMALL, *LARGE], Demand(rate_req_s=10.0))
    assert [(option.point.gpu_type, option.gpus) for option in answer.options] == [("large", 2), ("small", 5)]
    assert answer.options[0].price_per_h is None


def test_break_even_against_a_token_price() -> None:
    option = recommend(SMALL, Demand(rate_req_s=2.0), prices=PRICES).options[0]
    # 1 EUR/h; at 2 EUR per 1M tokens and 100 tokens a request: 5000 requests an hour
    assert break_even_req_s(option, price_per_mtok=2.0) == pytest.approx(5000 / 3600)
    free = Option(option.point, 1.0, 1.0, 1, "")
    assert break_even_req_s(free, price_per_mtok=2.0) is None


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"rate_req_s": 1.0, "users": 2.0},
        {"rate_req_s": 0.0},
        {"rate_req_s": 1.0, "utilisation": 0.0},
        {"rate_req_s": 1.0, "utilisation": 1.1},
        {"rate_req_s": 1.0, "burst": 0.5},
        {"rate_req_s": 1.0, "spare": -1},
    ],
)
def test_a_demand_that_makes_no_sense_is_a_usage_error(given: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Demand(**given)  # type: ignore[arg-type]  # the wrong values are what is tested


def test_a_cell_that_finished_nothing_is_no_option() -> None:
    idle = [dataclasses.replace(SMALL[0], rate_req_s=0.0)]
    assert recommend(idle, Demand(rate_req_s=1.0)).excluded[0].reason == "finished no request"
