"""``lint`` and ``plan`` judge memory alike, by the packaged table of models; what cannot be judged is said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.plan.config import load_config
from harness.plan.lint import LintOptions, lint_paths
from harness.sweep.preflight import preflight
from tests.command import run_here

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
# 8.03 billion 16-bit weights are 15 GiB; an A5000 gives 21.2, a 3080 Ti 10.6. Without a length the model's 131,072
# tokens at 128 KiB need 16 GiB more. 32 heads do not split over 3 GPUs.
SWEEP = f"""\
model: {LLAMA}
engine-version: "0.15.1"
matrix:
  gpu-type: [gpua5000, gpu3080ti]
  gpu-count: [1, 3]
  parameters: {{whole: [], short: [--max-model-len=8192]}}
load: [{{concurrency: 1, duration: 30s}}]
"""
BODY = {
    "name": "chat",
    "model": {"name": LLAMA},
    "gpu-type": "gpua5000",
    "gpu-count": 1,
    "replicas": 1,
    "inference-engine-version": "0.15.1",
    "inference-engine-parameters": ["--seed=7", "--max-model-len=65536"],
}


def body(tmp_path: Path, **changes: object) -> str:
    path = tmp_path / "body.json"
    path.write_text(json.dumps(BODY | changes, indent=1))
    return str(path)


def test_lint_refuses_the_cells_that_plan_refuses(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    refused = preflight(load_config(str(path)), managed=True).refused
    # At 1 GPU the whole context fits neither card, 8192 tokens not the small one; at 3 GPUs the heads do not split.
    assert len(refused) == 7
    by_plan = {(one.cell.label, one.findings[0].code, one.findings[0].message) for one in refused}
    report = lint_paths([str(path)])
    by_lint = {
        (cell, one.code, one.message) for one in report.diagnostics if one.is_error for cell in one.cells
    }
    assert by_lint == by_plan


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (["--seed=7", "--max-model-len=65536"], [(1, "--max-model-len=65536")]),
        (["--seed=7", "--max-model-len=8192"], []),
    ],
)
def test_body_of_a_known_model_is_judged_at_its_length(
    tmp_path: Path, parameters: list[str], expected: list[tuple[int, str]]
) -> None:
    report = lint_paths([body(tmp_path, **{"inference-engine-parameters": parameters})])
    errors = [one for one in report.diagnostics if one.is_error]
    assert [(one.index, parameters[one.index or 0]) for one in errors] == expected
    assert [one.code for one in errors] == ["gpu-memory"] * len(expected)
    assert all("453" in (one.hint or "") for one in errors)  # 45,3xx tokens fit beside the weights
    assert report.files[0].not_checked == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": {"name": "acme/unheard-of"}}, "no figures of 'acme/unheard-of'; name its config.json"),
        ({"model": {"id": "5b1e"}}, "the model's name is not given"),
        ({"gpu-type": "gpub300"}, "no figures of GPU 'gpub300'"),
        ({"gpu-count": None}, "the number of GPUs is not given"),
        ({"inference-engine-parameters": ['--hf-overrides={"num_hidden_layers": 2}']}, "another shape"),
    ],
)
def test_memory_that_cannot_be_judged_is_said(
    tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    path = body(tmp_path, **changes)
    done = run_here("lint", path, environment=os.environ)
    (line,) = [line for line in done.stdout.splitlines() if "not checked" in line]
    assert line.startswith(f"{path}: memory not checked: ")
    assert reason in line
    found = json.loads(run_here("lint", "--format", "json", path, environment=os.environ).stdout)
    (entry,) = found["files"][0]["not_checked"]
    assert (entry["what"], entry["lists"]) == ("memory", 1)
    assert reason in entry["reason"]


def test_config_of_the_model_makes_its_memory_known(tmp_path: Path) -> None:
    models = Path(__file__).resolve().parents[2] / "configs" / "models"
    path = body(tmp_path, model={"name": "acme/unheard-of"}, **{"inference-engine-parameters": []})
    options = LintOptions(model_config=str(models / "qwen2.5-7b-instruct" / "config.json"))
    report = lint_paths([path], options)
    assert report.files[0].not_checked == ()
    assert not any(one.is_error for one in report.diagnostics)


def test_list_the_parser_refuses_is_not_judged_further_and_that_is_said_once(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP.replace("whole: []", "whole: [--bogus, --sham]"))
    done = run_here("lint", str(path), environment=os.environ)
    assert done.stdout.count("not checked") == 1
    # Eight cells of two sets on four kinds of place: four lists of eight are refused.
    assert f"{path}: start-up and memory of 4 of 8 lists not checked: the engine's parser" in done.stdout


def test_list_without_a_gpu_says_nothing_of_memory(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("- --max-model-len=8192\n")
    assert run_here("lint", str(path), environment=os.environ).stdout == ""
