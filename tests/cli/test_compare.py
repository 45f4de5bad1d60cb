from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.cli.main import command
from harness.errors import UsageError
from harness.load.records import ClientStats, Outcome, RequestRecord, StageResult
from harness.plan.cells import Cell
from harness.results.resolved import Resolved
from harness.results.store import RunFolder, write_records


def build(path: Path, *, ttft_s: float, second: float = 1.01) -> Path:
    """One cell, two repeats of 60 requests; TTFT is ``ttft_s``, and ``second`` times that in the second."""
    cell = Cell("gpua5000", 1, 1, "0.15.1", "m", ())
    resolved = Resolved(
        name=path.name,
        started_at="2026-11-23T16:00:00Z",
        simulated=True,
        deployer="exoscale",
        cells=(cell,),
        repeats=2,
    )
    folder, journal = RunFolder.create(path, config=b"", resolved=resolved)
    client = ClientStats("kernel", 1.0, 0.1, 0.0, 10, 10, 0.0, 1)
    for repeat in range(2):
        first = ttft_s * (second if repeat else 1.0)
        records = [
            RequestRecord(
                index=i, scheduled_s=i / 10, sent_s=i / 10, first_token_s=i / 10 + first, last_token_s=i / 10 + 1,
                done_s=i / 10 + 1, ended_s=i / 10 + 1, chunk_times_s=np.array([i / 10 + first, i / 10 + 1]),
                chunk_tokens=np.array([1, 1], np.int32), tokens_assumed=False, completion_tokens=2,
                outcome=Outcome.SUCCEEDED, status=200, finish_reason="length",
            )
            for i in range(60)
        ]  # fmt: skip
        stage = StageResult("c8", {"kind": "closed-loop"}, records, 0.0, 7.0, 1.79e9, client)
        run_id = f"{cell.id}-r{repeat}"
        metadata = {"run_id": run_id, "cell_id": cell.id, "repeat": repeat, "point": 0, "simulated": True}
        write_records(folder.records_path(run_id, 0), stage, metadata=metadata)
        journal.append("measured", run_id=run_id)
    journal.append("sweep-finished")
    journal.close()
    return path


@pytest.fixture(name="pair", scope="module")
def pair_fixture(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    root = tmp_path_factory.mktemp("compare")
    return str(build(root / "before", ttft_s=0.10)), str(build(root / "after", ttft_s=0.12))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["compare", *arguments])


def test_a_rise_past_the_bar_ends_with_one(pair: tuple[str, str]) -> None:
    result = run(*pair, "--fail-if", "ttft_p50 > +5%")
    assert result.exit_code == 1
    assert "missed: ttft_p50 > +5% · gpua5000×1 0.15.1 default · c8 (+20.0 %)" in result.stdout
    assert "SIMULATED" in result.stdout
    assert "95 %" in result.stdout


def test_a_bar_that_holds_ends_with_zero(pair: tuple[str, str]) -> None:
    result = run(*pair, "--fail-if", "ttft_p50 > +25%", "--fail-if", "output_throughput < -5%")
    assert result.exit_code == 0
    assert result.stdout.count("held:") == 2


def test_a_change_that_is_not_distinguished_misses_a_bar_only_when_strict(
    pair: tuple[str, str], tmp_path: Path
) -> None:
    """The first repeats are alike, the second rises by 40 %: on average 18 %, and two pairs say next to nothing."""
    before, after = pair[0], str(build(tmp_path / "unsure", ttft_s=0.10, second=1.01 * 1.4))
    bar, junit = ("--fail-if", "ttft_p50 > +5%"), tmp_path / "out.xml"
    lenient = run(before, after, *bar)
    assert lenient.exit_code == 0
    assert "inconclusive: ttft_p50 > +5%" in lenient.stdout
    assert "(+18.3 %)" in lenient.stdout  # the square root of 1.4
    strict = run(before, after, *bar, "--strict", "--junit", str(junit))
    assert strict.exit_code == 1
    failure = ET.parse(junit).getroot().find("testcase/failure")
    assert failure is not None
    assert "not distinguished" in str(failure.get("message"))


def test_json_has_each_change_with_its_interval(pair: tuple[str, str]) -> None:
    document = json.loads(run(*pair, "--json", "--metric", "ttft_p50").stdout)
    assert document["simulated"]
    assert len(document["changes"]) == 1
    change = document["changes"][0]
    assert change["relative"] == pytest.approx(0.2)
    assert change["interval"] == pytest.approx([0.2, 0.2])  # both pairs rise by exactly 20 %
    assert (change["method"], change["verdict"]) == ("paired repeats", "worse")


def test_together_every_interval_is_held_to_its_share_of_a_twentieth(pair: tuple[str, str]) -> None:
    two = ("--metric", "ttft_p50", "--metric", "ttft_p95", "--together")
    document = json.loads(run(*pair, *two, "--json").stdout)
    assert (document["intervals"], document["level"]) == (2, pytest.approx(0.975))
    assert "2 intervals that hold together at 95%" in run(*pair, *two).stdout


def test_junit_has_a_case_a_bar_and_its_failure(pair: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "out.xml"
    result = run(*pair, "--fail-if", "ttft_p50 > +5%", "--fail-if", "ttft_p50 > +50%", "--junit", str(path))
    assert result.exit_code == 1
    suite = ET.parse(path).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.find("failure") is not None for case in suite.findall("testcase")] == [True, False]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--fail-if", "ttft_p50"], "not a bar"),
        (["--fail-if", "goodput < -5%"], "no point has the metric"),
        (["--where-a", "gpu-type"], "KEY=VALUE"),
        (["--metric", "latency"], "unknown metric 'latency'"),
    ],
)
def test_what_cannot_be_compared_is_a_usage_error(
    pair: tuple[str, str], extra: list[str], message: str
) -> None:
    result = run(*pair, *extra)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
