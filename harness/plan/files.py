"""Which files a linter run is about, and how a mended one is written back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.errors import ConfigError
from harness.plan.detect import SUFFIXES
from harness.plan.source import STDIN

SKIPPED_FOLDERS = ("node_modules", "__pycache__", "results")


class Candidate(NamedTuple):
    """A file to look at. ``is_named``: the user named it himself, so that it must be something to lint."""

    path: str
    is_named: bool


def discover(paths: Sequence[str]) -> Iterator[Candidate]:
    """The files behind the paths, each once; folders with everything below them whose suffix may hold parameters.

    Hidden folders, virtual environments and result folders are passed over; links to folders are not followed.
    """
    seen: set[str] = set()
    for path in paths:
        found = [Candidate(path, is_named=True)] if not os.path.isdir(path) else _below(path)
        for candidate in found:
            if candidate.path not in seen:
                seen.add(candidate.path)
                yield candidate


def _below(folder: str) -> Iterator[Candidate]:
    closed: list[OSError] = []
    for here, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in SKIPPED_FOLDERS
            and not os.path.exists(os.path.join(here, name, "pyvenv.cfg"))
        )
        for name in sorted(names):
            path = os.path.join(here, name).removeprefix(f".{os.sep}")
            if not name.startswith(".") and name.lower().endswith(SUFFIXES) and os.path.isfile(path):
                yield Candidate(path, is_named=False)
    # Reading a folder that may not be listed fails with the reason, which is the report it deserves.
    yield from (Candidate(str(error.filename), is_named=True) for error in closed)


def write_back(path: str, text: str) -> None:
    """Replaces a file's text in one step, keeping its mode and a byte-order mark; ConfigError when it cannot be."""
    if path == STDIN:
        raise ConfigError("--fix needs a file: standard input cannot be mended in place")
    import tempfile  # costs 6 ms that only a mended file should pay

    target = Path(os.path.realpath(path))
    name = None
    try:
        has_mark = target.read_bytes().startswith(b"\xef\xbb\xbf")
        with tempfile.NamedTemporaryFile(
            "wb", dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            name = file.name
            file.write((b"\xef\xbb\xbf" if has_mark else b"") + text.encode())
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, target.stat().st_mode & 0o7777)
        os.replace(name, target)
    except OSError as error:
        if name is not None and os.path.exists(name):
            os.unlink(name)
        raise ConfigError(f"cannot write {path!r}: {(error.strerror or str(error)).lower()}") from None
