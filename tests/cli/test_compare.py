from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import harness
from harness.cli.main import command
from harness.errors import UsageError
from harness.load.records import ClientStats, Outcome, RequestRecord, StageResult
from harness.plan.cells import Cell
from harness.results.resolved import Resolved
from harness.results.store import RunFolder, write_records

WORKLOAD = {
    "input_tokens": {"kind": "fixed", "tokens": 256},
    "output_tokens": {"kind": "fixed", "tokens": 48},
}
CELL = Cell("gpua5000", 1, 1, "0.15.1", "m", ())


def build(
    path: Path,
    *,
    ttft_s: float = 0.10,
    second: float = 1.01,
    cell: Cell = CELL,
    duration_s: float | None = None,
    failing: bool = False,
    levels: tuple[str, ...] = ("c8",),
    **asked: Any,
) -> Path:
    """One cell, two repeats of 60 requests a level; TTFT is ``ttft_s``, ``second`` times that in the second.

    Every fifth request is refused where it is ``failing``, which makes a point void.
    """
    usual: dict[str, Any] = {"simulated": True, "deployer": "exoscale", "workload": WORKLOAD}
    resolved = Resolved(
        name=path.name, started_at="2026-11-23T16:00:00Z", cells=(cell,), repeats=2, **(usual | asked)
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
                outcome=Outcome.HTTP_5XX if failing and i % 5 == 0 else Outcome.SUCCEEDED,
                status=200, finish_reason="length",
            )
            for i in range(60)
        ]  # fmt: skip
        run_id = f"{cell.id}-r{repeat}"
        for point, label in enumerate(levels):
            how = {"kind": "closed-loop", "duration_s": duration_s}
            stage = StageResult(label, how, records, 0.0, 7.0, 1.79e9, client)
            metadata = {
                "run_id": run_id,
                "cell_id": cell.id,
                "repeat": repeat,
                "point": point,
                "simulated": True,
            }
            write_records(folder.records_path(run_id, point), stage, metadata=metadata)
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
    assert "(+18.3 %, not distinguished)" in lenient.stdout  # the square root of 1.4
    assert lenient.stderr == "of 1 checks 1 inconclusive: not failed without --strict\n"
    run(before, after, *bar, "--junit", str(junit))
    assert ET.parse(junit).getroot().attrib["skipped"] == "1"
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
        (["--fail-if", "goodput < -5%"], "could be checked nowhere: no goodput on both sides"),
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


LONGER = WORKLOAD | {"output_tokens": {"kind": "uniform", "low": 64, "high": 512}}


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"cell": Cell("gpua5000", 1, 1, "0.15.1", "n", ())}, "model m → n"),
        ({"workload": LONGER}, "output tokens 48 → 64 to 512"),
        ({"simulated": False}, "figures simulated → measured"),
    ],
)
def test_what_answers_another_question_is_not_compared_unless_told_to(
    pair: tuple[str, str], tmp_path: Path, other: dict[str, Any], reason: str
) -> None:
    after = str(build(tmp_path / "other", **other))
    refused = run(pair[0], after)
    assert isinstance(refused.exception, UsageError)
    assert refused.exception.exit_code == 2
    assert str(refused.exception) == (
        f"A and B cannot be compared: {reason}; --anyway compares them all the same"
    )
    assert refused.stdout == ""
    forced = run(pair[0], after, "--anyway")
    assert forced.exit_code == 0
    assert f"Not comparable: {reason}\n" in forced.stdout.partition("metric ")[0]
    with pytest.raises(UsageError, match="anyway=True"):
        harness.compare(pair[0], after)
    assert f"Not comparable: {reason}" in harness.compare(pair[0], after, anyway=True)._repr_html_()


def test_what_is_compared_and_what_else_differs_stands_above_the_figures(tmp_path: Path) -> None:
    """A's c2 is B's by no level, and B is longer, newer and on another GPU at once."""
    before = build(
        tmp_path / "a", duration_s=7.0, levels=("c8", "c2"), tool_version="0.0.9", slo="ttft_p95<=1s"
    )
    newer = Cell("gpua30", 1, 1, "0.15.2", "m", ())
    after = build(tmp_path / "b", duration_s=30.0, levels=("c8", "c4"), cell=newer, tool_version="0.1.0")
    arguments = (str(before), str(after))
    result = run(*arguments)
    assert result.exit_code == 0
    label = "gpua5000×1 0.15.1 default → gpua30×1 0.15.2 default"
    assert result.stdout.partition("\n\n")[0].splitlines() == [
        "SIMULATED: at least one of the two runs is",
        "Compared: GPU type gpua5000 → gpua30; engine version 0.15.1 → 0.15.2"
        " (all at once: no change can be put down to one of them)",
        "Differs besides: SLO ttft_p95<=1s → none; harness 0.0.9 → 0.1.0; level c8: 7 s → 30 s",
        f"Not compared: {label} · c2: only in A; {label} · c4: only in B",
    ]
    document = json.loads(run(*arguments, "--json").stdout)
    kinds = [(one["what"], one["kind"]) for one in document["differences"]]
    assert (kinds[0], kinds[-1]) == (("GPU type", "compared"), ("level c8:", "beside"))
    assert [one["reason"] for one in document["not_compared"]] == ["only in A", "only in B"]


def test_runs_that_differ_in_nothing_have_nothing_above_their_figures(pair: tuple[str, str]) -> None:
    assert run(*pair).stdout.startswith("SIMULATED: at least one of the two runs is\n\ngpua5000×1")


def test_a_void_level_is_not_compared_and_a_bar_on_it_not_passed(tmp_path: Path) -> None:
    before, junit = build(tmp_path / "a", levels=("c8", "c2")), tmp_path / "out.xml"
    after = build(tmp_path / "b", levels=("c8",), failing=True)
    held = build(tmp_path / "c", levels=("c2",))
    bar = ("--fail-if", "ttft_p50 > +5%")
    nothing = run(str(before), str(after), *bar)
    assert isinstance(nothing.exception, UsageError)
    assert "c8: void in B (2 of 2 repeats): 20.0% of the requests failed" in str(nothing.exception)
    partly = run(str(before), str(held), *bar, "--junit", str(junit))
    assert partly.exit_code == 0
    assert "held: ttft_p50 > +5% · gpua5000×1 0.15.1 default · c2 (+0.0 %)" in partly.stdout
    assert "not checked: ttft_p50 > +5% · gpua5000×1 0.15.1 default · c8 (only in A)" in partly.stdout
    assert partly.stderr == "of 2 checks 1 not checked: not failed without --strict\n"
    skipped = [case.find("skipped") is not None for case in ET.parse(junit).getroot().findall("testcase")]
    assert sorted(skipped) == [False, True]
    assert run(str(before), str(held), *bar, "--strict").exit_code == 1


def test_a_bar_that_nothing_was_held_against_is_an_error_in_the_junit_file(
    pair: tuple[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "out.xml"
    result = run(*pair, "--fail-if", "goodput < -5%", "--junit", str(path))
    assert isinstance(result.exception, UsageError)
    assert ET.parse(path).getroot().attrib["errors"] == "1"
