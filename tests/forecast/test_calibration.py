"""A site's own calibration: it fits, it is stored, and what is no calibration is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness.errors import ConfigError
from harness.forecast.calibration import Calibration, calibrate, calibration_from_json, mean_error
from harness.forecast.load import Arrivals, Load
from harness.forecast.published import Measurement, compare
from harness.forecast.settings import EngineSettings
from harness.forecast.step import Constants

SITE = Constants(compute_share=0.55, memory_share=0.68, host_s=4e-3, link_share=1.07)


def site_rows(*levels: float) -> list[Measurement]:
    """TPOT and throughput that a site with other constants would measure on its A40."""
    rows = [
        Measurement(
            id=f"c{level:g} {metric}",
            source="site",
            gpu="gpu3",
            model="llama3-8b",
            settings=EngineSettings(max_model_len=4096),
            load=Load(Arrivals.CLOSED, level, 512, 64, requests=40, output_spread=0.2),
            metric=metric,
            value=1.0,
        )
        for level in levels
        for metric in ("tpot_mean", "output_throughput")
    ]
    return [replace(one.measurement, value=one.predicted or 0.0) for one in compare(rows, SITE)]


@pytest.fixture(scope="module")
def found() -> Calibration:
    return calibrate(site_rows(1, 16), source="run 17", fitted_at="2026-01-02")


def test_a_calibration_improves_cells_it_has_not_seen(found: Calibration) -> None:
    others = site_rows(4, 32)
    assert mean_error(others, None) > 0.12
    assert mean_error(others, found.constants) < 0.06


def test_it_remembers_where_it_comes_from(found: Calibration) -> None:
    assert (found.family, found.engine_version, found.rows, found.source) == ("gpu3", "0.15.1", 4, "run 17")
    assert found.error_after < found.error_before


def test_it_survives_being_stored(found: Calibration) -> None:
    assert calibration_from_json(json.loads(json.dumps(found.to_json()))) == found


def test_rows_of_two_families_are_not_one_calibration() -> None:
    one, other = site_rows(1)
    with pytest.raises(ValueError, match="one GPU family"):
        calibrate([one, replace(other, gpu="gpua5000")], source="x", fitted_at="2026-01-02")


@pytest.mark.parametrize(
    "change",
    [{"schema_version": 9}, {"constants": []}, {"constants": {"speed": 1}}, {"rows": "many"},
     {"constants": {"compute_share": -1.0}}],
)  # fmt: skip
def test_what_is_no_calibration_is_refused(found: Calibration, change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        calibration_from_json({**found.to_json(), **change})
    with pytest.raises(ConfigError, match="not a calibration"):
        calibration_from_json({"schema_version": 1})
