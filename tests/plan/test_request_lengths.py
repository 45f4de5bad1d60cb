"""Requests against the engine's context, by lint and by plan; every sum here is worked by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.diagnostics import Diagnostic
from harness.plan.config import load_config
from harness.plan.lint import lint_paths
from harness.plan.request_lengths import longest_requests
from harness.sweep.preflight import preflight
from tests.command import run_here

CODE = "request-too-long"
# The table has the model with a context of 32,768; gpu3 is an A40 of 48 GB, where all of it fits.
SWEEP = """\
model: {model}
engine-version: "0.15.1"
parameters: {parameters}
matrix: {{gpu-type: [gpu3]}}
workload: {workload}
load: [{{concurrency: 1, requests: 1}}]
"""
QWEN = "Qwen/Qwen2.5-7B-Instruct"
MODELS = Path(__file__).resolve().parents[2] / "configs" / "models"


def sweep(
    folder: Path, workload: str, *, parameters: str = "[--max-model-len=8192]", model: str = QWEN
) -> str:
    path = folder / "s.yaml"
    path.write_text(SWEEP.format(model=model, parameters=parameters, workload=workload))
    return str(path)


def found_in(path: str) -> list[Diagnostic]:
    return [one for one in lint_paths([path]).diagnostics if one.code == CODE]


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        ("{input-tokens: 8000, output-tokens: 4000}", ("error", 12000)),
        ("{input-tokens: 8000, output-tokens: 192}", None),  # 8192: just fits
        ("{input-tokens: 8000, output-tokens: 193}", ("error", 8193)),
        ("{input-tokens: {distribution: uniform, min: 10, max: 8100}, output-tokens: 100}", ("error", 8200)),
        ("{input-tokens: {distribution: empirical, values: [10, 8100]}, output-tokens: 93}", ("error", 8193)),
        ("{input-tokens: {distribution: empirical, values: [10, 9000], weights: [1, 0.5]}}", ("error", 9128)),
        # Twice the deviation above the mean: 7000 + 2 x 600 + 128.
        ("{input-tokens: {distribution: normal, mean: 7000, stddev: 600}}", ("error", 8328)),
        # That is 7928, which fits; four times is 9128, which comes up once in 30,000 requests.
        ("{input-tokens: {distribution: normal, mean: 7000, stddev: 400}}", ("warning", 8728)),
        ("{input-tokens: {distribution: normal, mean: 7000, stddev: 400, max: 8000}}", None),
        ("{input-tokens: {distribution: lognormal, mean: 500, stddev: 200, max: 100000}}", None),
        ("{input-tokens: 900, output-tokens: 200, turns: 7}", None),  # 7700
        ("{input-tokens: 900, output-tokens: 200, turns: 8}", ("error", 8800)),
        ("{input-tokens: 900, output-tokens: 200, turns: {distribution: uniform, min: 2, max: 8}}", ("error", 8800)),
        # Six turns of 100 to 1900 (mean 1000, deviation 519.6) and 128: 6768 + 2 x 1272.8, not 6 x 2028.
        ("{input-tokens: {distribution: uniform, min: 100, max: 1900}, turns: 6}", ("error", 9314)),
        ("{output-tokens: 8000}", ("error", 8512)),
        ("{prefix-tokens: 4000, input-tokens: 8000, output-tokens: 100}", None),  # the prefix is part of the input
    ],
)  # fmt: skip
def test_longest_request_is_held_against_the_context(
    tmp_path: Path, workload: str, expected: tuple[str, int] | None
) -> None:
    found = found_in(sweep(tmp_path, workload))
    if expected is None:
        assert found == []
        return
    severity, tokens = expected
    assert [(one.severity.value, one.message.split()[2]) for one in found] == [(severity, str(tokens))]
    assert found[0].hint == (
        f"--max-model-len {tokens} at least, or shorter requests, 8192 tokens at most with the answer"
    )
    assert found[0].location is not None
    assert found[0].location.line == 5


@pytest.mark.parametrize(
    ("parameters", "tokens", "said"),
    [
        ("[]", 32_768, "the model's 32768"),
        ("[--max-model-len, 4k]", 4_000, "--max-model-len 4000"),
        ("[--max-model-len=4000, --max-model-len=5000]", 5_000, "--max-model-len 5000"),
    ],
)
@pytest.mark.parametrize("has_config", [False, True])
def test_context_is_the_lists_else_the_models(
    tmp_path: Path, parameters: str, tokens: int, said: str, has_config: bool
) -> None:
    config = MODELS / "qwen2.5-7b-instruct" / "config.json"
    models = f"\nmodels: {{{QWEN}: {{config: {json.dumps(str(config))}}}}}" if has_config else ""
    fits = sweep(
        tmp_path, f"{{input-tokens: {tokens - 1}, output-tokens: 1}}", parameters=parameters + models
    )
    assert found_in(fits) == []
    (one,) = found_in(
        sweep(tmp_path, f"{{input-tokens: {tokens}, output-tokens: 1}}", parameters=parameters + models)
    )
    assert one.message.endswith(f"do not fit the context: {said}")


@pytest.mark.parametrize(
    ("parameters", "model"),
    [("[--max-model-len=auto]", QWEN), ("[]", "acme/unheard-of"), ("[--max-model-len=zz]", QWEN)],
)
def test_context_that_is_not_known_is_not_judged(tmp_path: Path, parameters: str, model: str) -> None:
    path = sweep(tmp_path, "{input-tokens: 90000}", parameters=parameters, model=model)
    assert found_in(path) == []


def test_plan_refuses_the_cells_that_cannot_serve_them_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    matrix = "{gpu-type: [gpu3], parameters: {short: [--max-model-len=4096], long: [--max-model-len=8192]}}"
    path.write_text(
        f"model: {QWEN}\nengine-version: '0.15.1'\nmatrix: {matrix}\n"
        "workload: {input-tokens: 4000, output-tokens: 128}\nload: [{concurrency: 1, requests: 1}]\n"
    )
    (error,) = found_in(str(path))
    assert error.cells == ("gpu3×1 0.15.1 short",)
    done = run_here("plan", str(path), environment=os.environ)
    assert f"refused gpu3×1 0.15.1 short: {path}:4:12: {CODE}: requests of 4128 tokens" in done.stdout
    assert "s: 2 cells, 1 refused" in done.stdout


def test_lengths_in_files_are_known_to_the_plan(tmp_path: Path) -> None:
    (tmp_path / "counts.txt").write_text("100\n8100\n")
    path = sweep(tmp_path, "{input-tokens: {distribution: empirical, file: counts.txt}}")
    assert found_in(path) == []
    plan = preflight(load_config(path), managed=True)
    assert [one.findings[0].code for one in plan.refused] == [CODE]
    assert "requests of 8228 tokens" in plan.refused[0].reason


def test_trace_has_its_own_lengths_and_given_texts_only_their_answers(tmp_path: Path) -> None:
    line = '{"timestamp": 0, "input_length": %d, "output_length": %d, "hash_ids": [0]}\n'
    (tmp_path / "trace.jsonl").write_text(line % (30, 4000) + line % (6000, 20))
    config = load_config(sweep(tmp_path, "{prompts: trace.jsonl}"))
    assert longest_requests(config.workload)[:3] == (6020, 6020, "6000 in, 20 out")
    (tmp_path / "texts.jsonl").write_text(
        '{"prompt": "one two three"}\n{"prompt": "a", "output_tokens": 8192}\n'
    )
    path = sweep(tmp_path, "{prompts: texts.jsonl, output-tokens: 10}")
    assert longest_requests(load_config(path).workload)[:2] == (8193, 8193)


def test_conversations_of_given_prompts_have_as_many_turns_as_are_given(tmp_path: Path) -> None:
    (tmp_path / "talk.jsonl").write_text('{"turns": ["a", "b", "c"]}\n{"turns": ["a"]}\n')
    path = sweep(tmp_path, "{prompts: talk.jsonl, turns: all, output-tokens: 100}")
    assert longest_requests(load_config(path).workload)[:2] == (303, 303)


def test_size_without_end_does_no_harm(tmp_path: Path) -> None:
    wide = "{input-tokens: {distribution: normal, mean: 1.0e+7, stddev: 1.0e+7}, turns: 10000000}"
    assert [one.severity.value for one in found_in(sweep(tmp_path, wide))] == ["error"]
