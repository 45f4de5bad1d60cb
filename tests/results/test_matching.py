from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import harness
from harness.errors import UsageError
from harness.results.compare import Verdict
from harness.results.frame import load
from harness.results.matching import changes_between
from harness.results.store import RunFolder

RunBuilder = Callable[..., RunFolder]
SLOW, FAST = {"gpu-type": "gpua5000"}, {"gpu-type": "gpurtx6000pro"}


@pytest.fixture(name="repeated", scope="module")
def repeated_fixture(tmp_path_factory: pytest.TempPathFactory, run_builder: RunBuilder) -> Path:
    return run_builder(tmp_path_factory.mktemp("repeated") / "run", repeats=3).path


def test_a_run_compared_with_itself_changes_nothing(run_folder: RunFolder) -> None:
    run = load(run_folder.path)
    changes = changes_between(run, run)
    assert len({(change.subject, change.load) for change in changes}) == 4
    assert {change.relative for change in changes} == {0.0}
    assert {change.verdict for change in changes} <= {Verdict.NOT_DISTINGUISHED, Verdict.NO_INTERVAL}


def test_repeats_are_paired_and_a_cell_twice_as_fast_halves_every_latency(repeated: Path) -> None:
    run = load(repeated)
    changes = changes_between(run, run, where_a=SLOW, where_b=FAST, metrics=["ttft_p95", "output_throughput"])
    assert [(change.load, change.metric, change.method) for change in changes] == [
        (load_name, metric, "paired repeats")
        for load_name in ("c8", "c32")
        for metric in ("ttft_p95", "output_throughput")
    ]
    assert {change.verdict for change in changes} == {Verdict.BETTER}
    assert changes[0].subject == "gpua5000×1 0.15.1 base → gpurtx6000pro×1 0.15.1 base"
    assert changes[0].relative == pytest.approx(-0.5, abs=0.01)
    assert changes[1].relative == pytest.approx(1.0, abs=0.02)


def test_one_run_each_is_judged_by_what_varies_within_it(run_folder: RunFolder) -> None:
    run = load(run_folder.path)
    changes = changes_between(
        run, run, where_a=SLOW, where_b=FAST, metrics=["itl_p90", "ttft_p50", "goodput"]
    )
    at_c8 = {change.metric: change for change in changes if change.load == "c8"}
    assert set(at_c8) == {"itl_p90", "ttft_p50", "goodput"}
    assert {change.method for change in at_c8.values()} == {"within one run"}
    assert {change.verdict for change in at_c8.values()} == {Verdict.BETTER}


def test_cells_that_cannot_be_told_apart_are_a_usage_error(run_folder: RunFolder) -> None:
    run = load(run_folder.path)
    assert len(changes_between(run, run, where_b=FAST, metrics=["ttft_p50"])) == 2
    with pytest.raises(UsageError, match="nothing measured in A"):
        changes_between(run, run, where_a={"gpu-type": "gpu3"})
    with pytest.raises(UsageError, match="cells have no 'colour'"):
        changes_between(run, run, where_b={"colour": "blue"})


def test_the_front_door_reads_and_compares(run_folder: RunFolder) -> None:
    run = harness.load(str(run_folder.path))  # type: ignore[operator]  # the package is callable at run time
    assert run.title == "synthetic (SIMULATED)"
    frame = harness.compare(run, str(run_folder.path))
    assert set(frame.columns) >= {"subject", "load", "metric", "a", "b", "relative", "low", "high", "verdict"}
    shown = frame._repr_html_()
    assert "synthetic (SIMULATED)" in shown
    assert "would exclude 0 by chance alone" in shown
    assert type(frame[frame["metric"] == "ttft_p50"])._repr_html_ is not type(frame)._repr_html_
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        harness.lod  # noqa: B018  # the access is what is tested
