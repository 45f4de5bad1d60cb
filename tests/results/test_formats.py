"""Run folders of earlier versions keep loading, with the figures they had.

``formats/v<n>`` was written by the version that had schema version n and is never written again: the synthetic run of
``conftest.py`` with 64 requests a point and no jitter. A change of the format adds a folder and leaves the others.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import harness
from harness.errors import ConfigError
from harness.results.exchange.writing import WRITERS
from harness.results.frame import load
from harness.results.report import build_reports
from harness.results.store import RunFolder

FORMATS = Path(__file__).parent / "formats"
FOLDERS = sorted(FORMATS.iterdir())


@pytest.fixture(name="folder", params=FOLDERS, ids=lambda path: path.name)
def folder_fixture(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy, so that nothing can be written into the original."""
    copy: Path = tmp_path / request.param.name
    shutil.copytree(request.param, copy)
    return copy


def test_there_is_a_folder_of_every_schema_version_so_far() -> None:
    assert [path.name for path in FOLDERS] == ["v1"]


def test_its_account_and_its_figures_are_what_they_were(folder: Path) -> None:
    run = load(folder)
    assert run.account.counts() == {"measured": 2, "refused": 1, "failed": 1, "skipped": 1}
    assert (run.resolved.name, run.resolved.simulated, run.resolved.slo) == (
        "synthetic", True, "ttft_p95<=0.3s,tpot_p95<=50ms",
    )  # fmt: skip
    slow = run.points.set_index(["gpu_type", "load"]).loc[("gpua5000", "c8")]
    # 8 users, 64 requests: 8 rounds of 200 ms + 10 x 40 ms, and 1.5 ms between them
    assert slow["window_s"] == pytest.approx(8 * 0.6015)
    assert (slow["ttft_p50_s"], slow["tpot_p95_s"], slow["e2e_max_s"]) == pytest.approx((0.2, 0.04, 0.6))
    assert slow["output_throughput_tok_s"] == pytest.approx(64 * 11 / (8 * 0.6015))
    assert slow["requests_sent"] == 64
    late = run.points.set_index(["gpu_type", "load"]).loc[("gpua5000", "c32")]
    assert (late["requests_failed"], late["failures"]) == (2, "http_5xx 2")
    assert (len(run.requests), len(run.chunks)) == (256, (256 - 2) * 11)
    assert list(run.cells["time_to_ready_s"].dropna()) == [90.0, 90.0]


def test_everything_that_reads_a_run_reads_it(folder: Path, tmp_path: Path) -> None:
    opened = RunFolder.open(folder)
    reports = build_reports(opened)
    assert "synthetic (SIMULATED)" in reports.markdown
    assert len(harness.compare(load(folder), load(folder))) > 0
    for name, write in WRITERS.items():
        assert write(opened, tmp_path / name)


def test_a_version_still_to_come_is_refused_in_one_line(folder: Path) -> None:
    path = folder / "resolved.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(ConfigError, match="has schema version 99; this version reads up to"):
        load(folder)
