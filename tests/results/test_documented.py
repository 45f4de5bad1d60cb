"""results/README.md names every column of every frame, and none that is not there."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd
import pytest

import harness
from harness.capacity.fleet import Demand, recommend
from harness.capacity.measured import measured_points
from harness.load.slo import Slo
from harness.results.frame import Run, join_repeats, load
from harness.results.store import RunFolder

README = (Path(__file__).resolve().parents[2] / "results" / "README.md").read_text(encoding="utf-8")
LISTS = {"chunk_times_s", "chunk_tokens"}
VALUES = re.compile(r"\((?:[^()]|\([^()]*\))*\)")


def section(heading: str) -> str:
    found = README.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    assert found, heading
    return found


def names(text: str) -> list[str]:
    return re.findall(r"`([a-z0-9_*]+)`", text)


def first_column(heading: str) -> list[str]:
    lines = [line for line in section(heading).splitlines() if line.startswith("| `")]
    assert lines
    return [name for line in lines for name in names(line.split("|")[1])]


def columns_of(frame: str) -> str:
    """The last field of the frame's row, explanations in brackets left out."""
    (line,) = [line for line in section("The other frames").splitlines() if line.startswith(f"| `{frame}` |")]
    return VALUES.sub("", line.split("|")[3])


def point_columns() -> list[str]:
    return names(section("Figures").partition(":\n\n|")[0]) + first_column("Figures")


def differences(documented: list[str], frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Columns that nothing documents, and documented names that no column has."""
    columns = [str(name) for name in frame]
    undocumented = [name for name in columns if not any(fnmatchcase(name, pattern) for pattern in documented)]
    absent = [pattern for pattern in documented if not any(fnmatchcase(name, pattern) for name in columns)]
    return undocumented, absent


@pytest.fixture(name="run", scope="module")
def run_fixture(tmp_path_factory: pytest.TempPathFactory, run_builder: Callable[..., RunFolder]) -> Run:
    return load(run_builder(tmp_path_factory.mktemp("documented") / "run", repeats=2).path)


def test_points_have_the_documented_columns(run: Run) -> None:
    assert len(point_columns()) > 40
    assert differences(point_columns(), run.points) == ([], [])


def test_levels_are_points_less_and_more_what_is_said(run: Run) -> None:
    less, more = (names(part) for part in columns_of("run.levels").partition("less")[2].split("and with"))
    assert {"run_id", "repeat"} <= set(less)
    assert more
    assert set(run.levels) == (set(run.points) - set(less)) | set(more)
    priced = run.cost(
        harness.open_run(Path(__file__).resolve().parents[2] / "results" / "sample").resolved.prices
    )
    assert set(priced) - set(run.levels) == set(names(columns_of("run.cost").partition("and")[2]))


@pytest.mark.parametrize("frame", ["cells", "runs", "chunks", "searches", "skipped_levels"])
def test_other_frames_have_the_documented_columns(run: Run, frame: str) -> None:
    assert differences(names(columns_of(f"run.{frame}")), getattr(run, frame)) == ([], [])


def test_requests_have_their_own_columns_and_those_of_the_records(run: Run) -> None:
    records = [name for name in first_column("records") if name not in LISTS]
    documented = [*names(columns_of("run.requests").replace("records/*.parquet", "")), *records]
    assert differences(documented, run.requests) == ([], [])


def test_comparisons_and_answers_have_the_documented_columns(run: Run) -> None:
    changes = harness.compare(run, run)
    assert differences(names(columns_of("harness.compare")), changes) == ([], [])
    slo = Slo.parse("ttft_p95<=1s")
    points = measured_points(join_repeats(run.points_against(slo)), slo, simulated=True)
    answer = recommend(points, Demand(rate_req_s=1.0))
    assert differences(names(columns_of("answer.frame()")), answer.frame()) == ([], [])


def test_the_records_have_the_documented_columns(run: Run) -> None:
    import pyarrow.parquet as pq

    (path, *_) = run.folder.record_files()
    assert set(pq.read_schema(path).names) == set(first_column("records"))
