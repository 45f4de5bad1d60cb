"""Constants fitted on one's own runs, per GPU family and engine version, with where they come from. Pure.

They are fitted on a few levels and judged on all others, for a calibration says how good it is only on what it was not
fitted on: its interval is the narrow one only where enough such levels, another cell's among them, bear it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

import numpy as np

from harness.errors import ConfigError
from harness.forecast.cell import INTERVAL_CALIBRATED, INTERVAL_DEFAULT, forecast_cell
from harness.forecast.fit import as_tuple, fit_to, log_errors_of
from harness.forecast.hardware import Gpu
from harness.forecast.level import LevelForecast
from harness.forecast.load import Arrivals, Load
from harness.forecast.models import ModelFacts
from harness.forecast.settings import EngineSettings
from harness.forecast.step import Constants

SCHEMA_VERSION = 1
# One published laboratory is 1.7 times slower than another with the same GPU: a site may well be that far off.
SITE_SPREAD = 0.5
EVALUATIONS = 80
FEWEST_LEVELS = 2
FEWEST_HELD_OUT = 4
METRICS = ("tpot_mean", "output_throughput", "ttft_p50")


@dataclass(frozen=True, slots=True)
class Observation:
    """What a deployment did under one load. ``figures``: by name of METRICS, in seconds or tokens per second."""

    name: str
    cell_id: str
    model: ModelFacts
    gpu: Gpu
    settings: EngineSettings
    gpu_count: int
    replicas: int
    load: Load
    figures: Mapping[str, float]

    @property
    def place(self) -> tuple[str, str]:
        """GPU family and engine version: what one set of constants is for."""
        return self.gpu.family, self.settings.engine_version

    @property
    def judged(self) -> list[str]:
        """The figures that tell of the constants: an open loop's throughput is the rate, whatever the engine does."""
        closed = self.load.arrivals is Arrivals.CLOSED
        names = ("tpot_mean", "output_throughput") if closed else ("tpot_mean",)
        return [name for name in names if name in self.figures]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Constants of one GPU family and engine version. Errors are means of absolute relative errors over figures.

    ``source`` names the sweep and ``fitted_at`` is its ISO date; ``fitted_on`` are the levels of the fit, ``rows``
    their figures, ``held_out`` the figures of all other levels and ``held_out_error`` None when there are none.
    ``several_gpus``: engines on more than one GPU are among both.
    """

    family: str
    engine_version: str
    constants: Constants
    source: str
    fitted_at: str
    simulated: bool
    fitted_on: tuple[str, ...]
    rows: int
    error_before: float
    error_after: float
    held_out: int
    held_out_error_before: float | None
    held_out_error: float | None
    interval: float
    several_gpus: bool

    def interval_for(self, tensor_parallel: int) -> float:
        """The relative half-width for an engine on so many GPUs: the wide one for a link that was never measured."""
        known = tensor_parallel == 1 or self.several_gpus
        return self.interval if known else max(self.interval, INTERVAL_DEFAULT)

    @property
    def told(self) -> str:
        """Where it comes from, in a few words."""
        return f"calibrated on {self.source}{' (SIMULATED)' if self.simulated else ''}, {self.fitted_at[:10]}"


@dataclass(frozen=True, slots=True)
class NotCalibrated:
    """A GPU family and engine version that no constants were fitted for, and why."""

    family: str
    engine_version: str
    reason: str


@dataclass(frozen=True, slots=True)
class Calibrations:
    """All that a sweep gave."""

    found: tuple[Calibration, ...] = ()
    refused: tuple[NotCalibrated, ...] = ()

    def of(self, family: str, engine_version: str) -> Calibration | None:
        """That of a family and version; another version's is none."""
        known = {(one.family, one.engine_version): one for one in self.found}
        return known.get((family, engine_version))

    def constants(self, family: str, engine_version: str) -> Constants | None:
        """Those fitted for a family and version; None where the shipped ones hold."""
        found = self.of(family, engine_version)
        return None if found is None else found.constants

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; ``calibrations_from_json`` reads them back."""
        return {
            "schema_version": SCHEMA_VERSION,
            "calibrations": [{**asdict(one), "fitted_on": list(one.fitted_on)} for one in self.found],
            "refused": [asdict(one) for one in self.refused],
        }


class Fitted(TypedDict, total=False):
    """Arguments of ``forecast_cell``."""

    constants: Constants
    interval: float


def constants_of(calibration: Calibration | None, settings: EngineSettings) -> Fitted:
    """What a forecast with this calibration takes; nothing without one."""
    if calibration is None:
        return {}
    interval = calibration.interval_for(settings.tensor_parallel)
    return {"constants": calibration.constants, "interval": interval}


def predicted(observation: Observation, constants: Constants | None) -> dict[str, float | None]:
    """The forecast of what was measured, by METRICS; empty when the cell could not start."""
    found = forecast_cell(
        observation.model,
        observation.gpu,
        observation.settings,
        gpu_count=observation.gpu_count,
        replicas=observation.replicas,
        loads=(observation.load,),
        constants=constants,
    )
    return figures_of(found.levels[0]) if found.levels else {}


def figures_of(level: LevelForecast) -> dict[str, float | None]:
    """A forecast level's figures by METRICS."""
    return dict(zip(METRICS, (level.tpot_s.mean, level.output_throughput, level.ttft_s.p50), strict=True))


def calibrate(
    fitted: Sequence[Observation],
    held_out: Sequence[Observation] = (),
    *,
    source: str,
    fitted_at: str,
    simulated: bool = False,
) -> Calibration:
    """Fit the constants to ``fitted``, judge them on ``held_out``.

    ValueError unless all are of one family and version.
    """
    places = {one.place for one in (*fitted, *held_out)}
    if len(places) != 1 or not fitted:
        raise ValueError("a calibration is of one GPU family and one engine version")
    ((family, version),) = places
    begin = Constants()
    constants = fit_to(
        lambda candidate: log_errors_of(_pairs(fitted, candidate)),
        start=begin,
        prior=tuple((value, SITE_SPREAD) for value in as_tuple(begin)),
        evaluations=EVALUATIONS,
    )
    errors = relative_errors(held_out, constants)
    before = relative_errors(held_out, None)
    return Calibration(
        family=family,
        engine_version=version,
        constants=constants,
        source=source,
        fitted_at=fitted_at,
        simulated=simulated,
        fitted_on=tuple(one.name for one in fitted),
        rows=sum(len(one.judged) for one in fitted),
        error_before=mean_error(fitted, None),
        error_after=mean_error(fitted, constants),
        held_out=len(errors),
        held_out_error_before=float(np.mean(before)) if before else None,
        held_out_error=float(np.mean(errors)) if errors else None,
        interval=interval_of(
            errors, others=bool({one.cell_id for one in held_out} - {one.cell_id for one in fitted})
        ),
        several_gpus=all(
            any(one.settings.tensor_parallel > 1 for one in part) for part in (fitted, held_out)
        ),
    )


def interval_of(errors: Sequence[float], *, others: bool) -> float:
    """The half-width that held-out errors bear out: what nine of ten keep to, and never less than the published one.

    Without enough of them, or none of ``others`` than the cells of the fit, no less than that of the shipped constants.
    """
    enough = others and len(errors) >= FEWEST_HELD_OUT
    least = INTERVAL_CALIBRATED if enough else INTERVAL_DEFAULT
    return max(least, round(float(np.percentile(errors, 90)), 3)) if errors else least


def mean_error(measured: Sequence[Observation], constants: Constants | None) -> float:
    """Mean absolute relative error of the judged figures; a cell that cannot start counts as entirely wrong."""
    return float(np.mean(relative_errors(measured, constants)))


def relative_errors(measured: Sequence[Observation], constants: Constants | None) -> list[float]:
    """The absolute relative error of every judged figure."""
    return [1.0 if not one else abs(one / value - 1) for one, value in _pairs(measured, constants)]


def _pairs(measured: Sequence[Observation], constants: Constants | None) -> list[tuple[float | None, float]]:
    """Predicted and measured, figure by figure."""
    pairs = []
    for observation in measured:
        forecast = predicted(observation, constants)
        pairs += [(forecast.get(name), observation.figures[name]) for name in observation.judged]
    return pairs


def calibrations_from_json(data: Mapping[str, Any]) -> Calibrations:
    """Read back ``to_json``. ConfigError when it is not of this shape."""
    try:
        if data["schema_version"] != SCHEMA_VERSION:
            raise ConfigError(f"calibrations of schema version {data['schema_version']} are not understood")
        return Calibrations(
            tuple(_calibration(one) for one in data["calibrations"]),
            tuple(NotCalibrated(**one) for one in data["refused"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"not a calibration: {error}") from error


def _calibration(data: Mapping[str, Any]) -> Calibration:
    constants = Constants(**{name: float(value) for name, value in data["constants"].items()})
    if not all(0 < value < 100 for value in as_tuple(constants)):
        raise ValueError("a constant is out of range")
    if not 0 < float(data["interval"]) < 100:
        raise ValueError("its interval is out of range")
    return Calibration(**{**data, "constants": constants, "fitted_on": tuple(data["fitted_on"])})
