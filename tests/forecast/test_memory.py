"""KV capacity against published start-up logs, and the first start-up check that fails."""

from __future__ import annotations

import pytest

from harness.forecast.memory import (
    kv_bytes_per_token,
    largest_max_model_len,
    largest_max_num_seqs,
    plan_memory,
)
from harness.forecast.models import ModelFacts
from harness.forecast.settings import EngineSettings
from harness.forecast.startup_check import start_failure
from harness.forecast.tables import gpu, model


def llama() -> ModelFacts:
    found = model("meta-llama/Llama-3.1-8B-Instruct")
    assert found is not None
    return found


def plan(family: str, settings: EngineSettings) -> int:
    card = gpu(family)
    assert card is not None
    return plan_memory(llama(), card, settings).tokens


# "GPU KV cache size" of published logs: Llama-3.1-8B, bf16, utilisation 0.9, length 32768.
LOGGED_TOKENS = {"a6000": 221_824, "a100-40": 163_168, "h100-nvl": 545_456}


@pytest.mark.parametrize(("family", "tokens"), LOGGED_TOKENS.items())
def test_cache_capacity_is_within_one_percent_of_the_start_up_log(family: str, tokens: int) -> None:
    assert plan(family, EngineSettings(max_model_len=32768)) == pytest.approx(tokens, rel=0.01)


def test_a_token_of_llama_8b_takes_128_kib_and_half_of_it_in_eight_bits() -> None:
    assert kv_bytes_per_token(llama(), EngineSettings()) == 128 * 1024
    assert kv_bytes_per_token(llama(), EngineSettings(kv_cache_dtype="fp8_e4m3")) == 64 * 1024


def failure_code(family: str, gpu_count: int = 1, **settings: object) -> str | None:
    card = gpu(family)
    assert card is not None
    failure = start_failure(llama(), card, gpu_count, EngineSettings(**settings))  # type: ignore[arg-type]  # test input
    return None if failure is None else failure.code


# Which check refuses, from the table of start-up messages; the engine checks in this order.
REFUSALS = [
    ("gpua5000", 1, {"max_model_len": 8192}, None),
    ("gpua5000", 1, {}, "kv-below-max-model-len"),
    ("gpua5000", 1, {"max_model_len": 131_073}, "max-model-len-too-large"),
    ("gpua5000", 2, {"max_model_len": 8192, "tensor_parallel": 3}, "world-size"),
    ("gpua5000", 3, {"max_model_len": 8192, "tensor_parallel": 3}, "heads-divisible"),
    ("gpua5000", 1, {"max_model_len": 8192, "max_num_seqs": 4096}, "batched-tokens-below-seqs"),
    ("gpua5000", 1, {"max_model_len": 8192, "chunked_prefill": False, "max_num_batched_tokens": 4096},
     "batched-tokens-below-length"),
    ("gpua5000", 1, {"max_model_len": 8192, "gpu_memory_utilization": 0.995}, "utilization-above-free"),
    ("gpua5000", 1, {"max_model_len": 8192, "gpu_memory_utilization": 0.6}, "no-kv-memory"),
    ("gpu3080ti", 1, {"max_model_len": 2048}, "weights-too-large"),
    ("gpu2", 1, {"max_model_len": 2048, "dtype": "bfloat16"}, "dtype-capability"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "count", "settings", "code"), REFUSALS)
def test_the_first_failing_check_speaks(
    family: str, count: int, settings: dict[str, object], code: str | None
) -> None:
    assert failure_code(family, count, **settings) == code


def test_the_cache_message_is_the_engines_own() -> None:
    card = gpu("gpua5000")
    assert card is not None
    failure = start_failure(llama(), card, 1, EngineSettings())
    assert failure is not None
    assert failure.message.startswith(
        "To serve at least one request with the models's max seq len (131072), (16.00 GiB KV cache is needed, which "
        "is larger than the available KV cache memory ("
    )
    assert "Based on the available memory, the estimated maximum model length is 453" in failure.message


@pytest.mark.parametrize("family", ["gpua5000", "gpu3", "gpurtx6000pro"])
def test_the_largest_length_starts_and_the_next_does_not(family: str) -> None:
    card = gpu(family)
    assert card is not None
    length = largest_max_model_len(llama(), card, EngineSettings())
    assert length > 0
    assert failure_code(family, max_model_len=length) is None
    if length < llama().max_position:
        assert failure_code(family, max_model_len=length + 1) == "kv-below-max-model-len"


def test_the_largest_number_of_sequences_starts_and_the_next_does_not() -> None:
    card = gpu("gpua5000")
    assert card is not None
    settings = EngineSettings(max_model_len=16384, gpu_memory_utilization=0.78, max_num_batched_tokens=2048)
    sequences = largest_max_num_seqs(llama(), card, settings)
    assert 0 < sequences < 2048
    keep = {"max_model_len": 16384, "gpu_memory_utilization": 0.78, "max_num_batched_tokens": 2048}
    assert failure_code("gpua5000", max_num_seqs=sequences, **keep) is None
    assert failure_code("gpua5000", max_num_seqs=sequences + 1, **keep) == "kv-below-max-model-len"
