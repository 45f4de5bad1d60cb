"""A run's levels beside their forecasts: constants that are known are found again, kept, shown, and taken up."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError
from harness.forecast.calibration import Observation, predicted
from harness.forecast.load import Arrivals, Load
from harness.forecast.step import Constants
from harness.load.records import StageResult
from harness.plan.cells import Cell
from harness.plan.engine import CellEngine, engine_of
from harness.results.forecast_section import forecast_section
from harness.results.frame import Run
from harness.results.predictions import FITTED, HELD_OUT, NOT_JUDGED, predictions
from harness.results.report import write_reports
from harness.results.resolved import Resolved
from harness.results.store import RunFolder, load_calibrations, write_records

SITE = Constants(compute_share=0.5, memory_share=0.6, host_s=2.68e-3, link_share=1.07)
PROMPT, ANSWER = 256, 33
Maker = Callable[..., StageResult]


def cell_of(family: str, name: str, *arguments: str, count: int = 1) -> Cell:
    parameters = ("--max-model-len=4096", *arguments)
    return Cell(family, count, 1, "0.15.1", "Qwen/Qwen2.5-7B-Instruct", parameters, parameter_set=name)


FIRST, SECOND = cell_of("gpua5000", "first"), cell_of("gpua5000", "second", "--max-num-seqs=64")


def site_latency(cell: Cell, concurrency: int) -> tuple[float, float]:
    """TTFT and TPOT of a site with other constants."""
    engine = engine_of(cell)
    assert isinstance(engine, CellEngine)
    load = Load(Arrivals.CLOSED, concurrency, PROMPT, ANSWER, requests=max(60, 6 * concurrency))
    asked = Observation("", cell.id, engine.model, engine.gpu, engine.settings, cell.gpu_count, 1, load, {})
    found = predicted(asked, SITE)
    ttft_s, tpot_s = found["ttft_p50"], found["tpot_mean"]
    assert ttft_s is not None
    assert tpot_s is not None
    return ttft_s, tpot_s


def site_run(
    path: Path, maker: Maker, cells: Sequence[Cell], levels: Sequence[int] = (1, 8, 32), **changes: Any
) -> RunFolder:
    """A run on disk, one cell after the other, whose every request takes what the site's forecast says."""
    resolved = Resolved(
        name="site",
        started_at="2026-11-23T16:00:00Z",
        cells=tuple(cells),
        load=tuple({"concurrency": level} for level in levels),
        **{
            "simulated": False,
            "deployer": "exoscale",
            "workload": {
                "input_tokens": {"kind": "fixed", "tokens": PROMPT},
                "output_tokens": {"kind": "fixed", "tokens": ANSWER},
            },
            **changes,
        },
    )
    folder, journal = RunFolder.create(path, config=b"", resolved=resolved)
    with journal:
        for cell in cells:
            for point, level in enumerate(levels):
                ttft_s, tpot_s = site_latency(cell, level)
                stage = maker(
                    label=f"c{level}", concurrency=level, ttft_s=ttft_s, tpot_s=tpot_s, tokens=ANSWER
                )
                metadata = {"run_id": f"{cell.id}-r0", "cell_id": cell.id, "repeat": 0, "point": point}
                write_records(
                    folder.records_path(f"{cell.id}-r0", point),
                    stage,
                    metadata={**metadata, "simulated": False},
                )
                journal.append("point-finished", run_id=f"{cell.id}-r0", data={"point": point})
            journal.append("measured", run_id=f"{cell.id}-r0")
    return folder


@pytest.fixture(name="folder", scope="module")
def folder_fixture(tmp_path_factory: pytest.TempPathFactory, stage_maker: Maker) -> RunFolder:
    folder = site_run(tmp_path_factory.mktemp("site") / "run", stage_maker, (FIRST, SECOND))
    write_reports(folder)
    return folder


def test_the_first_cells_ends_are_fitted_on_and_the_sites_constants_come_out(folder: RunFolder) -> None:
    found = predictions(Run(folder))
    (one,) = found.calibrations.found
    assert found.calibrations.refused == ()
    assert one.fitted_on == ("gpua5000×1 0.15.1 first at c1", "gpua5000×1 0.15.1 first at c32")
    assert one.constants.memory_share == pytest.approx(SITE.memory_share, rel=0.05)
    assert one.constants.compute_share == pytest.approx(SITE.compute_share, rel=0.15)
    assert one.held_out == 8  # two figures of c8 of the first cell and of three levels of the second
    assert one.held_out_error_before is not None
    assert one.held_out_error is not None
    assert one.held_out_error_before > 0.15
    assert one.held_out_error < 0.05
    assert one.interval == 0.12


def test_every_level_is_shown_with_its_part(folder: RunFolder) -> None:
    figures = predictions(Run(folder)).figures
    assert len(figures) == 2 * 3 * 3
    parts = {(one.label, one.load): one.part for one in figures}
    first, second = "gpua5000×1 0.15.1 first", "gpua5000×1 0.15.1 second"
    assert parts == {
        (first, "c1"): FITTED, (first, "c8"): HELD_OUT, (first, "c32"): FITTED,
        (second, "c1"): HELD_OUT, (second, "c8"): HELD_OUT, (second, "c32"): HELD_OUT,
    }  # fmt: skip
    alone = next(one for one in figures if (one.label, one.load, one.metric) == (second, "c1", "tpot_mean"))
    assert alone.shipped is not None
    assert alone.calibrated is not None
    assert alone.shipped / alone.measured == pytest.approx(
        SITE.memory_share / Constants().memory_share, rel=0.08
    )
    assert alone.calibrated / alone.measured == pytest.approx(1.0, abs=0.04)


def test_the_report_says_so_and_keeps_the_constants(folder: RunFolder) -> None:
    report = (folder.path / "report.md").read_text(encoding="utf-8")
    section = report.partition("## Forecast\n")[2].partition("\n## ")[0]
    [family] = [line for line in section.splitlines() if line.startswith("| gpua5000, vLLM 0.15.1 |")]
    _, _, fitted_on, figures, _, held_out, _, interval, _ = (field.strip() for field in family.split("|"))
    assert fitted_on == "gpua5000×1 0.15.1 first at c1 and gpua5000×1 0.15.1 first at c32"
    assert (figures, held_out, interval) == ("4", "8", "±12%")
    assert "SIMULATED" not in section
    assert section.count("| fitted on |") == 6
    assert section.count("| held out |") == 12
    kept = load_calibrations(folder.path)
    assert kept == load_calibrations(folder.path / "calibration.json")
    assert kept == predictions(Run(folder)).calibrations


def test_levels_that_are_not_valid_are_shown_and_not_judged(tmp_path: Path, stage_maker: Maker) -> None:
    def cut_short(**asked: Any) -> StageResult:
        return stage_maker(**asked, interrupted=asked["concurrency"] == 8)

    found = predictions(Run(site_run(tmp_path / "cut", cut_short, (FIRST, SECOND))))
    parts = [one.part for one in found.figures]
    assert parts.count(NOT_JUDGED) == 2 * 3
    assert found.calibrations.found[0].held_out == 4


def test_too_few_valid_levels_are_no_calibration(tmp_path: Path, stage_maker: Maker) -> None:
    folder = site_run(tmp_path / "few", stage_maker, (FIRST, SECOND), levels=(8,))
    found = predictions(Run(folder))
    assert found.calibrations.found == ()
    (refused,) = found.calibrations.refused
    assert (refused.family, refused.engine_version) == ("gpua5000", "0.15.1")
    assert refused.reason == "no cell has 2 valid levels to fit on; 2 valid in all"
    assert all(one.calibrated is None and one.part == HELD_OUT for one in found.figures)
    section = forecast_section(found, simulated=True)
    assert "says nothing of any hardware" in section.text[0]
    assert [cell.text for cell in section.tables[0].rows[0]] == [
        "gpua5000, vLLM 0.15.1",
        "not calibrated: no cell has 2 valid levels to fit on; 2 valid in all",
        "", "", "", "", "±25%",
    ]  # fmt: skip
    write_reports(folder)
    with pytest.raises(
        ConfigError, match=r"holds no calibration: gpua5000 0\.15\.1: no cell has 2 valid levels"
    ):
        load_calibrations(folder.path)


def test_one_cell_alone_bears_out_no_narrow_interval(tmp_path: Path, stage_maker: Maker) -> None:
    found = predictions(Run(site_run(tmp_path / "one", stage_maker, (FIRST,), levels=(1, 4, 8, 32))))
    (one,) = found.calibrations.found
    assert one.held_out == 4
    assert one.held_out_error is not None
    assert one.held_out_error < 0.05
    assert one.interval == 0.25


def test_engines_on_several_gpus_are_fitted_on_too(tmp_path: Path, stage_maker: Maker) -> None:
    both = cell_of("gpua5000", "both", "--tensor-parallel-size=2", count=2)
    found = predictions(Run(site_run(tmp_path / "both", stage_maker, (FIRST, both, SECOND), levels=(1, 32))))
    (one,) = found.calibrations.found
    assert [name.rpartition(" ")[2] for name in one.fitted_on] == ["c1", "c32", "c1", "c32"]
    assert "gpua5000×2 0.15.1 both at c1" in one.fitted_on
    assert not one.several_gpus  # none of those held out is


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"deployer": "local"}, "whatever the machine has"),
        ({"workload": {"items": 3}}, "given prompts"),
        ({"workload": {"conversations": {"turns": None}}}, "conversations"),
        ({"workload": {}}, "its lengths are not known"),
    ],
)
def test_what_cannot_be_forecast_says_why(
    tmp_path: Path, stage_maker: Maker, changes: Mapping[str, Any], reason: str
) -> None:
    folder = site_run(tmp_path / "run", stage_maker, (FIRST,), levels=(1, 8), **changes)
    found = predictions(Run(folder))
    assert found.figures == ()
    assert reason in str(found.reason)
    assert reason in forecast_section(found, simulated=False).text[0]


def test_a_folder_without_constants_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no calibration at .*harness report"):
        load_calibrations(tmp_path)
    file = tmp_path / "calibration.json"
    file.write_text("[]")
    with pytest.raises(ConfigError, match="not a JSON object"):
        load_calibrations(file)
    file.write_text("{")
    with pytest.raises(ConfigError, match="cannot read the calibration"):
        load_calibrations(tmp_path)
    file.write_text(json.dumps({"schema_version": 2}))
    with pytest.raises(ConfigError, match="schema version 2"):
        load_calibrations(tmp_path)
