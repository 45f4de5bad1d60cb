"""Constants fitted on one's own runs, per GPU family, with where they come from. Pure.

One calibrated family halves the forecast's interval. Fit on the first cells of a family and judge on its others:
a calibration says how well it fits only on what it was not fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from harness.errors import ConfigError
from harness.forecast.fit import as_tuple, fit
from harness.forecast.published import Measurement, compare
from harness.forecast.step import Constants

SCHEMA_VERSION = 1
# One published laboratory is 1.7 times slower than another with the same GPU: a site may well be that far off.
SITE_SPREAD = 0.5


@dataclass(frozen=True, slots=True)
class Calibration:
    """Constants of one GPU family. Errors are means of absolute relative errors over the rows it was fitted on.

    ``source`` names the run, ``fitted_at`` is an ISO date the caller gives, ``rows`` how many figures were used.
    """

    family: str
    constants: Constants
    source: str
    fitted_at: str
    engine_version: str
    rows: int
    error_before: float
    error_after: float

    def to_json(self) -> dict[str, object]:
        """Plain JSON values; ``calibration_from_json`` reads them back."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def calibrate(
    measured: Sequence[Measurement], *, source: str, fitted_at: str, start: Constants | None = None
) -> Calibration:
    """Fit the constants to figures of one GPU family and engine version. ValueError when they are not of one."""
    families = {one.gpu for one in measured}
    versions = {one.settings.engine_version for one in measured}
    if len(families) != 1 or len(versions) != 1:
        raise ValueError("a calibration is of one GPU family and one engine version")
    begin = start or Constants()
    constants = fit(measured, start=begin, prior=tuple((value, SITE_SPREAD) for value in as_tuple(begin)))
    return Calibration(
        family=families.pop(),
        constants=constants,
        source=source,
        fitted_at=fitted_at,
        engine_version=versions.pop(),
        rows=len(measured),
        error_before=mean_error(measured, start),
        error_after=mean_error(measured, constants),
    )


def mean_error(measured: Sequence[Measurement], constants: Constants | None) -> float:
    """Mean absolute relative error; a cell that cannot start counts as entirely wrong."""
    errors = [1.0 if one.error is None else abs(one.error) for one in compare(list(measured), constants)]
    return sum(errors) / len(errors)


def calibration_from_json(data: Mapping[str, object]) -> Calibration:
    """Read back ``to_json``. ConfigError when it is not of this shape."""
    try:
        if data["schema_version"] != SCHEMA_VERSION:
            raise ConfigError(f"a calibration of schema version {data['schema_version']} is not understood")
        given = data["constants"]
        if not isinstance(given, Mapping):
            raise TypeError("constants is not a mapping")
        constants = Constants(**{name: float(value) for name, value in given.items()})
        if not all(0 < value < 100 for value in as_tuple(constants)):
            raise ValueError("a constant is out of range")
        return Calibration(
            family=str(data["family"]),
            constants=constants,
            source=str(data["source"]),
            fitted_at=str(data["fitted_at"]),
            engine_version=str(data["engine_version"]),
            rows=int(str(data["rows"])),
            error_before=float(str(data["error_before"])),
            error_after=float(str(data["error_after"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"not a calibration: {error}") from error
