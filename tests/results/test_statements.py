from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.load.records import StageResult
from harness.plan.cells import Cell
from harness.results.frame import Run, load
from harness.results.ranking import ranked_levels
from harness.results.statements import answers, warnings
from harness.results.store import RunFolder, write_records

RunBuilder = Callable[..., RunFolder]
StageMaker = Callable[..., StageResult]


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path, run_builder: RunBuilder) -> RunFolder:
    return run_builder(tmp_path / "run")


def spoken(run: Run) -> list[str]:
    return list(answers(run, ranked_levels(run)))


def change_resolved(folder: RunFolder, **changes: object) -> None:
    document = json.loads((folder.path / "resolved.json").read_text())
    (folder.path / "resolved.json").write_text(json.dumps(document | changes))


def spoil(folder: RunFolder, cell: Cell, stage_maker: StageMaker, *, cpu_share: float, requests: int) -> None:
    """Overwrite both levels of a cell by ones whose client was that busy."""
    for point, label in enumerate(("c8", "c32")):
        stage = stage_maker(label=label, requests=requests)
        stage.client = replace(stage.client, cpu_share=cpu_share)
        metadata = {
            "run_id": f"{cell.id}-r0",
            "cell_id": cell.id,
            "repeat": 0,
            "point": point,
            "simulated": True,
        }
        write_records(folder.records_path(f"{cell.id}-r0", point), stage, metadata=metadata)


def test_a_void_level_is_never_the_answer_and_the_reader_is_told(
    folder: RunFolder, cells: dict[str, Cell], stage_maker: StageMaker
) -> None:
    spoil(folder, cells["fast"], stage_maker, cpu_share=1.0, requests=240)
    run = load(folder.path)
    assert all("gpurtx6000pro" not in line for line in spoken(run))
    assert spoken(run)[-1].startswith("Highest output throughput: gpua5000×1 0.15.1 base at c32")
    assert "Void, ranking nowhere: 2 of 4 measured levels" in " ".join(warnings(run, run.levels))
    assert set(run.pareto()["gpu_type"]) == {"gpua5000"}


def test_an_answer_that_rests_on_a_suspect_level_says_so(
    folder: RunFolder, cells: dict[str, Cell], stage_maker: StageMaker
) -> None:
    spoil(folder, cells["fast"], stage_maker, cpu_share=0.1, requests=16)
    assert any("; suspect: too few samples: 16 requests" in line for line in spoken(load(folder.path)))


def test_an_answer_that_rests_on_few_requests_says_so(
    folder: RunFolder, cells: dict[str, Cell], stage_maker: StageMaker
) -> None:
    change_resolved(folder, slo="ttft_p50<=9s,ttft_p90<=9s,tpot_p95<=1s")
    spoil(folder, cells["fast"], stage_maker, cpu_share=0.1, requests=96)
    # 20 are enough for a median, 100 for p90, 200 for p95.
    said = "; it rests on fewer requests than it should: ttft_p90 on 96 of 100, tpot_p95 on 96 of 200."
    assert [line for line in spoken(load(folder.path)) if line.startswith("Most requests") and said in line]


def test_an_slo_nothing_meets_is_an_answer(folder: RunFolder) -> None:
    change_resolved(folder, slo="ttft_p95<=1ms")
    assert spoken(load(folder.path))[0] == "No measured point meets the SLO (ttft_p95<=1ms)."


def test_with_prices_the_cheapest_level_within_the_slo_is_named(folder: RunFolder) -> None:
    families = {"gpua5000": {"1": 1.0}, "gpurtx6000pro": {"1": 10.0}}
    prices = {"currency": "EUR", "as-of": "2026-10", "what": "test", "per-hour": families}
    change_resolved(folder, prices=prices)
    # fast: 580 tokens/s for 10 an hour; slow: 146 at c8 for 1 an hour, 1 / (0.146 x 3.6) = 1.90
    assert spoken(load(folder.path))[0].startswith(
        "Cheapest within the SLO (ttft_p95<=0.3s,tpot_p95<=50ms): gpua5000×1 0.15.1 base at c8, 1.9"
    )


def test_without_an_slo_only_throughput_is_answered(folder: RunFolder) -> None:
    change_resolved(folder, slo=None)
    assert len(spoken(load(folder.path))) == 1


def test_a_deployment_not_proven_gone_is_warned_of(folder: RunFolder, cells: dict[str, Cell]) -> None:
    from harness.results.journal import Journal

    with Journal.open(folder.journal_path) as journal:
        journal.append("create-intended", run_id=f"{cells['skipped'].id}-r0", data={"name": "x"})
    run = load(folder.path)
    assert f"Not proven deleted, may still cost money: {cells['skipped'].id}-r0" in " ".join(
        warnings(run, run.levels)
    )
