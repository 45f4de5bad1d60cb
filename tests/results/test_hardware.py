"""No run of the simulator is above its ceiling, a doctored one is, and the folder alone says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.forecast.tables import model
from harness.load.records import StageResult
from harness.plan.cells import Cell
from harness.results.frame import load
from harness.results.hardware import engine_in
from harness.results.resolved import Resolved
from harness.results.store import RunFolder, write_records

SAMPLE = Path(__file__).resolve().parents[2] / "results" / "sample"
QWEN = "Qwen/Qwen2.5-7B-Instruct"
# 28 layers of (2 x 3584 x 128 x 32 attention + 3 x 3584 x 18944 feed-forward) weights and a head of 152064 x 3584, two
# bytes each, at 768 GB/s: 18.41 ms a step, in which each of the sequences gains a token.
A5000_STEP_S = 18.41e-3


def doctored(path: Path, stage: StageResult, **changes: object) -> RunFolder:
    """A folder with one cell, measured at one point."""
    cell = Cell("gpua5000", 1, 1, "0.15.1", QWEN, ())
    resolved = Resolved("doctored", "2026-11-23T16:00:00Z", True, "exoscale", (cell,))
    resolved = replace(resolved, **changes)  # type: ignore[arg-type]  # test input
    folder, journal = RunFolder.create(path, config=b"name: doctored\n", resolved=resolved)
    measured = resolved.cells[0]
    run_id = f"{measured.id}-r0"
    metadata = {"run_id": run_id, "cell_id": measured.id, "repeat": 0, "point": 0, "simulated": True}
    with journal:
        write_records(folder.records_path(run_id, 0), stage, metadata=metadata)
        journal.append("point-finished", run_id=run_id, data={"point": 0})
        journal.append("measured", run_id=run_id)
    return folder


def test_no_point_of_a_simulated_sweep_is_above_its_ceiling() -> None:
    points = load(SAMPLE).points
    assert len(points) > 20
    assert points["ceiling_tok_s"].notna().all()
    assert (points["output_throughput_tok_s"] < points["ceiling_tok_s"]).all()
    assert not points["reasons"].str.contains("hardware").any()


@pytest.mark.parametrize(("tpot_s", "void"), [(0.0200, False), (0.0165, True)])
def test_a_speed_the_memory_cannot_give_is_void(
    tmp_path: Path, stage_maker: Callable[..., StageResult], tpot_s: float, void: bool
) -> None:
    stage = stage_maker(tpot_s=tpot_s, ttft_s=tpot_s, tokens=200, requests=100)
    (point,) = load(doctored(tmp_path / "run", stage).path).points.to_dict("records")
    assert point["ceiling_tok_s"] == pytest.approx(8 / A5000_STEP_S, rel=1e-3)
    assert (point["verdict"] == "void") is void
    assert ("faster than the hardware allows" in point["reasons"]) is void


@pytest.mark.parametrize(
    ("changes", "factor"),
    [
        ({"cells": (Cell("gpua5000", 1, 2, "0.15.1", QWEN, ()),)}, 1),  # the same eight sequences on two replicas
        ({"cells": (Cell("gpua5000", 2, 1, "0.15.1", QWEN, ()),)}, 2),
        ({"cells": (Cell("gpua5000", 2, 1, "0.15.1", QWEN, ("--data-parallel-size=2",)),)}, 1),
        ({"cells": (Cell("gpua5000", 1, 1, "0.15.1", QWEN, ("--no-enable-prefix-caching",)),)}, 1),
        (
            {"cells": (Cell("gpua5000", 1, 1, "0.15.1", QWEN,
                            ('--speculative-config={"method":"ngram","num_speculative_tokens":3}',)),)},
            4,
        ),
        # Several answers a request: up to 256 sequences, bound by 111.1 TFLOP/s over 2 x 7.07e9 a token.
        ({"workload": {"extra": {"n": 4}}}, 7857 / (8 / A5000_STEP_S)),
    ],
)  # fmt: skip
def test_what_multiplies_tokens_multiplies_the_ceiling(
    tmp_path: Path, stage_maker: Callable[..., StageResult], changes: dict[str, object], factor: float
) -> None:
    folder = doctored(tmp_path / "run", stage_maker(), **changes)
    (point,) = load(folder.path).points.to_dict("records")
    assert point["ceiling_tok_s"] == pytest.approx(factor * 8 / A5000_STEP_S, rel=1e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {"deployer": "local"},
        {"cells": (Cell("gpub300", 1, 1, "0.15.1", QWEN, ()),)},
        {"cells": (Cell("gpua5000", 1, 1, "0.15.1", "somebody/unheard-of", ()),)},
        {"cells": (Cell("gpua5000", 1, 1, "0.15.1", QWEN, ('--speculative-config={"method":"suffix"}',)),)},
        {"cells": (Cell("gpua5000", 1, 1, "0.15.1", QWEN, ('--hf-overrides={"num_hidden_layers":2}',)),)},
    ],
)
def test_where_the_hardware_is_not_known_there_is_no_ceiling(
    tmp_path: Path, stage_maker: Callable[..., StageResult], changes: dict[str, object]
) -> None:
    points = load(doctored(tmp_path / "run", stage_maker(tpot_s=0.001), **changes).path).points
    assert points["ceiling_tok_s"].isna().all()
    assert len(points) == 1


def test_the_folder_keeps_the_sizes_of_a_model_that_no_table_knows(tmp_path: Path) -> None:
    qwen, cell = model(QWEN), Cell("gpua5000", 1, 1, "0.15.1", "somebody/unheard-of", ())
    assert qwen is not None
    kept = Resolved("kept", "2026-11-23", True, "exoscale", (cell,), models={cell.model: qwen.to_json()})
    read = Resolved.parse(json.loads(json.dumps(kept.to_json())))
    engine = engine_in(read, cell)
    assert getattr(engine, "model", None) == qwen
