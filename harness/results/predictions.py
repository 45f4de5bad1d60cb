"""A run's levels beside their forecasts, and the constants that its first cells ask for. Pure.

Of each GPU family and engine version, the first cell measured with enough valid levels is fitted on, at its lowest and
its highest; so is the first one whose engines span several GPUs, for the link. All other valid levels are held out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.forecast.calibration import (
    FEWEST_LEVELS,
    Calibration,
    Calibrations,
    NotCalibrated,
    calibrate,
    predicted,
)
from harness.results.frame import Run
from harness.results.observing import ObservedLevel, observed

FITTED, HELD_OUT, NOT_JUDGED = "fitted on", "held out", "not judged"


@dataclass(frozen=True, slots=True)
class Prediction:
    """One figure of a level: measured, and predicted by the shipped constants and by the fitted ones, if there are any.

    ``metric`` is one of ``calibration.METRICS``; ``part`` says whether the level was fitted on, held out, or neither.
    """

    label: str
    load: str
    metric: str
    measured: float
    shipped: float | None
    calibrated: float | None
    part: str


@dataclass(frozen=True, slots=True)
class Predictions:
    """All of a run. ``reason`` says why there are none."""

    figures: tuple[Prediction, ...]
    calibrations: Calibrations
    reason: str | None = None


def predictions(run: Run) -> Predictions:
    """The forecast of every level that can be, beside what was measured."""
    levels, reason = observed(run.resolved, run.levels)
    figures: list[Prediction] = []
    found: list[Calibration] = []
    refused: list[NotCalibrated] = []
    for place in dict.fromkeys(one.observation.place for one in levels):
        group = [one for one in levels if one.observation.place == place]
        fitted = anchors(group)
        held_out = [one for one in group if one.is_believed and one not in fitted]
        calibration = None
        if fitted:
            calibration = calibrate(
                [one.observation for one in fitted],
                [one.observation for one in held_out],
                source=run.resolved.name,
                fitted_at=run.resolved.started_at,
                simulated=run.resolved.simulated,
            )
            found.append(calibration)
        else:
            refused.append(NotCalibrated(*place, _too_few(group)))
        for one in group:
            part = FITTED if one in fitted else HELD_OUT if one in held_out else NOT_JUDGED
            figures += _figures(one, calibration, part)
    return Predictions(tuple(figures), Calibrations(tuple(found), tuple(refused)), reason)


def anchors(group: Sequence[ObservedLevel]) -> list[ObservedLevel]:
    """The levels to fit on, of one family and version: the ends of the first cell, and of the first on several GPUs."""
    chosen: list[ObservedLevel] = []
    for spans_gpus in (False, True):
        cells: dict[str, list[ObservedLevel]] = {}
        for one in sorted(group, key=lambda one: one.began):
            if one.is_believed and (one.observation.settings.tensor_parallel > 1) is spans_gpus:
                cells.setdefault(one.observation.cell_id, []).append(one)
        first = next((cell for cell in cells.values() if len(cell) >= FEWEST_LEVELS), [])
        by_load = sorted(first, key=_in_flight)
        chosen += [by_load[0], by_load[-1]] if by_load else []
    return chosen


def _in_flight(one: ObservedLevel) -> tuple[float, float]:
    """Requests at a time, by Little's law, so that closed and open loops are in one order."""
    figures, load = one.observation.figures, one.observation.load
    latency_s = figures.get("ttft_p50", 0.0) + figures.get("tpot_mean", 0.0) * load.output_tokens
    return figures.get("output_throughput", 0.0) / load.output_tokens * latency_s, load.level


def _too_few(group: Iterable[ObservedLevel]) -> str:
    believed = [one for one in group if one.is_believed]
    return f"no cell has {FEWEST_LEVELS} valid levels to fit on; {len(believed)} valid in all"


def _figures(one: ObservedLevel, calibration: Calibration | None, part: str) -> list[Prediction]:
    shipped = predicted(one.observation, None)
    fitted = {} if calibration is None else predicted(one.observation, calibration.constants)
    return [
        Prediction(one.label, one.load, metric, value, shipped.get(metric), fitted.get(metric), part)
        for metric, value in one.observation.figures.items()
    ]
