"""A fleet in virtual time: against one engine of the forecast, against queueing's laws, and against itself."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import UsageError
from harness.forecast.cell import forecast_cell
from harness.forecast.load import Arrivals, Load
from harness.forecast.settings import EngineSettings
from harness.forecast.tables import gpu, model
from harness.plan.cells import Cell
from harness.simulator.fleet import FleetRun, Router, run_fleet

CELL = Cell("gpua5000", 1, 1, "0.15.1", "Qwen/Qwen2.5-7B-Instruct", ("--max-model-len=4096",))


def load(rate: float, requests: int = 600, **changes: float) -> Load:
    return Load(
        Arrivals.POISSON, rate, 400, 120, requests=requests, input_sigma=0.4, output_sigma=0.4, **changes
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("router", Router)
def test_a_fleet_of_one_is_the_forecasts_engine(router: Router) -> None:
    facts, card = model(CELL.model), gpu(CELL.gpu_type)
    assert facts is not None
    assert card is not None
    settings = EngineSettings(max_model_len=4096)
    known = forecast_cell(facts, card, settings, gpu_count=1, loads=(load(2.0),), seed=4).levels[0]
    found = run_fleet(CELL, load(2.0), replicas=1, router=router, seed=4)
    assert len(found.ttft_s) == 600
    np.testing.assert_allclose(found.ttft_s, known.ttft_each_s, rtol=1e-9)
    np.testing.assert_allclose(
        found.tpot_s[found.outputs > 1], known.tpot_each_s[found.outputs > 1], rtol=1e-9
    )
    assert found.preemptions == known.preemptions


def test_a_random_split_of_a_poisson_stream_loads_each_replica_like_a_stream_of_its_own() -> None:
    alone = run_fleet(CELL, load(2.0, 4000), replicas=1)
    fleet = run_fleet(CELL, load(8.0, 16_000), replicas=4)
    for mine, theirs in ((alone.ttft_s, fleet.ttft_s), (alone.tpot_s, fleet.tpot_s)):
        assert np.nanmedian(theirs) == pytest.approx(np.nanmedian(mine), rel=0.03)
    shares = np.bincount(fleet.replica, minlength=4) / 16_000
    # Four standard deviations of a binomial share.
    assert np.abs(shares - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / 16_000)


def test_looking_before_choosing_shortens_the_wait_near_saturation() -> None:
    random, least = (
        run_fleet(CELL, load(24.0, 4000), replicas=4, router=router)
        for router in (Router.RANDOM, Router.LEAST_LOADED)
    )
    assert np.nanpercentile(least.ttft_s, 95) < np.nanpercentile(random.ttft_s, 95)
    assert unevenness(least) < unevenness(random) / 2


def unevenness(run: FleetRun) -> float:
    """The spread of the work over the replicas, relative to its mean."""
    work = np.bincount(run.replica, weights=run.outputs)
    return float(work.std() / work.mean())


@pytest.mark.parametrize("router", Router)
def test_everything_sent_is_answered_in_order_and_obeys_littles_law(router: Router) -> None:
    run = run_fleet(CELL, load(6.0, 3000), replicas=2, router=router)
    assert len(run.ended_s) == 3000
    assert (run.first_s > run.sent_s).all()
    assert (run.ended_s >= run.first_s).all()
    assert run.request_throughput == pytest.approx(6.0, rel=0.08)
    # Mean number in the system, from a walk over arrivals and ends, against rate times mean time in it.
    events = np.concatenate([run.sent_s, run.ended_s])
    change = np.concatenate([np.ones(3000), -np.ones(3000)])
    order = np.argsort(events, kind="stable")
    inside = np.cumsum(change[order])[:-1]
    span = events.max() - events.min()
    mean_inside = float((inside * np.diff(events[order])).sum() / span)
    assert mean_inside == pytest.approx(3000 / span * run.e2e_s.mean(), rel=1e-9)


def test_the_same_seed_gives_the_same_fleet() -> None:
    one, two, other = (
        run_fleet(CELL, load(6.0), replicas=3, router=Router.LEAST_LOADED, seed=s) for s in (1, 1, 2)
    )
    assert (one.ended_s == two.ended_s).all()
    assert not (one.ended_s == other.ended_s).all()


@pytest.mark.parametrize(
    ("cell", "arrivals", "words"),
    [
        (CELL, Arrivals.CLOSED, "closed loop"),
        (Cell("gpu3080ti", 1, 1, "0.15.1", CELL.model, ()), Arrivals.POISSON, "would not start"),
        (Cell("gpua5000", 1, 1, "0.15.1", "nobody/Knows", ()), Arrivals.POISSON, "no facts of nobody/Knows"),
    ],
)
def test_what_cannot_be_run_says_why(cell: Cell, arrivals: Arrivals, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run_fleet(cell, Load(arrivals, 1.0, 100, 10), replicas=1)
