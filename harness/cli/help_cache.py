"""Help documents fetched from the API, kept in the user's cache folder with where and when they came from.

A simulator's documents lie in a folder of their own, where nothing reads them: no real list is judged by one.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.params.help import EngineHelp, parse_help

SIMULATED = "simulated"

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def cache_folder() -> Path:
    """Where fetched documents lie."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("inference-harness")) / "help"


def cached_versions(folder: Path) -> tuple[str, ...]:
    """Versions with a fetched document."""
    return tuple(sorted(path.stem.removeprefix("help-") for path in folder.glob("help-*.json")))


def load_cached(version: str, folder: Path) -> EngineHelp | None:
    """The fetched document of a version; None when there is none, or it cannot be read any more."""
    try:
        document = json.loads(path_of(version, folder).read_text(encoding="utf-8"))
        return parse_help(document["document"], version=version, provenance=document["provenance"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def is_simulated(source: str) -> bool:
    """True for a document of a simulator: the real API is on no loopback address."""
    from harness.exoscale.urls import is_loopback

    return is_loopback(source)


def store(
    version: str, document: Mapping[str, Any], *, source: str, now: datetime, folder: Path
) -> EngineHelp:
    """Keeps a document and returns it read; ValueError when it is none, UserError when the folder cannot be written."""
    provenance = {"source": source, "date": now.astimezone(UTC).isoformat(timespec="seconds")}
    found = parse_help(document, version=version, provenance=provenance)
    text = json.dumps({"provenance": provenance, "document": document}, indent=1)
    path = path_of(version, folder, source=source)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".help-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        raise UserError(f"cannot write {str(path)!r}: {(error.strerror or str(error)).lower()}") from None
    return found


def path_of(version: str, folder: Path, *, source: str | None = None) -> Path:
    """The file of a version, as a source gave it; UserError for a text that cannot be one."""
    if _SAFE.fullmatch(version) is None:
        raise UserError(f"not an engine version: {version!r}")
    apart = SIMULATED if source is not None and is_simulated(source) else ""
    return folder / apart / f"help-{version}.json"


def age(help: EngineHelp, now: datetime) -> str | None:
    """How old a fetched document is: ``3 days``, ``5 hours``; None when its date is not known."""
    try:
        then = datetime.fromisoformat(help.provenance.get("date", ""))
        hours = int((now - then).total_seconds() // 3600)
    except (ValueError, TypeError):
        return None
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours"
