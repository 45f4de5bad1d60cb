"""A site's own calibration: known constants are found again, it is judged on other levels, stored, and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.errors import ConfigError
from harness.forecast.calibration import (
    Calibration,
    Calibrations,
    NotCalibrated,
    Observation,
    calibrate,
    calibrations_from_json,
    constants_of,
    interval_of,
    mean_error,
    predicted,
)
from harness.forecast.load import Arrivals, Load
from harness.forecast.settings import EngineSettings
from harness.forecast.step import Constants
from harness.forecast.tables import gpu, model

SITE = Constants(compute_share=0.55, memory_share=0.68, host_s=4e-3, link_share=1.07)
LEVELS = (1, 64)


def site_level(concurrency: float, *, cell: str = "a", bend: float = 1.0, **changes: Any) -> Observation:
    """What a site with other constants would measure on its A40; ``bend`` is how much faster still."""
    card, facts = gpu("gpu3"), model("llama3-8b")
    assert card is not None
    assert facts is not None
    load = Load(
        Arrivals.CLOSED, concurrency, 512, 64, requests=max(60, 6 * round(concurrency)), output_sigma=0.2
    )
    observation = Observation(
        name=f"{cell} at {concurrency:g} users",
        cell_id=cell,
        model=facts,
        gpu=card,
        settings=EngineSettings(max_model_len=4096),
        gpu_count=1,
        replicas=1,
        load=load,
        figures={},
    )
    observation = replace(observation, **changes)
    found = {name: value for name, value in predicted(observation, SITE).items() if value is not None}
    assert len(found) == 3
    figures = {
        name: value * bend if name == "output_throughput" else value / bend for name, value in found.items()
    }
    return replace(observation, figures=figures)


@pytest.fixture(scope="module")
def found() -> Calibration:
    others = [site_level(users, cell="b", settings=EngineSettings(max_model_len=2048)) for users in (4, 32)]
    fitted = [site_level(users) for users in LEVELS]
    return calibrate(fitted, others, source="run 17", fitted_at="2026-01-02T03:04:05Z")


def test_constants_that_are_known_are_found_again(found: Calibration) -> None:
    assert found.constants.memory_share == pytest.approx(SITE.memory_share, rel=0.05)
    assert found.constants.compute_share == pytest.approx(SITE.compute_share, rel=0.15)
    assert found.constants.link_share == pytest.approx(
        Constants().link_share, rel=0.02
    )  # one GPU says nothing of it
    assert found.error_before > 0.1
    assert found.error_after < 0.02


def test_what_levels_cannot_tell_apart_stays_near_the_shipped_constants(found: Calibration) -> None:
    """0.15.1 hides the host behind the GPU; in 0.12.0 it looks like a slower memory. Neither harms the forecast."""
    assert found.constants.host_s == pytest.approx(Constants().host_s, rel=0.1)
    older = EngineSettings(engine_version="0.12.0", max_model_len=4096)
    levels = [site_level(users, settings=older) for users in (1, 16, 64)]
    there = calibrate(levels, source="run 18", fitted_at="2026-01-02")
    assert there.constants.host_s == pytest.approx(Constants().host_s, rel=0.1)
    assert there.constants.memory_share < SITE.memory_share
    assert there.error_after < 0.03
    assert (there.held_out, there.held_out_error, there.interval) == (0, None, 0.25)


def test_it_is_judged_on_levels_it_has_not_seen(found: Calibration) -> None:
    assert (found.rows, found.held_out) == (4, 4)
    assert found.held_out_error_before is not None
    assert found.held_out_error is not None
    assert found.held_out_error_before > 0.1
    assert found.held_out_error < 0.04
    assert found.interval == 0.12


def test_it_remembers_where_it_comes_from(found: Calibration) -> None:
    assert (found.family, found.engine_version, found.source) == ("gpu3", "0.15.1", "run 17")
    assert found.fitted_on == ("a at 1 users", "a at 64 users")
    assert found.told == "calibrated on run 17, 2026-01-02"
    assert replace(found, simulated=True).told == "calibrated on run 17 (SIMULATED), 2026-01-02"


@pytest.mark.parametrize(
    ("errors", "others", "half_width"),
    [
        ([], True, 0.25),
        ([0.01, 0.02, 0.03], True, 0.25),  # too few
        ([0.01] * 4, True, 0.12),
        ([0.01] * 4, False, 0.25),  # levels of the cell of the fit alone
        ([0.2] * 10, True, 0.2),
        ([0.4] * 2, True, 0.4),
    ],
)
def test_the_interval_is_as_wide_as_held_out_levels_make_it(
    errors: list[float], others: bool, half_width: float
) -> None:
    assert interval_of(errors, others=others) == half_width


def test_a_link_that_was_not_measured_keeps_the_wide_interval(found: Calibration) -> None:
    assert constants_of(found, EngineSettings()) == {"constants": found.constants, "interval": 0.12}
    assert constants_of(found, EngineSettings(tensor_parallel=2))["interval"] == 0.25
    assert (
        constants_of(replace(found, several_gpus=True), EngineSettings(tensor_parallel=2))["interval"] == 0.12
    )
    assert constants_of(None, EngineSettings()) == {}


def test_held_out_levels_that_disagree_widen_the_interval() -> None:
    odd = [site_level(users, cell="b", bend=1.5) for users in (4, 32)]
    found = calibrate([site_level(users) for users in LEVELS], odd, source="x", fitted_at="2026-01-02")
    assert found.interval == pytest.approx(0.5, abs=0.03)  # half again the TPOT; a third less throughput


def test_an_open_loops_throughput_is_not_judged() -> None:
    closed = site_level(4)
    assert closed.judged == ["tpot_mean", "output_throughput"]
    rate = replace(
        closed,
        load=replace(closed.load, arrivals=Arrivals.POISSON),
        figures={"tpot_mean": 0.02, "output_throughput": 1.0},
    )
    assert rate.judged == ["tpot_mean"]


def test_a_cell_that_cannot_start_is_entirely_wrong() -> None:
    short = replace(site_level(1), settings=EngineSettings(max_model_len=8192, gpu_memory_utilization=0.2))
    assert predicted(short, None) == {}
    assert mean_error([short], None) == 1.0


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, gpu=gpu("gpua5000")),
        lambda one: replace(one, settings=EngineSettings(engine_version="0.12.0")),
    ],
    ids=["another family", "another version"],
)
def test_levels_of_two_places_are_not_one_calibration(change: Callable[[Observation], Observation]) -> None:
    one = site_level(1)
    with pytest.raises(ValueError, match="one GPU family and one engine version"):
        calibrate([one], [change(one)], source="x", fitted_at="2026-01-02")
    with pytest.raises(ValueError, match="one GPU family and one engine version"):
        calibrate([], source="x", fitted_at="2026-01-02")


def test_it_is_for_one_family_and_version_alone(found: Calibration) -> None:
    known = Calibrations((found,))
    assert known.of("gpu3", "0.15.1") is found
    assert known.of("gpu3", "0.12.0") is None
    assert known.constants("gpua5000", "0.15.1") is None


def test_it_survives_being_stored(found: Calibration) -> None:
    kept = Calibrations((found,), (NotCalibrated("gpua5000", "0.15.1", "nothing is valid"),))
    assert calibrations_from_json(json.loads(json.dumps(kept.to_json()))) == kept


@pytest.mark.parametrize(
    "change",
    [{"constants": []}, {"constants": {"speed": 1}}, {"interval": "wide"}, {"interval": -1.0}, {"unknown": 1},
     {"constants": {"compute_share": -1.0}}],
)  # fmt: skip
def test_what_is_no_calibration_is_refused(found: Calibration, change: dict[str, object]) -> None:
    kept = Calibrations((found,)).to_json()
    with pytest.raises(ConfigError, match="not a calibration"):
        calibrations_from_json({**kept, "calibrations": [{**kept["calibrations"][0], **change}]})
    with pytest.raises(ConfigError, match="not a calibration"):
        calibrations_from_json({"schema_version": 1})
    with pytest.raises(ConfigError, match="schema version 9"):
        calibrations_from_json({**kept, "schema_version": 9})
