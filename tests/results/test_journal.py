from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import ConfigError, InternalError, UsageError
from harness.results.journal import Journal, JournalBusy, is_being_written, read_events
from harness.secret import Secret

WRITER = """
import sys
from pathlib import Path
from harness.results.journal import Journal
journal = Journal.create(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    journal.append("provisioning", run_id="abc-r0", data={"state": f"deploying {number}"})
print("written", flush=True)
sys.stdin.read()
"""


def start_writer(path: Path, *, count: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    return process


def finish(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.wait(timeout=10)
    process.stdout.close()


def test_events_come_back_in_order_with_their_data(tmp_path: Path) -> None:
    ticks = iter([10.0, 11.5, 12.0])
    with Journal.create(tmp_path / "journal.sqlite", clock=lambda: next(ticks)) as journal:
        journal.append("sweep-started")
        journal.append("create-intended", run_id="c1-r0", data={"name": "bench-ä", "cell_id": "c1"})
        journal.append("sweep-finished", data={"counts": {"measured": 0}})
    events = read_events(tmp_path / "journal.sqlite")
    assert [(event.seq, event.at_unix, event.run_id, event.kind) for event in events] == [
        (1, 10.0, None, "sweep-started"),
        (2, 11.5, "c1-r0", "create-intended"),
        (3, 12.0, None, "sweep-finished"),
    ]
    assert events[1].data == {"name": "bench-ä", "cell_id": "c1"}
    assert events[2].data == {"counts": {"measured": 0}}


def test_a_killed_writer_loses_nothing_it_appended_and_the_journal_can_be_continued(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    process = start_writer(path, count=25)
    os.kill(process.pid, signal.SIGKILL)
    finish(process)
    with Journal.open(path) as journal:
        assert [event.data["state"] for event in journal.events()] == [f"deploying {n}" for n in range(25)]
        journal.append("sweep-finished")
    assert len(read_events(path)) == 26


def test_a_second_writer_is_refused_while_the_first_lives_and_readers_are_not(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    process = start_writer(path, count=3)
    try:
        with pytest.raises(JournalBusy, match="in use"):
            Journal.open(path)
        assert is_being_written(path)
        assert len(read_events(path)) == 3
    finally:
        finish(process)
    assert not is_being_written(path)
    Journal.open(path).close()


def test_the_journal_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "journal.sqlite") as journal:
        journal.append("sweep-started")
        files = list(tmp_path.iterdir())
        assert len(files) >= 3  # the database, its write-ahead log, the lock
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@pytest.mark.parametrize(
    "data",
    [{"key": Secret("s3cr3t-key")}, {"nested": [{"deeper": (Secret("s3cr3t-key"),)}]}],
    ids=["flat", "nested"],
)
def test_a_secret_is_refused_and_never_reaches_the_file(tmp_path: Path, data: dict[str, object]) -> None:
    with Journal.create(tmp_path / "journal.sqlite") as journal:
        with pytest.raises(InternalError, match="secret"):
            journal.append("ready", run_id="c1-r0", data=data)
        assert journal.events() == []
    assert b"s3cr3t" not in (tmp_path / "journal.sqlite").read_bytes()


@pytest.mark.parametrize("data", [{"x": float("nan")}, {"x": object()}], ids=["nan", "object"])
def test_data_that_is_not_json_is_refused(tmp_path: Path, data: dict[str, object]) -> None:
    with Journal.create(tmp_path / "journal.sqlite") as journal, pytest.raises(InternalError, match="JSON"):
        journal.append("ready", data=data)


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "journal.sqlite") as journal, pytest.raises(InternalError, match="'redy'"):
        journal.append("redy")


def test_events_cannot_be_changed_or_deleted(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.create(path) as journal:
        journal.append("sweep-started")
    connection = sqlite3.connect(path)
    for statement in ("DELETE FROM event", "UPDATE event SET kind = 'deleted'"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


def test_creating_over_an_existing_journal_is_refused(tmp_path: Path) -> None:
    Journal.create(tmp_path / "journal.sqlite").close()
    with pytest.raises(UsageError, match="exists already"):
        Journal.create(tmp_path / "journal.sqlite")


def test_a_missing_journal_and_a_file_that_is_none_are_one_line_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no journal"):
        read_events(tmp_path / "journal.sqlite")
    (tmp_path / "text.sqlite").write_text("not a database at all, but long enough to be read as one" * 40)
    with pytest.raises(ConfigError, match="not a readable journal"):
        read_events(tmp_path / "text.sqlite")
    with pytest.raises(ConfigError, match="not a readable journal"):
        Journal.open(tmp_path / "text.sqlite")
    sqlite3.connect(tmp_path / "other.sqlite").execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(ConfigError, match="not a journal of this program"):
        Journal.open(tmp_path / "other.sqlite")


def test_a_journal_of_a_newer_schema_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    Journal.create(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigError, match="schema version 99"):
        read_events(path)


def test_a_rollback_journal_left_by_a_killed_writer_is_undone_by_reading(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.create(path) as journal:
        journal.append("sweep-started")
    die_in_mid_write = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('PRAGMA cache_size = 1')\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "for _ in range(2000):\n"
        "    connection.execute(\"INSERT INTO event (at_unix, kind, data) VALUES (0, 'deleted', '{}')\")\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", die_in_mid_write, str(path)], check=True)
    assert path.with_name("journal.sqlite-journal").stat().st_size > 0
    assert [event.kind for event in read_events(path)] == ["sweep-started"]
