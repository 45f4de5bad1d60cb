"""The option by which a forecast goes by an earlier sweep's constants, and what is said of that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from harness.forecast.calibration import Calibrations
    from harness.plan.cells import Cell

F = TypeVar("F", bound=Callable[..., object])


def calibration_option(command: F) -> F:
    """``--calibration``."""
    return click.option(
        "--calibration",
        type=click.Path(path_type=Path),
        metavar="DIR|FILE",
        help="Forecast with the constants that an earlier sweep's own GPUs gave: its folder, or its calibration.json.",
    )(command)


def read_calibrations(path: Path | str | None) -> Calibrations:
    """The constants at the path, none without one; ConfigError when it holds none."""
    from harness.forecast.calibration import Calibrations

    if path is None:
        return Calibrations()
    from harness.results.store import load_calibrations  # brings in what reads records

    return load_calibrations(Path(path))


def calibration_lines(cells: Iterable[Cell], calibrations: Calibrations) -> list[str]:
    """A line for each calibration that the forecasts of these cells are by."""
    found = (calibrations.of(cell.gpu_type, cell.engine_version) for cell in cells)
    used = {(one.family, one.engine_version): one for one in found if one is not None}
    return [
        f"{family}, vLLM {version}: {one.told}; expect {one.interval:.0%} either way"
        f"{'' if one.several_gpus else f', {one.interval_for(2):.0%} on several GPUs'}"
        for (family, version), one in used.items()
    ]
