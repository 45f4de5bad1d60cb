"""Commands and containers name models that the packaged table knows: their limits are judged without a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.diagnostics import Severity
from harness.plan.lint import LintOptions, lint_paths
from harness.plan.report import FileReport

MISTRAL = "mistralai/Mistral-7B-Instruct-v0.3"  # 32,768 positions, 32 heads, not quantized


def linted(
    tmp_path: Path, text: str, name: str = "run.sh", gpu_type: str | None = None, *, gpu_count: int = 1
) -> FileReport:
    path = tmp_path / name
    path.write_text(text)
    (file,) = lint_paths([str(path)], LintOptions("0.15.1", gpu_type=gpu_type, gpu_count=gpu_count)).files
    return file


def pod(arguments: str) -> str:
    return f"containers:\n- image: vllm/vllm-openai:v0.15.1\n  args: [{arguments}]\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.sh", f"vllm serve {MISTRAL} --max-model-len 40000\n"),
        ("run.sh", f"vllm serve --max-model-len 40000 --model={MISTRAL}\n"),
        ("pod.yaml", pod(f"{MISTRAL}, --max-model-len=40000")),
        ("pod.yaml", pod(f"--max-model-len, '40000', --model={MISTRAL}")),
    ],
)
@pytest.mark.parametrize("gpu_type", [None, "gpua5000"])
def test_a_length_above_the_models_is_refused_at_its_place(
    tmp_path: Path, name: str, text: str, gpu_type: str | None
) -> None:
    file = linted(tmp_path, text, name, gpu_type)
    (found,) = file.diagnostics
    assert (found.code, found.severity) == ("sequence-length", Severity.ERROR)
    assert "more than the 32768 the model allows" in found.message
    assert found.location is not None
    line = text.splitlines()[found.location.line - 1]
    assert line[found.location.column - 1 : found.location.end_column - 1].strip("'") == "40000"


@pytest.mark.parametrize(
    "line",
    [
        f"vllm serve {MISTRAL} --max-model-len 32768",
        f"""vllm serve {MISTRAL} --max-model-len 40000 --hf-overrides '{{"max_position_embeddings": 65536}}'""",
        f"VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 vllm serve {MISTRAL} --max-model-len 40000",
        f"vllm serve {MISTRAL} --quantization fp8",
        f"vllm serve {MISTRAL} -tp 2 --gpu-memory-utilization 0.8",
        "vllm serve acme/unheard-of --max-model-len 40000",
    ],
)
def test_what_the_model_allows_is_left_alone(tmp_path: Path, line: str) -> None:
    file = linted(tmp_path, line + "\n")
    assert not {"sequence-length", "quantization-not-in-checkpoint"} & {one.code for one in file.diagnostics}


def test_a_method_that_needs_its_own_checkpoint_is_a_warning(tmp_path: Path) -> None:
    (found,) = linted(tmp_path, f"vllm serve {MISTRAL} --quantization=awq\n").diagnostics
    assert (found.code, found.severity) == ("quantization-not-in-checkpoint", Severity.WARNING)


@pytest.mark.parametrize("gpu_type", [None, "gpua5000"])
@pytest.mark.parametrize(("gpu_count", "code"), [(3, "heads-not-divisible"), (1, "too-few-gpus")])
def test_heads_that_do_not_split_are_told_once(
    tmp_path: Path, gpu_type: str | None, gpu_count: int, code: str
) -> None:
    text = pod(f"{MISTRAL}, --max-model-len=8192, -tp=3")
    file = linted(tmp_path, text, "pod.yaml", gpu_type, gpu_count=gpu_count)
    assert [one.code for one in file.diagnostics if one.is_error] == [code]


def test_what_was_not_checked_is_said(tmp_path: Path) -> None:
    (memory,) = linted(tmp_path, f"vllm serve {MISTRAL}\n").not_checked
    assert (memory.what, memory.reason) == ("memory", "the GPU family is not given (--gpu-type)")
    (limits,) = linted(tmp_path, "vllm serve acme/unheard-of\n").not_checked
    assert limits.what == "memory and the model's limits"
    assert "acme/unheard-of" in limits.reason
