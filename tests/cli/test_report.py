from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.main import command
from harness.errors import ConfigError
from harness.plan.cells import Cell
from harness.results.resolved import Resolved
from harness.results.store import RunFolder

SAMPLE = Path(__file__).resolve().parents[2] / "results" / "sample"


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path) -> Path:
    """A run that was planned and interrupted before it measured anything."""
    cell = Cell("gpua5000", 1, 1, "0.15.1", "m", ())
    resolved = Resolved(
        name="tiny", started_at="2026-11-23T16:00:00Z", simulated=True, deployer="exoscale", cells=(cell,)
    )
    opened, journal = RunFolder.create(tmp_path / "tiny", config=b"", resolved=resolved)
    with journal:
        journal.append("sweep-started")
        journal.append("sweep-interrupted", data={"signal": "SIGINT"})
    return opened.path


def test_report_writes_every_report_and_prints_where(folder: Path) -> None:
    result = CliRunner().invoke(command, ["report", str(folder)])
    assert result.exit_code == 0
    printed = [Path(line) for line in result.stdout.splitlines()]
    assert [path.name for path in printed] == [
        "report.html",
        "report.md",
        "summary.json",
        "points.csv",
        "cells.csv",
        "calibration.json",
    ]
    assert all(path.is_file() for path in printed)


@pytest.mark.parametrize(
    ("form", "start"), [("--md", "# tiny (SIMULATED)"), ("--html", "<!doctype html>"), ("--csv", "run_id,")]
)
def test_report_prints_one_form_and_writes_nothing(folder: Path, form: str, start: str) -> None:
    before = sorted(path.name for path in folder.iterdir())
    result = CliRunner().invoke(command, ["report", str(folder), form])
    assert result.exit_code == 0
    assert result.stdout.startswith(start)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_report_prints_the_summary_as_json(folder: Path) -> None:
    result = CliRunner().invoke(command, ["report", str(folder), "--json"])
    summary = json.loads(result.stdout)
    assert summary["counts"] == {"not started": 1}
    assert summary["levels"] == []


def test_report_of_a_folder_that_is_no_run_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["report", str(tmp_path / "nowhere")])
    assert isinstance(result.exception, ConfigError)
    assert "no results folder" in str(result.exception)


def test_a_run_is_written_in_other_tools_forms(tmp_path: Path) -> None:
    arguments = [
        "--guidellm",
        str(tmp_path / "g"),
        "--llm-d",
        str(tmp_path / "l"),
        "--vllm-bench",
        str(tmp_path / "v"),
    ]
    result = CliRunner().invoke(command, ["report", str(SAMPLE), *arguments])
    assert result.exit_code == 0
    names = [Path(line).name for line in result.stdout.splitlines()]
    assert (names.count("benchmarks.json"), names.count("summary.json")) == (8, 8)
    assert len([name for name in names if name.endswith(".yaml")]) == 24
    assert all(Path(line).is_file() for line in result.stdout.splitlines())


@pytest.mark.parametrize("partial", [False, True])
def test_lost_records_are_named_and_the_whole_report_is_kept_unless_told_otherwise(
    tmp_path: Path, partial: bool
) -> None:
    """Three of the sample's 24 files: one deleted, one cut off, one with a byte of its rows changed."""
    folder = tmp_path / "sample"
    shutil.copytree(SAMPLE, folder)
    assert CliRunner().invoke(command, ["report", str(folder)]).exit_code == 0
    whole = (folder / "summary.json").read_bytes()
    gone, cut, spoilt = sorted((folder / "records").glob("*.parquet"))[:3]
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:400])
    content = bytearray(spoilt.read_bytes())
    content[4:64] = bytes(60)
    spoilt.write_bytes(content)
    arguments = ["report", str(folder), *(["--partial"] if partial else [])]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert lines[0] == f"lost records: {gone.name}: missing"
    assert [line.split(": ")[1] for line in lines[1:3]] == [cut.name, spoilt.name]
    written = json.loads((folder / "summary.json").read_text())
    if partial:
        assert len(written["levels"]) == 21
        assert f"Not here, their records lost: 3 of 24 measured points ({gone.name}" in "".join(
            written["warnings"]
        )
    else:
        assert lines[3].endswith("3 measured points would be missing from a new one; --partial writes that")
        assert (folder / "summary.json").read_bytes() == whole
        assert result.stdout == ""


def test_lost_records_leave_a_report_of_the_rest_where_there_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    # Without the reports that somebody may have made of the sample since.
    shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("report.*", "summary.json"))
    min((folder / "records").glob("*.parquet")).unlink()
    assert CliRunner().invoke(command, ["report", str(folder), "--csv"]).exit_code == 1
    result = CliRunner().invoke(command, ["report", str(folder)])
    assert result.exit_code == 1
    assert "their records lost: 1 of 24 measured points" in (folder / "report.md").read_text()
