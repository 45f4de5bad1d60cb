"""What the engine works out before it checks, by hand for a few lists; the corpus holds it for thousands."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from harness.params import derivation, quantization
from harness.params.argv import read
from harness.params.context import Context
from harness.params.engine_facts import load_engine_facts
from harness.params.lint import knowledge_of
from harness.params.model_config import ModelConfig
from harness.params.settings import Settings

MODELS = Path(__file__).parents[1] / "oracle" / "models"


def settings(
    words: str, *, model: str | None = "llama-8b", gpu_type: str | None = "gpua5000", version: str = "0.15.1"
) -> Settings:
    known = knowledge_of(version)
    document = None
    if model is not None:
        document = ModelConfig.from_json(json.loads((MODELS / f"{model}.json").read_text(encoding="utf-8")))
    parameters = tuple(shlex.split(words))
    return Settings(
        Context(
            parameters=parameters,
            version=version,
            help=known.help,
            grammar=known.grammar,
            reading=read(parameters, known.grammar),
            gpu_type=gpu_type,
            model=document,
            registries=known.registries,
        )
    )


def test_a_value_is_the_last_one_given_or_the_default() -> None:
    view = settings("--seed 1 --seed 2 --no-enable-prefix-caching")
    assert view.integer("seed") == 2
    assert view.switch("enable-prefix-caching") is False
    assert view.number("gpu-memory-utilization") == 0.9
    assert view.switch("enforce-eager") is False
    assert view.integer("max-model-len") is None
    assert view.value("no-such-flag") is None
    assert view.size("no-such-flag") == 1


def test_null_is_no_text() -> None:
    assert settings("--quantization None").text("quantization") is None


@pytest.mark.parametrize(
    ("words", "gpu_type", "tokens", "sequences"),
    [
        ("", "gpua5000", 2048, 256),
        ("", "gpurtx6000pro", 8192, 1024),
        ("", "a100-80", 2048, 256),  # large, but an A100
        ("--max-num-batched-tokens 64", "gpua5000", 64, 64),
        ("--max-num-seqs 4", "gpua5000", 2048, 4),
        ("--max-num-seqs 4 --max-model-len 100", "gpua5000", 400, 4),
        ("--no-enable-chunked-prefill", "gpua5000", 131072, 256),
        ("--max-num-seqs 8 --max-num-batched-tokens 4", None, 4, 8),
        ("--max-num-seqs 8", None, None, 8),
    ],
)
def test_tokens_and_sequences_of_a_step(
    words: str, gpu_type: str | None, tokens: int | None, sequences: int | None
) -> None:
    limits = derivation.batch(settings(words, gpu_type=gpu_type))
    assert (limits.tokens, limits.sequences) == (tokens, sequences)


@pytest.mark.parametrize(
    ("words", "model", "gpu_type", "dtype"),
    [
        ("", "llama-8b", "gpua5000", "bfloat16"),
        ("", "llama-8b", "gpu2", "float16"),  # no bfloat16 on 7.0
        ("", "gemma2-9b", "gpu2", "float32"),  # and no float16 for Gemma 2
        ("--dtype half", "llama-8b", "gpua5000", "float16"),
        ("", "mamba-130m", "gpua5000", "bfloat16"),  # float32 weights are cast
        ("", "bge-base", "gpua5000", "float16"),  # pooling models prefer it
        ("", "llama-8b", None, None),
    ],
)
def test_the_type_of_the_activations(words: str, model: str, gpu_type: str | None, dtype: str | None) -> None:
    view = settings(words, model=model, gpu_type=gpu_type)
    known = derivation.model(view)
    assert known is not None
    assert derivation.dtype(view, known) == dtype


@pytest.mark.parametrize(
    ("model", "runner"),
    [("llama-8b", "generate"), ("bge-base", "pooling"), ("llama-cls", "pooling"), ("gemma3-4b", "generate")],
)
def test_what_a_model_is_run_for(model: str, runner: str) -> None:
    view = settings("", model=model)
    known = derivation.model(view)
    assert known is not None
    assert derivation.runner(view, known) == runner


@pytest.mark.parametrize(
    ("words", "model", "gpu_type", "version", "name"),
    [
        ("", "llama-8b", "gpua5000", "0.15.1", None),
        ("-q FP8", "llama-8b", "gpua5000", "0.15.1", "fp8"),
        ("", "llama-gptq", "gpua5000", "0.12.0", "gptq_marlin"),
        ("-q gptq", "llama-gptq", "gpua5000", "0.15.1", "gptq"),
        ("-q marlin", "llama-gptq", "gpua5000", "0.15.1", "gptq_marlin"),
        ("", "llama-gptq", "gpu2", "0.15.1", "gptq"),
        ("", "llama-awq", "gpua5000", "0.15.1", "awq_marlin"),
        ("-q moe_wna16", "llama-awq", "gpua5000", "0.15.1", "moe_wna16"),
        ("", "llama-w8a8", "gpua5000", "0.15.1", "compressed-tensors"),
    ],
)
def test_the_method_that_runs(words: str, model: str, gpu_type: str, version: str, name: str | None) -> None:
    view = settings(words, model=model, gpu_type=gpu_type, version=version)
    known = derivation.model(view)
    assert known is not None
    resolved = quantization.resolve(view, known)
    assert resolved == quantization.Resolved(name)


def test_a_contradiction_names_the_checkpoints_method() -> None:
    view = settings("-q fp8", model="llama-awq")
    known = derivation.model(view)
    assert known is not None
    assert quantization.resolve(view, known) == quantization.Resolved("fp8", mismatch="awq")


def test_the_tables_of_both_versions_differ_where_the_versions_do() -> None:
    older, newer = load_engine_facts("0.12.0"), load_engine_facts("0.15.1")
    assert older.quantization["fp8"].min_capability == 80
    assert newer.quantization["fp8"].min_capability == 75
    assert "hqq" in older.quantization
    assert "hqq" not in newer.quantization
    assert newer.quantization["experts_int8"].deprecated
    assert newer.quantization["awq"].dtypes == ("float16",)
    found = newer.architectures["MixtralForCausalLM"]
    assert found is not None
    assert (found.generates, found.pools, found.pipeline, found.multimodal) == (True, False, True, False)
    assert len(newer.architectures) > 200
    assert {"llama", "qwen3_moe"} <= newer.model_types
