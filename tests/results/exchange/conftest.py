"""One user, three requests one after another, every instant known by hand.

Each is sent when the one before has ended; its role chunk comes after 50 ms, its first of 11 tokens after 100 ms, one
every 20 ms from then on, and its end 1 ms after the last: TTFT 100 ms, last token at 300 ms, done at 301 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.load.records import StageResult
from harness.results.parquet import read_records, write_records
from harness.results.point import Point

WORKLOAD = {
    "input_tokens": {"kind": "fixed", "tokens": 64},
    "output_tokens": {"kind": "fixed", "tokens": 11},
    "api": "chat",
    "streamed": True,
    "exact_output": True,
}


@pytest.fixture(name="point_of")
def point_of_fixture(tmp_path: Path, stage_maker: Callable[..., StageResult]) -> Callable[..., Point]:
    def made(*, open_loop: bool = False, **changes: object) -> Point:
        stage = stage_maker(**{"label": "c1", "concurrency": 1, "requests": 3, **changes})
        kind = {"kind": "poisson-rate", "rate_req_s": 3.3} if open_loop else stage.stage
        stage.stage = {**kind, "duration_s": 0.9, "workload": WORKLOAD}
        path = tmp_path / "point.parquet"
        metadata = {"run_id": "abc-r0", "cell_id": "abc", "repeat": 0, "point": 0, "simulated": True}
        write_records(path, stage, metadata=metadata)
        return read_records(path)

    return made


@pytest.fixture(name="cell_row")
def cell_row_fixture() -> dict[str, object]:
    return {
        "label": "gpua5000×1 0.15.1 base", "gpu_type": "gpua5000", "gpus": 1, "engine_version": "0.15.1",
        "model": "org/m", "parameters": "--max-num-seqs=8",
    }  # fmt: skip
