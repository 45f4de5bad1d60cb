"""A run folder: where each thing that happened is kept. The format, key by key: ``results/README.md``. I/O."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError, UsageError
from harness.forecast.calibration import Calibrations, calibrations_from_json
from harness.results.files import StoreError, write_bytes, write_json
from harness.results.journal import Event, Journal, is_being_written, read_events
from harness.results.parquet import read_meta, read_records, write_records
from harness.results.resolved import INPUTS, Resolved

__all__ = ["RunFolder", "config_sha256", "read_meta", "read_records", "write_records"]

# Everything a run folder may hold; `replace` removes these and refuses a folder with anything else in it.
CONTENTS = (
    "config.yaml", INPUTS, "resolved.json", "journal.sqlite", "records", "logs", "summary.json", "points.csv",
    "cells.csv", "calibration.json", "report.md", "report.html", "plots",
)  # fmt: skip
CONFIG_FILE = "config.yaml"
CALIBRATION_FILE = "calibration.json"
_RECORDS_NAME = re.compile(r"(?P<run>.+)-p(?P<point>\d+)\.parquet")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One sweep's folder. The paths below are its parts; only ``create`` writes."""

    path: Path

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        config: bytes,
        resolved: Resolved,
        replace: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> tuple[RunFolder, Journal]:
        """A new folder with its configuration, and the journal open for writing.

        UsageError when it holds a run already, unless ``replace``; and even then while that run is being written
        or its journal shows deployments that may be alive, or when the folder holds files of others. ``clock``
        dates the journal's events.
        """
        folder = cls(path)
        require_room(path, replace=replace)
        if path.exists():
            _remove(list(path.iterdir()))
        try:
            folder.records.mkdir(parents=True)
            folder.logs.mkdir()
        except OSError as error:
            raise StoreError(f"cannot create '{path}': {error.strerror}") from error
        journal = Journal.create(folder.journal_path, clock=clock)
        write_bytes(path / CONFIG_FILE, config)
        write_json(path / "resolved.json", resolved.to_json())
        return folder, journal

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run folder; ConfigError when there is none."""
        if not path.is_dir():
            raise ConfigError(f"no results folder at '{path}'")
        if not (path / "resolved.json").is_file():
            raise ConfigError(f"'{path}' is not a run folder: it has no resolved.json")
        return cls(path)

    @property
    def journal_path(self) -> Path:
        """The journal."""
        return self.path / "journal.sqlite"

    @property
    def records(self) -> Path:
        """The folder of records files."""
        return self.path / "records"

    @property
    def logs(self) -> Path:
        """The folder of engine logs."""
        return self.path / "logs"

    @property
    def plots(self) -> Path:
        """The folder of plots."""
        return self.path / "plots"

    def records_path(self, run_id: str, point: int) -> Path:
        """Where the records of one load level of a run are; ``point`` is the level's index."""
        return self.records / f"{run_id}-p{point}.parquet"

    def log_path(self, run_id: str) -> Path:
        """Where the engine's log lines of a run are."""
        return self.logs / f"{run_id}.log"

    def resolved(self) -> Resolved:
        """What the sweep was asked to do; ConfigError when the file cannot be read."""
        path = self.path / "resolved.json"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read '{path}': {error}") from error
        if not isinstance(document, dict):
            raise ConfigError(f"'{path}' is not a JSON object")
        return Resolved.parse(document, source=str(path))

    def events(self) -> list[Event]:
        """The journal so far; empty when the folder has no journal (a folder of records alone)."""
        return read_events(self.journal_path) if self.journal_path.exists() else []

    def record_files(self) -> list[Path]:
        """Every records file, by run and then by point number."""
        found = [(match, path) for path in self.records.glob("*.parquet") if (match := _named(path))]
        return [
            path for match, path in sorted(found, key=lambda item: (item[0]["run"], int(item[0]["point"])))
        ]


def require_room(path: Path, *, replace: bool) -> None:
    """UsageError unless a run folder can be made here, as ``RunFolder.create`` says; changes nothing."""
    if not path.exists():
        return
    if not path.is_dir():
        raise UsageError(f"'{path}' is a file; results need a folder")
    present = [entry.name for entry in path.iterdir()]
    if not present:
        return
    strangers = [name for name in present if not _is_ours(name)]
    if strangers:
        raise UsageError(f"'{path}' holds files that are not a run's: '{min(strangers)}'")
    if not replace:
        raise UsageError(
            f"'{path}' holds a run already; resume it, name another folder, or replace it with --replace"
        )
    folder = RunFolder(path)
    if folder.journal_path.exists():
        if is_being_written(folder.journal_path):
            raise UsageError(f"'{path}' is in use: another process is writing its journal")
        alive = maybe_alive(folder.events())
        if alive:
            raise UsageError(
                f"'{path}' is kept: {len(alive)} of its deployments may still be alive; clean up first"
            )


def maybe_alive(events: Iterable[Event]) -> list[str]:
    """Runs whose journal shows a deployment intended or created, and no proof that it is gone."""
    alive: set[str] = set()
    for event in events:
        if event.run_id is not None and event.kind in ("create-intended", "created", "adopted", "found-late"):
            alive.add(event.run_id)
        elif event.run_id is not None and event.kind in ("deleted", "handed-over"):
            alive.discard(event.run_id)
    return sorted(alive)


def config_sha256(config: bytes) -> str:
    """The hash by which a report names the configuration file it came from."""
    return hashlib.sha256(config).hexdigest()


def load_calibrations(path: Path) -> Calibrations:
    """The constants in a ``calibration.json``, or in a run folder's; ConfigError when there are none to use."""
    file = path / CALIBRATION_FILE if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        rebuild = f"; for a run folder: harness report '{path}'" if path.is_dir() else ""
        raise ConfigError(f"no calibration at '{file}'{rebuild}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the calibration '{file}': {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"'{file}' is not a JSON object")
    found = calibrations_from_json(document)
    if not found.found:
        reasons = "; ".join(f"{one.family} {one.engine_version}: {one.reason}" for one in found.refused)
        raise ConfigError(f"'{file}' holds no calibration: {reasons or 'nothing could be forecast'}")
    return found


def _is_ours(name: str) -> bool:
    """True for a run's own files and for what a killed writer left of one (``files`` has the form)."""
    whole = name[1:] if name.startswith(".") and name.endswith(".partial") else name
    return whole.startswith(CONTENTS)


def _named(path: Path) -> re.Match[str] | None:
    return _RECORDS_NAME.fullmatch(path.name)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError as error:
            raise StoreError(f"cannot remove '{path}': {error.strerror}") from error
