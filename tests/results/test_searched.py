"""What searches found and what was passed over, told from a run whose repeats numbered their points differently."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.load.records import StageResult
from harness.plan.cells import Cell
from harness.results.exchange.openmetrics import openmetrics
from harness.results.frame import Run, load
from harness.results.journal import Journal
from harness.results.ranking import ranked_levels
from harness.results.report import write_reports
from harness.results.searching import search_section
from harness.results.statements import answers
from harness.results.store import RunFolder, write_records
from harness.results.tables import levels_table


def found(answer: str, best: float | None, *, level: int = 2, find: str = "rate") -> dict[str, Any]:
    return {
        "level": level, "label": f"find {find} {level}", "find": find, "answer": answer, "resolved": True,
        "best": best, "beyond": None, "steps": [2, 3],
    }  # fmt: skip


@pytest.fixture(name="folder")
def folder_fixture(
    tmp_path: Path,
    run_builder: Callable[..., RunFolder],
    cells: dict[str, Cell],
    stage_maker: Callable[..., StageResult],
) -> RunFolder:
    """Both cells measured c8 and c32 in either repeat; then c16, and c8 for longer, in one order or the other."""
    folder = run_builder(tmp_path / "run", repeats=2)
    with Journal.open(folder.journal_path) as journal:
        for name in ("slow", "fast"):
            for repeat in (0, 1):
                run_id = f"{cells[name].id}-r{repeat}"
                for point, users in ((2, 16), (3, 8)) if repeat == 0 else ((3, 16), (2, 8)):
                    stage = stage_maker(label=f"c{users}", concurrency=users, requests=240)
                    stage.stage = {**stage.stage, "duration_s": 90.0}
                    metadata = {
                        "run_id": run_id, "cell_id": cells[name].id, "repeat": repeat, "point": point,
                        "simulated": True,
                    }  # fmt: skip
                    write_records(folder.records_path(run_id, point), stage, metadata=metadata)
                    journal.append("point-finished", run_id=run_id, data={"point": point})
                for rate in {"slow": (2.0, 3.0), "fast": (9.0, None)}[name][repeat : repeat + 1]:
                    journal.append("search-ended", run_id=run_id, data=found(f"answer {rate}", rate))
        data = {"point": 4, "label": "c64", "reason": "c32 ended early: hopeless"}
        journal.append("level-skipped", run_id=f"{cells['slow'].id}-r0", data=data)
    return folder


def test_steps_at_other_numbers_are_the_same_level(folder: RunFolder) -> None:
    levels = load(folder.path).levels
    assert sorted(levels["load"]) == ["c16", "c16", "c32", "c32", "c8", "c8", "c8", "c8"]
    assert set(levels["repeats"]) == {2}
    assert {len(ids.split()) for ids in levels["run_ids"]} == {2}


def test_the_same_load_measured_longer_is_told_apart(folder: RunFolder) -> None:
    run = load(folder.path)
    names = [row[1].text for row in levels_table(ranked_levels(run)).rows]
    assert sorted(names) == ["c16", "c16", "c32", "c32", "c8", "c8", "c8, 90 s", "c8, 90 s"]
    lines = [
        line.rpartition(" ")[0]
        for line in openmetrics(run.levels, name="x", simulated=True).splitlines()
        if not line.startswith("#")
    ]
    assert len(lines) == len(set(lines)) == 9 * len(run.levels)


def test_a_cell_counts_with_its_worst_repeat(folder: RunFolder) -> None:
    """The fast cell once found no rate at all that keeps the SLO: the slow one's lower answer is the highest."""
    run = load(folder.path)
    said = [line for line in answers(run, ranked_levels(run)) if line.startswith("Highest rate")]
    assert said == [
        "Highest rate found within the SLO: gpua5000×1 0.15.1 base, of 2 cells searched: answer 2.0."
    ]


def test_each_search_for_a_rate_has_its_own_answer(folder: RunFolder, cells: dict[str, Cell]) -> None:
    with Journal.open(folder.journal_path) as journal:
        for level, find in ((3, "rate"), (4, "knee")):
            data = found(f"answer of {level}", 7.0, level=level, find=find)
            journal.append("search-ended", run_id=f"{cells['fast'].id}-r0", data=data)
    run = load(folder.path)
    said = [line for line in answers(run, ranked_levels(run)) if line.startswith("Highest rate")]
    assert said == [
        "Highest rate found within the SLO (find rate 2): gpua5000×1 0.15.1 base, of 2 cells searched: answer 2.0.",
        "Highest rate found within the SLO (find rate 3): gpurtx6000pro×1 0.15.1 base, of 1 cell searched: "
        "answer of 3.",
    ]


def test_cells_that_found_the_same_rate_are_all_named(folder: RunFolder, cells: dict[str, Cell]) -> None:
    with Journal.open(folder.journal_path) as journal:
        for name in ("fast", "slow"):
            for repeat in (0, 1):
                data = found("answer of 3", 7.0, level=3)
                journal.append("search-ended", run_id=f"{cells[name].id}-r{repeat}", data=data)
    run = load(folder.path)
    said = [line for line in answers(run, ranked_levels(run)) if "find rate 3" in line]
    assert said == [
        "Highest rate found within the SLO (find rate 3): gpua5000×1 0.15.1 base, gpurtx6000pro×1 0.15.1 base, of 2 "
        "cells searched: answer of 3."
    ]


@pytest.fixture(name="knees")
def knees_fixture(folder: RunFolder, cells: dict[str, Cell]) -> RunFolder:
    """Each repeat found its knee: the fast cell at 16 users both times, the slow one at 8 and then at 16.

    Their steps are all alike, so more users mean more throughput.
    """
    with Journal.open(folder.journal_path) as journal:
        for name, users in (("fast", (16, 16)), ("slow", (8, 16))):
            for repeat, best in enumerate(users):
                data = found(f"{best} users", float(best), level=5, find="knee")
                journal.append("search-ended", run_id=f"{cells[name].id}-r{repeat}", data=data)
    return folder


def test_the_step_at_which_a_search_ended_is_known_by_its_point(
    knees: RunFolder, cells: dict[str, Cell]
) -> None:
    run = load(knees.path)
    found_at = run.searches[run.searches["find"] == "knee"].set_index("run_id")["point"]
    # 16 users were point 2 of the first repeat and point 3 of the second, 8 users the other way round
    assert {run_id: int(point) for run_id, point in found_at.items()} == {
        f"{cells['fast'].id}-r0": 2,
        f"{cells['fast'].id}-r1": 3,
        f"{cells['slow'].id}-r0": 3,
        f"{cells['slow'].id}-r1": 3,
    }


def test_the_highest_throughput_at_a_knee_is_among_the_answers(knees: RunFolder) -> None:
    """By the throughput of the knee's own step; the slow cell counts with the repeat that saturated at 8 users."""
    run = load(knees.path)
    assert [line for line in answers(run, ranked_levels(run)) if "knee" in line] == [
        "Highest throughput at the knee: gpurtx6000pro×1 0.15.1 base, of 2 cells searched: 16 users."
    ]


def test_a_knee_whose_level_is_void_is_no_answer(
    knees: RunFolder, cells: dict[str, Cell], stage_maker: Callable[..., StageResult]
) -> None:
    for repeat, point in ((0, 2), (1, 3)):
        run_id = f"{cells['fast'].id}-r{repeat}"
        stage = stage_maker(label="c16", concurrency=16, requests=240)
        stage.client = replace(stage.client, cpu_share=1.0)
        metadata = {"run_id": run_id, "cell_id": cells["fast"].id, "repeat": repeat, "point": point}
        write_records(knees.records_path(run_id, point), stage, metadata=metadata | {"simulated": True})
    run = load(knees.path)
    assert [line for line in answers(run, ranked_levels(run)) if "knee" in line] == [
        "Highest throughput at the knee: gpua5000×1 0.15.1 base, of 2 cells searched: 8 users."
    ]


def test_a_search_has_a_row_a_cell_and_its_repeats_on_request(knees: RunFolder) -> None:
    rates, knee, each = search_section(load(knees.path)).tables
    assert [[cell.text for cell in row] for row in knee.rows] == [
        ["gpurtx6000pro×1 0.15.1 base", "16", "2 of 2", "16 users", "2"],
        ["gpua5000×1 0.15.1 base", "8, 16", "2 of 2", "8 users", "2"],
    ]
    assert knee.heads[1] == "Found (users)"
    assert [[cell.text for cell in row][1] for row in rates.rows] == ["2, 3", "9, none"]
    assert each.folded
    assert len(each.rows) == 8


def test_the_report_tells_every_finding_and_what_was_passed_over(folder: RunFolder) -> None:
    write_reports(folder)
    text = (folder.path / "report.md").read_text(encoding="utf-8")
    searches = text.partition("\n## Searches\n")[2].partition("\n## ")[0]
    assert [answer in searches for answer in ("answer 2.0", "answer 3.0", "answer 9.0", "answer None")] == [
        True
    ] * 4
    under_load = text.partition("\n## Under load\n")[2].partition("\n## ")[0]
    assert "| c64 | c32 ended early: hopeless |" in under_load
    summary = json.loads((folder.path / "summary.json").read_text(encoding="utf-8"))
    assert [row["best"] for row in summary["searches"]] == [2.0, 3.0, 9.0, None]
    assert [row["load"] for row in summary["skipped_levels"]] == ["c64"]


def test_a_run_without_a_search_has_no_such_section(run_folder: RunFolder) -> None:
    run = Run(run_folder)
    assert (len(run.searches), len(run.skipped_levels)) == (0, 0)
    write_reports(run_folder)
    assert "## Searches" not in (run_folder.path / "report.md").read_text(encoding="utf-8")
