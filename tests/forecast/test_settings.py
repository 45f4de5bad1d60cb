"""Settings from flags, and what they resolve to."""

from __future__ import annotations

import pytest

from harness.forecast.settings import EngineSettings, Speculation, from_values
from harness.forecast.tables import gpu, model


def test_flags_are_read_typed_or_as_text_dashed_or_underscored() -> None:
    typed = from_values(
        {"max-model-len": 8192, "enable-prefix-caching": False, "gpu-memory-utilization": 0.8}
    )
    text = from_values(
        {"max_model_len": "8192", "enable_prefix_caching": "False", "gpu_memory_utilization": "0.8"}
    )
    assert (
        typed == text == EngineSettings(max_model_len=8192, prefix_caching=False, gpu_memory_utilization=0.8)
    )


def test_human_lengths_negations_and_drafts_are_understood() -> None:
    found = from_values(
        {
            "max-model-len": "32k",
            "no-enable-chunked-prefill": True,
            "speculative-config": '{"method": "ngram", "num_speculative_tokens": 3}',
        }
    )
    assert found.max_model_len == 32_000
    assert found.chunked_prefill is False
    assert found.speculation == Speculation("ngram", 3, 0.5)
    assert from_values({"max-model-len": "32K"}).max_model_len == 32_768


@pytest.mark.parametrize("value", ["", "None", "many", None, "1e3x"])
def test_a_value_that_cannot_be_read_counts_as_not_given(value: object) -> None:
    assert from_values({"max-num-seqs": value}).max_num_seqs is None


def test_without_a_parallel_size_the_engine_takes_all_gpus() -> None:
    assert from_values({}, gpu_count=4).tensor_parallel == 4
    assert from_values({"pipeline-parallel-size": 2}, gpu_count=4).tensor_parallel == 2
    assert from_values({"tensor-parallel-size": 1}, gpu_count=4).tensor_parallel == 1


def test_defaults_follow_the_gpu_and_the_version() -> None:
    llama, large, small = model("llama3-8b"), gpu("gpurtx6000pro"), gpu("gpua5000")
    assert llama is not None
    assert large is not None
    assert small is not None
    on_large, on_small = EngineSettings().resolve(llama, large), EngineSettings().resolve(llama, small)
    assert (on_large.max_num_batched_tokens, on_large.max_num_seqs) == (8192, 1024)
    assert (on_small.max_num_batched_tokens, on_small.max_num_seqs) == (2048, 256)
    assert on_small.max_model_len == 131072
    assert on_small.async_scheduling
    assert not EngineSettings(engine_version="0.12.0").resolve(llama, small).async_scheduling
    # Recorded: without chunked prefill the budget grows to the length; a smaller budget clips the sequences.
    assert EngineSettings(chunked_prefill=False).resolve(llama, small).max_num_batched_tokens == 131072
    assert EngineSettings(max_num_batched_tokens=64).resolve(llama, small).max_num_seqs == 64
