"""Trials on fleets whose limit is known by hand, and the fleet in virtual time against queueing's laws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from harness.capacity.check import MOST_REPLICAS, settle
from harness.capacity.fleet import Demand, MeasuredPoint, Option, recommend
from harness.capacity.forecasted import Lengths
from harness.forecast.load import Arrivals, Load
from harness.load import lengths as length
from harness.load.columns import Floats
from harness.load.slo import Slo
from harness.plan.cells import Cell
from harness.results.prices import PriceTable
from harness.simulator.fleet import run_fleet

SLO = Slo.parse("ttft_p95<=1s")
PRICES = PriceTable("EUR", "2026-10", "test", {"gpua5000": {1: 2.0}})


@dataclass
class Made:
    """All requests alike."""

    ttft: float
    request_throughput: float
    tpot: float = 0.01

    @property
    def ttft_s(self) -> Floats:
        return np.full(100, self.ttft)

    @property
    def tpot_s(self) -> Floats:
        return np.full(100, self.tpot)

    @property
    def e2e_s(self) -> Floats:
        return self.ttft_s + 1


def fleet_of(limit_req_s: float) -> Callable[[int, float], Made]:
    """A replica answers at once up to ``limit_req_s``, and after 5 s above it."""

    def run(replicas: int, rate: float) -> Made:
        return Made(0.1 if rate <= replicas * limit_req_s + 1e-9 else 5.0, rate)

    return run


def option(carries: float, demand: Demand, *, source: str = "measured") -> Option:
    point = MeasuredPoint(
        cell_id="a", label="a", gpu_type="gpua5000", gpu_count=1, replicas=1, load="c8", rate_req_s=carries,
        concurrency=8.0, miss=None, output_tokens_per_request=100.0, e2e_mean_s=1.0, source=source,
    )  # fmt: skip
    best = recommend([point], demand, prices=PRICES).best
    assert best is not None
    return best


def test_a_fleet_that_keeps_the_slo_stays_as_planned() -> None:
    demand = Demand(rate_req_s=8.0)  # a peak of 10, 5 replicas of 2
    found, check = settle(option(2.0, demand), demand, SLO, fleet_of(2.0))
    assert (found.replicas, check.planned, check.kept.rate_req_s) == (5, 5, 10.0)
    assert check.fewer is not None
    assert check.fewer.miss == "ttft_p95 5000 ms > 1000 ms"
    assert check.is_least
    # 4 of them carry the 8 that are asked for, with nothing left.
    assert check.fewer_at_demand is not None
    assert (check.fewer_at_demand.replicas, check.fewer_at_demand.rate_req_s) == (4, 8.0)
    assert check.fewer_at_demand.miss is None


def test_a_fleet_that_misses_it_is_enlarged_to_the_fewest_that_keep_it_and_costs_more() -> None:
    demand = Demand(rate_req_s=8.0)
    found, check = settle(option(2.0, demand), demand, SLO, fleet_of(0.7))
    # 10 / 0.7 = 14.3
    assert (found.replicas, check.kept.replicas, check.planned) == (15, 15, 5)
    assert (found.price_per_h, found.cost_per_mtok) == (30.0, pytest.approx(30 / (8 * 100 * 3600) * 1e6))
    assert check.is_least


def test_what_measurements_ask_for_is_not_made_smaller_and_what_a_forecast_asks_for_is() -> None:
    demand = Demand(rate_req_s=8.0)
    kept, check = settle(option(2.0, demand), demand, SLO, fleet_of(6.0))
    assert (kept.replicas, check.is_least) == (5, False)
    smaller, check = settle(option(2.0, demand, source="forecast"), demand, SLO, fleet_of(6.0))
    assert (smaller.replicas, check.kept.replicas, check.is_least) == (2, 2, True)


def test_spares_are_down_in_the_trial_and_bursts_are_in_it() -> None:
    demand = Demand(rate_req_s=4.0, burst=2.0, spare=2, utilisation=1.0)
    found, check = settle(option(2.0, demand), demand, SLO, fleet_of(2.0))
    assert (found.replicas, check.kept.replicas, check.kept.rate_req_s) == (6, 4, 8.0)


def test_a_fleet_that_no_size_helps_is_not_met() -> None:
    demand = Demand(rate_req_s=1.0)
    found, check = settle(option(2.0, demand), demand, SLO, lambda replicas, rate: Made(3.0, rate))
    assert (check.is_met, check.is_least, found.replicas) == (False, False, MOST_REPLICAS)


def test_a_fleet_that_finishes_less_than_comes_is_behind_whatever_its_latencies() -> None:
    demand = Demand(rate_req_s=1.6)
    _, check = settle(
        option(2.0, demand), demand, SLO, lambda replicas, rate: Made(0.1, min(rate, replicas * 0.9))
    )
    assert (check.kept.replicas, check.fewer and check.fewer.miss) == (3, "finishes 1.80 of 2.00 requests/s")


def test_bounds_that_the_model_says_nothing_of_are_named() -> None:
    demand = Demand(rate_req_s=1.0)
    slo = Slo.parse("ttft_p95<=1s,itl_p99<=50ms")
    _, check = settle(option(2.0, demand), demand, slo, fleet_of(2.0))
    assert [str(bound) for bound in check.untried] == ["itl_p99<=50ms"]
    assert [bound.metric for bound, _ in check.kept.reached] == ["ttft"]


ONE_AT_A_TIME = Cell(
    "gpua5000", 1, 1, "0.15.1", "Qwen/Qwen2.5-7B-Instruct", ("--max-model-len=4096", "--max-num-seqs=1")
)


def test_one_request_at_a_time_waits_as_pollaczek_and_khinchine_say() -> None:
    """An engine with one slot and requests all alike is an M/D/1 queue: the wait is rho / (2 (1 - rho)) services."""
    alone = run_fleet(ONE_AT_A_TIME, Load(Arrivals.CONSTANT, 0.01, 256, 64, requests=20), replicas=1)
    service = float(alone.e2e_s.mean())
    for rho in (0.5, 0.8):
        load = Load(Arrivals.POISSON, rho / service, 256, 64, requests=40_000)
        wait = float(run_fleet(ONE_AT_A_TIME, load, replicas=1).e2e_s.mean()) - service
        assert wait == pytest.approx(rho / (2 * (1 - rho)) * service, rel=0.08)


def test_a_random_split_makes_each_replica_a_queue_of_its_own_and_little_counts_who_is_in_it() -> None:
    alone = run_fleet(ONE_AT_A_TIME, Load(Arrivals.CONSTANT, 0.01, 256, 64, requests=20), replicas=1)
    service, rho = float(alone.e2e_s.mean()), 0.6
    rate = 3 * rho / service
    run = run_fleet(ONE_AT_A_TIME, Load(Arrivals.POISSON, rate, 256, 64, requests=60_000), replicas=3)
    wait = float(run.e2e_s.mean()) - service
    assert wait == pytest.approx(rho / (2 * (1 - rho)) * service, rel=0.08)
    # Little: requests in the system, counted at even instants, are the rate times the time each spends in it
    instants = np.linspace(run.sent_s[5000], run.sent_s[-5000], 4000)
    inside = np.searchsorted(np.sort(run.sent_s), instants) - np.searchsorted(np.sort(run.ended_s), instants)
    assert inside.mean() == pytest.approx(rate * run.e2e_s.mean(), rel=0.05)


def test_lengths_keep_their_mean_and_their_spread() -> None:
    found = Lengths.of(length.FixedLength(256), length.LogNormalLength(100, 0.5))
    assert (found.input_tokens, found.input_sigma, found.output_sigma) == (256, 0.0, 0.5)
    assert found.output_tokens == pytest.approx(100 * np.exp(0.125))
    # uniform from 0 to 2 means: a standard deviation of 1 / sqrt(3) means, sigma² = log(1 + 1/3)
    wide = Lengths.of(length.UniformLength(1, 199), length.NormalLength(100, 20))
    assert wide.input_sigma == pytest.approx(np.sqrt(np.log1p((198 / np.sqrt(12) / 100) ** 2)))
    assert wide.output_sigma == pytest.approx(np.sqrt(np.log1p(0.04)))
