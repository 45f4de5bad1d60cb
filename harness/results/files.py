"""Files that are whole or not there: written under a temporary name beside their own, synced, then renamed. I/O."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, InternalError
from harness.secret import Secret


class StoreError(HarnessError):
    """Results could not be written: disk full, permission denied, a folder in the way."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path; when the block ends well it becomes ``path``, else it is removed.

    StoreError when the operating system refuses; whatever stood at ``path`` before is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(f"cannot write '{path}': {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """``content`` at ``path``, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """``content`` as UTF-8 at ``path``, whole or not at all."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Plain JSON values, indented, at ``path``."""
    write_text(path, plain_json(content, indent=2) + "\n")


def plain_json(value: object, *, indent: int | None = None) -> str:
    """JSON text of plain values. InternalError for a Secret anywhere in it, for NaN, and for other types."""
    _refuse_secrets(value)
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    except (TypeError, ValueError) as error:
        raise InternalError(f"not plain JSON: {error}") from error


def _refuse_secrets(value: object) -> None:
    if isinstance(value, Secret):
        raise InternalError("a secret was about to be written to a file")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_secrets(key)
            _refuse_secrets(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _refuse_secrets(item)
