"""What is said of fleets whose limit is known by hand, and of those that cannot be tried."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from harness.capacity.check import settle
from harness.capacity.fleet import Answer, Demand, MeasuredPoint, Option, ranked, recommend
from harness.capacity.forecasted import Lengths
from harness.cli.capacity_known import Known
from harness.cli.capacity_text import render
from harness.cli.capacity_trial import Verification, verified
from harness.cli.capacity_tried import cheaper_lines, tried_lines
from harness.forecast.calibration import Calibrations
from harness.load.columns import Floats
from harness.load.slo import Slo
from harness.plan.cells import Cell
from harness.results.prices import PriceTable

PRICES = PriceTable("EUR", "2026-10", "test", {"gpua5000": {1: 2.0}, "gpurtx6000pro": {1: 9.75}})
DEMAND = Demand(rate_req_s=8.0)  # a peak of 10
SLO = Slo.parse("ttft_p95<=1s")


@dataclass
class Made:
    """All requests alike."""

    ttft: float
    request_throughput: float

    @property
    def ttft_s(self) -> Floats:
        return np.full(100, self.ttft)

    tpot_s = e2e_s = ttft_s


def point(cell_id: str, gpu_type: str, carries: float) -> MeasuredPoint:
    return MeasuredPoint(
        cell_id=cell_id, label=cell_id, gpu_type=gpu_type, gpu_count=1, replicas=1, load="c8", rate_req_s=carries,
        concurrency=8.0, miss=None, output_tokens_per_request=100.0, e2e_mean_s=1.0,
    )  # fmt: skip


def settled(gpu_type: str, *, carries: float, limit: float) -> tuple[Option, Verification]:
    """An option measured to carry ``carries`` whose replicas answer after 5 s above ``limit``, as it was tried."""
    best = recommend([point(gpu_type, gpu_type, carries)], DEMAND, prices=PRICES).options[0]
    found, check = settle(
        best, DEMAND, SLO, lambda n, rate: Made(0.1 if rate <= n * limit + 1e-9 else 5.0, rate)
    )
    return found, Verification(checks={gpu_type: check})


def test_a_cheaper_fleet_that_missed_is_named_with_its_price_its_figure_and_what_it_makes_of_the_demand() -> (
    None
):
    # 10 / 0.7 = 14.3: 15 replicas at 30 EUR/h. 14 at 28 are cheaper than 3 of the other at 29.25, and carry 9.8.
    small, of_small = settled("gpua5000", carries=2.0, limit=0.7)
    large, of_large = settled("gpurtx6000pro", carries=4.0, limit=4.0)
    assert (small.price_per_h, large.price_per_h) == (30.0, 29.25)
    answer = Answer(ranked([small, large]), ())
    trials = Verification(checks={**of_small.checks, **of_large.checks})
    assert list(cheaper_lines(answer, DEMAND, trials, PRICES)) == [
        "gpua5000, 28.00 EUR/h: 14 replicas miss the SLO (ttft_p95 5000 ms > 1000 ms) at 10.00 requests/s; "
        "at 8.00, with no headroom, they keep it (ttft_p95 100 ms)"
    ]


def test_a_smaller_fleet_that_is_no_cheaper_is_not_named() -> None:
    small, of_small = settled("gpua5000", carries=2.0, limit=0.6)  # 10 / 0.6 = 16.7: 16 miss, at 32
    large, of_large = settled("gpurtx6000pro", carries=4.0, limit=4.0)
    trials = Verification(checks={**of_small.checks, **of_large.checks})
    assert not cheaper_lines(Answer(ranked([small, large]), ()), DEMAND, trials, PRICES)


def test_a_fleet_as_dear_that_was_first_as_planned_and_missed_is_named() -> None:
    # Both 1 replica at 2 EUR/h for a peak of 10; the less used one carries 6 when tried.
    first = recommend([point("b", "gpua5000", 12.0)], DEMAND, prices=PRICES).options[0]
    missed, check = settle(first, DEMAND, SLO, lambda n, rate: Made(0.1 if rate <= n * 6.0 else 5.0, rate))
    best, of_best = settled("gpua5000", carries=10.0, limit=10.0)
    trials = Verification(checks={"b": check, **of_best.checks})
    (line,) = cheaper_lines(Answer((best, missed), ()), DEMAND, trials, PRICES)
    assert line.startswith("b, 2.00 EUR/h: 1 replica misses the SLO (ttft_p95 5000 ms > 1000 ms) at 10.00")


def test_a_replica_fewer_that_keeps_it_is_not_proposed_because_of_the_headroom() -> None:
    # Measured to carry 9 a replica: 2 for a peak of 10. In the model one carries 20.
    found, trials = settled("gpua5000", carries=9.0, limit=20.0)
    lines = tried_lines(found, DEMAND, trials)
    assert found.replicas == 2
    assert lines[1] == (
        "1 replica keeps the SLO (ttft_p95 100 ms) too, in the model. Not proposed: it was measured to carry 9.00 "
        "requests/s, of which 8.00 would be 89%, above the 80% planned for; a higher load measured, or --basis both, "
        "may show that it carries more"
    )


def known(cells: dict[str, Cell], *, in_turns: bool = False) -> Known:
    return Known(
        points=(), excluded=(), slo="ttft_p95<=1s", prices=None, simulated=False, basis=None, cells=cells,
        lengths=Lengths(100, 20), models={}, calibrations=Calibrations(), in_turns=in_turns,
    )  # fmt: skip


@pytest.mark.parametrize("wanted", [None, True])
def test_an_engine_that_the_model_does_not_cover_stays_an_option_and_is_said_not_to_be_tried(
    wanted: bool | None,
) -> None:
    cell = Cell("gpua5000", 1, 1, "0.15.1", "nobody/knows-it", ())
    answer = recommend([point(cell.id, "gpua5000", 2.0)], DEMAND, prices=PRICES)
    found, trials = verified(answer, DEMAND, known({cell.id: cell}), wanted=wanted)
    assert found.options == answer.options
    assert found.best is not None
    (line,) = tried_lines(found.best, DEMAND, trials)
    assert line.startswith("NOT TRIED (")
    assert "nobody/knows-it" in line


def test_a_trial_by_the_constants_that_ship_says_so() -> None:
    found, trials = settled("gpua5000", carries=9.0, limit=20.0)
    for shown, expected in ((trials, True), (Verification(), False)):
        printed = render(
            Answer((found,), ()), DEMAND, known({}), prices=PRICES, token_price=None, trials=shown
        )
        assert ("with the constants that ship; --calibration DIR" in printed) is expected


def test_what_a_request_is_in_conversations_is_said() -> None:
    answer = recommend([point("a", "gpua5000", 2.0)], DEMAND, prices=PRICES)
    for in_turns, text in (
        (True, "For 8 requests/s, each turn of a conversation being one, within"),
        (False, "For 8 requests/s within"),
    ):
        printed = render(
            answer,
            DEMAND,
            known({}, in_turns=in_turns),
            prices=PRICES,
            token_price=None,
            trials=Verification(),
        )
        assert text in printed
