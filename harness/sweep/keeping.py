"""What a results folder keeps so that its sweep can be run again from there: the sweep file and all that it read. I/O.

The files are copied to ``inputs/``, and the kept sweep file names them there. Only a local engine's model stays where
it is, for its weights lie beside its config.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import ConfigError
from harness.forecast.calibration import Calibrations
from harness.plan.config import SweepConfig
from harness.plan.named_files import named_files, renamed
from harness.results.files import plain_json, write_bytes
from harness.results.prices import PriceTable
from harness.results.resolved import CALIBRATION_INPUT, FAULTS_INPUT, INPUTS, PRICES_INPUT
from harness.results.store import CONFIG_FILE, RunFolder

CHANGED = (
    "# As kept with the results: it names what inputs/ holds. SHA-256 of the file that was read: {sha256}\n"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """The sweep file to keep, and the contents of the other files by their names below the folder."""

    config: bytes
    inputs: Mapping[str, bytes] = field(default_factory=dict)


def keep(
    config: SweepConfig,
    *,
    local: bool = False,
    prices: PriceTable | None = None,
    calibrations: Calibrations | None = None,
    faults: Path | None = None,
) -> Kept:
    """What to keep of a sweep's inputs, read now; ``local``: a local engine reads the models' folders."""
    inputs: dict[str, bytes] = {}
    names = {}
    for number, file in enumerate(named_files(config.source), start=1):
        if local and file.is_model:
            names[file.span] = str(file.path.absolute())
            continue
        names[file.span] = f"{INPUTS}/{number}-{file.path.name}"
        inputs[names[file.span]] = _content(file.path)
    text = renamed(config, names)
    if text != config.source.text:
        text = CHANGED.format(sha256=config.sha256) + text
    if prices is not None:
        inputs[PRICES_INPUT] = plain_json(prices.to_json(), indent=2).encode()
    if calibrations is not None and calibrations.found:
        inputs[CALIBRATION_INPUT] = plain_json(calibrations.to_json(), indent=2).encode()
    if faults is not None:
        inputs[FAULTS_INPUT] = _content(faults, "the fault file ")
    return Kept(text.encode(), inputs)


def write_kept(folder: RunFolder, kept: Kept) -> None:
    """The sweep file and its inputs in the folder."""
    for name, content in kept.inputs.items():
        write_bytes(folder.path / name, content)
    write_bytes(folder.path / CONFIG_FILE, kept.config)


def _content(path: Path, what: str = "") -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {what}'{path}': {error.strerror}") from error
