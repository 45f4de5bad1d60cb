"""The journal of a sweep: an append-only list of events in SQLite, each on disk before ``append`` returns.

One process writes, any number read meanwhile. The writer's lock is the kernel's (``flock`` on a file beside the
journal), so it ends with its owner however that dies. I/O.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from harness.errors import ConfigError, HarnessError, InternalError, UsageError
from harness.results.clock import steady_unix
from harness.results.files import plain_json

SCHEMA_VERSION = 1
APPLICATION_ID = 0x68726E73  # "hrns": what `file` and we recognise a journal by

KINDS = frozenset(
    {
        "sweep-started", "cell-refused", "create-intended", "created", "provisioning", "ready", "engine-log",
        "measuring-started", "point-finished", "measured", "failed", "skipped", "delete-intended", "delete-sent",
        "delete-refused", "retried", "model-create-intended", "model-created", "model-deleted",
        "adopted", "handed-over", "invalidated", "found-late", "scale-intended", "scaled", "level-skipped",
        "search-ended",
        "deleted", "sweep-interrupted", "sweep-finished",
    }
)  # fmt: skip

_TABLES = """
CREATE TABLE event (
    seq INTEGER PRIMARY KEY, at_unix REAL NOT NULL, run_id TEXT, kind TEXT NOT NULL, data TEXT NOT NULL
);
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'append-only'); END;
"""


class JournalBusy(UsageError):
    """Another process is writing this journal: the sweep is still running."""


class JournalError(HarnessError):
    """The journal could not be written (disk full, permission taken away); the sweep cannot go on."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal. ``seq`` counts from 1; ``run_id`` is None for events of the whole sweep."""

    seq: int
    at_unix: float
    run_id: str | None
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Journal:
    """The open journal of the one process that writes it; a context manager.

    ``create`` makes a new file (0600) and ``open`` continues one, also after its writer was killed. Both raise
    JournalBusy while another process owns it. Appending from several threads is allowed.
    """

    def __init__(
        self, connection: sqlite3.Connection, *, path: Path, lock: int, clock: Callable[[], float]
    ) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._clock = clock
        self._mutex = threading.Lock()
        self._closed = False

    @classmethod
    def create(cls, path: Path, *, clock: Callable[[], float] | None = None) -> Journal:
        """A new, empty journal; UsageError when the file exists already."""
        lock = _take_lock(path)
        try:
            _make_file(path)
            connection = _writer(path)
        except FileExistsError:
            os.close(lock)
            raise UsageError(f"a journal exists already at '{path}'") from None
        except (OSError, sqlite3.Error) as error:
            os.close(lock)
            raise JournalError(f"cannot create the journal '{path}': {error}") from error
        return cls(connection, path=path, lock=lock, clock=clock or steady_unix())

    @classmethod
    def open(cls, path: Path, *, clock: Callable[[], float] | None = None) -> Journal:
        """The journal at ``path``, to be continued; ConfigError when it is missing or not a journal."""
        if not path.is_file():
            raise ConfigError(f"no journal at '{path}'")
        lock = _take_lock(path)
        try:
            connection = _writer(path)
            _check_schema(connection, path)
        except sqlite3.Error as error:
            os.close(lock)
            raise ConfigError(f"'{path}' is not a readable journal: {error}") from error
        except HarnessError:
            os.close(lock)
            raise
        return cls(connection, path=path, lock=lock, clock=clock or steady_unix())

    def append(self, kind: str, *, run_id: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Add one event; on disk when this returns. ``data`` is plain JSON values; a Secret in it is refused."""
        if kind not in KINDS:
            raise InternalError(f"unknown journal event kind '{kind}'")
        row = (self._clock(), run_id, kind, plain_json(data or {}))
        try:
            with self._mutex:
                self._connection.execute(
                    "INSERT INTO event (at_unix, run_id, kind, data) VALUES (?, ?, ?, ?)", row
                )
        except sqlite3.Error as error:
            raise JournalError(f"cannot write the journal '{self.path}': {error}") from error

    def events(self) -> list[Event]:
        """Every event so far, oldest first."""
        with self._mutex:
            return _read(self._connection)

    def close(self) -> None:
        """Give the lock back and leave one file, if nobody is reading; a second call does nothing."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.close()
            os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_events(path: Path) -> list[Event]:
    """Every event of a journal that another process may be writing; takes no lock. ConfigError if unreadable."""
    if not path.is_file():
        raise ConfigError(f"no journal at '{path}'")
    try:
        with _reader(path) as connection:
            _check_schema(connection, path)
            return _read(connection)
    except sqlite3.Error as error:
        raise ConfigError(f"'{path}' is not a readable journal: {error}") from error


def is_being_written(path: Path) -> bool:
    """True while a live process owns the journal."""
    try:
        lock = _take_lock(path)
    except JournalBusy:
        return True
    except JournalError:
        return False  # a read-only folder: nobody can be writing it as this user
    os.close(lock)
    return False


def _take_lock(path: Path) -> int:
    """A descriptor holding the writer's lock; never inherited by a child that is executed."""
    lock_path = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(f"cannot lock the journal '{path}': {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise JournalBusy(f"'{path.parent}' is in use: another process is writing its journal") from None
    return descriptor


def _make_file(path: Path) -> None:
    """An empty journal under its name in one step: a reader or a crash sees all of its schema, or no file."""
    if path.exists():
        raise FileExistsError(path)
    beginning = path.with_name(f"{path.name}.new")
    beginning.unlink(missing_ok=True)
    os.close(os.open(beginning, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    with contextlib.closing(sqlite3.connect(beginning, isolation_level=None)) as connection:
        connection.executescript(
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; {_TABLES}"
        )
    os.replace(beginning, path)
    _sync_folder(path.parent)


def _writer(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


@contextlib.contextmanager
def _reader(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection. In a folder we may not write, SQLite needs to be told that nothing changes.

    A writer killed while it changed the journal mode leaves a rollback journal, which only a connection that may
    write can undo.
    """
    settled = not path.with_name(path.name + "-wal").exists() and not os.access(path.parent, os.W_OK)
    mode = "mode=ro&immutable=1" if settled else "mode=ro"
    if path.with_name(path.name + "-journal").exists() and os.access(path, os.W_OK):
        mode = "mode=rw"
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise ConfigError(f"'{path}' is not a journal of this program")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise ConfigError(f"'{path}' has schema version {version}; this version reads up to {SCHEMA_VERSION}")


def _read(connection: sqlite3.Connection) -> list[Event]:
    rows = connection.execute("SELECT seq, at_unix, run_id, kind, data FROM event ORDER BY seq")
    return [Event(seq, at_unix, run_id, kind, json.loads(data)) for seq, at_unix, run_id, kind, data in rows]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
