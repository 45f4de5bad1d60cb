"""Cells of a model that only the packaged table knows are refused before the first create, as the others are."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.plan.cells import Cell
from harness.plan.config import load_config
from harness.plan.startable import start_finding
from harness.sweep.preflight import preflight

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
# 8.03 billion 16-bit weights are 15 GiB; an A5000 gives 21.2 of which 5.5 are left for 128 KiB a token; 32 heads.
CASES = [
    ("gpua5000", 1, ["--max-model-len=8192"], None),
    ("gpua5000", 1, [], ("gpu-memory", "a sequence of 131072 tokens does not fit", "--max-model-len 453")),
    ("gpu3080ti", 1, ["--max-model-len=8192"], ("gpu-memory", "the weights (15.0 GiB per GPU)", "more or larger GPUs")),
    ("gpu3", 3, ["--max-model-len=8192"], ("heads-not-divisible", "heads (32) must be divisible", None)),
    ("gpu3", 1, ["--max-model-len=131073"], ("sequence-length", "more than the 131072 the", "--max-model-len 131072")),
    ("gpub300", 1, [], None),  # no facts of the GPU
    ("gpu3", 1, ["--max-model-len=8192", "--max-num-seqs=9000"], None),  # refused, by the linter
]  # fmt: skip


@pytest.mark.parametrize(("family", "count", "parameters", "expected"), CASES)
def test_what_does_not_start_is_told_under_the_linters_names(
    family: str, count: int, parameters: list[str], expected: tuple[str, str, str | None] | None
) -> None:
    found = start_finding(Cell(family, count, 1, "0.15.1", LLAMA, tuple(parameters)))
    if expected is None:
        assert found is None
        return
    assert found is not None
    code, words, hint = expected
    assert (found.code, found.is_error) == (code, True)
    assert words in found.message
    assert hint is None or (found.hint or "").startswith(hint)


def test_short_by_less_than_the_arithmetic_errs_is_a_warning() -> None:
    # 45,3xx tokens fit; 46,000 are 1.5 % more cache, a fraction of a percent of the memory.
    found = start_finding(Cell("gpua5000", 1, 1, "0.15.1", LLAMA, ("--max-model-len=46000",)))
    assert found is not None
    assert not found.is_error
    assert "hardly fits" in found.message


@pytest.mark.parametrize(("managed", "refused"), [(True, 1), (False, 0)])
def test_a_plan_refuses_them_where_the_named_gpu_is_the_one_that_runs(
    tmp_path: Path, managed: bool, refused: int
) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(
        f'model: {LLAMA}\nengine-version: "0.15.1"\nparameters: [--max-model-len=8192]\n'
        "matrix: {gpu-type: [gpu3080ti, gpua5000], gpu-count: [1]}\n"
        "load: [{concurrency: 1, duration: 1s}]\n"
    )
    plan = preflight(load_config(str(path)), managed=managed)
    assert len(plan.refused) == refused
    assert plan.cells == 2
