"""What a ``config.json`` says, read as the engine reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.params.model_config import ModelConfig

MODELS = Path(__file__).parents[1] / "oracle" / "models"


def read(name: str) -> ModelConfig:
    return ModelConfig.from_json(json.loads((MODELS / f"{name}.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("name", "heads", "kv_heads", "experts", "longest"),
    [
        ("llama-8b", 32, 8, 0, 131072),
        ("qwen3-30b-a3b", 32, 4, 128, 40960),
        ("gpt-oss-20b", 64, 8, 32, 131072),
        ("deepseek-v3-fp8", 128, 128, 256, 163840),
        ("gemma3-4b", 8, 4, 0, 131072),
        ("falcon-7b", 71, 1, 0, None),  # one key-value head for all; its length stands nowhere
        ("gpt2", 12, 12, 0, 1024),
        ("bloom-560m", 16, 16, 0, None),
        ("whisper-small", 12, 12, 0, 448),
        ("mamba-130m", None, None, 0, None),
        ("yi-dynamic", 32, 4, 0, 16384),  # 4,096 x 4
        ("command-r", 64, 64, 0, 131072),  # model_max_length beats max_position_embeddings
        ("jamba", 32, 8, 16, 262144),
    ],
)
def test_shapes_and_lengths(
    name: str, heads: int | None, kv_heads: int | None, experts: int, longest: int | None
) -> None:
    known = read(name)
    assert (known.heads, known.kv_heads, known.experts, known.max_length) == (
        heads,
        kv_heads,
        experts,
        longest,
    )


def test_latent_attention_is_told_by_type_and_rank() -> None:
    assert read("deepseek-v2-lite").mla
    assert not read("llama-8b").mla


def test_a_long_rope_model_starts_at_its_original_length() -> None:
    known = read("phi3-longrope")
    assert (known.max_length, known.default_length) == (131072, 4096)


def test_a_llama3_rope_does_not_lengthen() -> None:
    assert read("llama3.2-1b").max_length == 131072


@pytest.mark.parametrize(
    ("name", "window"),
    [("mistral-7b-window", 4096), ("qwen2.5-7b", None), ("qwen3-0.6b", None), ("gemma2-9b", 4096)],
)
def test_sliding_windows_that_are_switched_off_do_not_count(name: str, window: int | None) -> None:
    assert read(name).sliding_window == window


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({"quant_method": "AWQ"}, "awq"),
        ({"quant_method": "compressed_tensors"}, "compressed-tensors"),
        ({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4"}}, "modelopt_fp4"),
        ({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}}, "modelopt"),
        ({}, None),
    ],
)
def test_quantization_has_the_engines_name(settings: dict[str, object], method: str | None) -> None:
    found = ModelConfig.from_json({"quantization_config": settings}).quantization
    assert found is not None
    assert found.method == method


def test_a_multimodal_model_keeps_its_quantization_in_the_text_part() -> None:
    document = {"text_config": {"num_attention_heads": 8, "quantization_config": {"quant_method": "fp8"}}}
    found = ModelConfig.from_json(document).quantization
    assert found is not None
    assert found.method == "fp8"


@pytest.mark.parametrize(
    ("document", "dtype"),
    [
        ({"torch_dtype": "bfloat16"}, "bfloat16"),
        ({"dtype": "torch.float16"}, "float16"),
        ({"text_config": {"torch_dtype": "bfloat16"}}, "bfloat16"),
        ({"vision_config": {"dtype": "float16"}}, "float16"),
        ({}, "float32"),
    ],
)
def test_the_type_of_the_weights(document: dict[str, object], dtype: str) -> None:
    assert ModelConfig.from_json(document).dtype == dtype


def test_plain_overrides_replace_and_a_late_rope_table_does_not_count() -> None:
    known = read("llama-8b")
    assert known.with_overrides({"max_position_embeddings": 8192}).max_length == 8192
    rope = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 131072}
    assert known.with_overrides({"rope_scaling": rope}).max_length == 131072
    assert known.with_overrides({"rope_parameters": rope}).max_length == 262144


def test_overrides_reach_into_the_text_part() -> None:
    known = read("gemma3-4b").with_overrides({"text_config": {"max_position_embeddings": 4096}})
    assert (known.max_length, known.heads) == (4096, 8)


def test_nothing_is_known_of_an_empty_file() -> None:
    known = ModelConfig.from_json({})
    assert (known.architectures, known.heads, known.max_length, known.quantization) == ((), None, None, None)
