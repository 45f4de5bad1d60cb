"""What a simulated engine logs when it starts, and how it fails."""

from __future__ import annotations

import argparse
import re

import pytest

from harness.secret import Secret
from harness.simulator.judge import Judge, packaged_documents
from harness.simulator.startup import EndpointSpec, StartUp, plan_engine, start_up

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


def spec(*, gpu: str = "gpua5000", count: int = 1, version: str = "0.15.1", model: str = LLAMA, seed: int = 1,
         **arguments: object) -> EndpointSpec:  # fmt: skip
    return EndpointSpec(
        version, model, gpu, count, 1, argparse.Namespace(**arguments), Secret("sekret"), seed
    )


def lines(started: StartUp) -> list[str]:
    return [text for _, text in started.lines]


def found(started: StartUp, pattern: str) -> re.Match[str]:
    matches = [match for text in lines(started) if (match := re.search(pattern, text))]
    assert len(matches) == 1, pattern
    return matches[0]


def test_a_good_start_logs_what_a_reader_looks_for() -> None:
    started = start_up(spec(max_model_len=8192))
    assert started.ok
    assert found(started, r"GPU KV cache size: ([\d,]+) tokens")[1] == "45,312"
    # 45,312 tokens / 8,192 = 5.53.
    assert found(started, r"Maximum concurrency for 8,192 tokens per request: ([\d.]+)x")[1] == "5.53"
    assert found(started, r"Model loading took ([\d.]+) GiB")[1] == "14.96"
    assert found(started, r"non-default args: (\{.*\})")[1].endswith("'max_model_len': 8192}")
    assert lines(started)[-1] == "INFO:     Application startup complete."


def test_times_rise_to_the_duration() -> None:
    started = start_up(spec(max_model_len=8192))
    times = [when for when, _ in started.lines]
    assert times == sorted(times)
    assert started.duration_s == times[-1]
    # 30 s to schedule, 15 GiB at 1 GB/s, 30 s to compile, 15 s to capture, and a log-normal factor.
    assert 45 < started.duration_s < 270


def test_eager_engines_start_sooner_and_compile_nothing() -> None:
    eager, compiled = (
        start_up(spec(max_model_len=8192, enforce_eager=True)),
        start_up(spec(max_model_len=8192)),
    )
    assert eager.duration_s < compiled.duration_s
    assert not any("torch.compile" in text or "Graph capturing" in text for text in lines(eager))


def test_the_same_spec_starts_the_same_and_another_seed_does_not() -> None:
    assert start_up(spec(max_model_len=8192)) == start_up(spec(max_model_len=8192))
    assert (
        start_up(spec(max_model_len=8192)).duration_s != start_up(spec(max_model_len=8192, seed=2)).duration_s
    )


def test_too_little_cache_ends_with_the_engines_message_and_its_wrapper() -> None:
    started = start_up(spec())
    assert not started.ok
    assert started.state_details.startswith(
        "To serve at least one request with the models's max seq len (131072), ("
    )
    assert any(started.state_details in text for text in lines(started))
    assert lines(started)[-1].startswith(
        "RuntimeError: Engine core initialization failed. See root cause above."
    )
    assert not any("startup complete" in text for text in lines(started))


def test_a_configuration_error_needs_no_wrapper_and_no_weights() -> None:
    started = start_up(spec(max_model_len=8192, max_num_seqs=4096))
    assert lines(started)[-1] == (
        "ValueError: max_num_batched_tokens (2048) must be greater than or equal to max_num_seqs (4096)."
    )
    assert not any("Model loading" in text for text in lines(started))


def test_several_gpus_are_shared_unless_told_otherwise() -> None:
    assert plan_engine(spec(count=2, max_model_len=8192)).settings.tensor_parallel == 2
    assert (
        plan_engine(spec(count=2, max_model_len=8192, tensor_parallel_size=1)).settings.tensor_parallel == 1
    )
    failed = start_up(spec(count=3, max_model_len=8192))
    assert (
        failed.state_details
        == "Total number of attention heads (32) must be divisible by tensor parallel size (3)."
    )


def test_an_unknown_model_is_stood_in_for_and_said_so() -> None:
    started = start_up(spec(model="somebody/Something-9B", max_model_len=8192))
    assert started.ok
    assert any("somebody/Something-9B is not in the tables" in text for text in lines(started))


@pytest.mark.parametrize("version", ["0.12.0", "0.15.1"])
def test_what_the_judge_hands_over_is_understood(version: str) -> None:
    judge = Judge(version, packaged_documents()[version])
    arguments = judge.judge(["--max-model-len", "8k", "--max-num-seqs=16", "--no-enable-prefix-caching", "-q", "fp8",
                             "--kv-cache-dtype", "fp8"]).arguments  # fmt: skip
    assert arguments is not None
    settings = plan_engine(
        EndpointSpec(version, LLAMA, "gpu3", 1, 1, arguments, Secret("sekret"), 1)
    ).settings
    assert (settings.max_model_len, settings.max_num_seqs, settings.prefix_caching) == (8000, 16, False)
    assert (settings.quantization, settings.kv_cache_dtype, settings.chunked_prefill) == ("fp8", "fp8", True)
    assert settings.async_scheduling is (False if version == "0.12.0" else None)
    plain = judge.judge([]).arguments
    assert plain is not None
    assert plan_engine(
        EndpointSpec(version, LLAMA, "gpu3", 1, 1, plain, Secret("sekret"), 1)
    ).settings.prefix_caching


def test_secrets_stay_out_of_the_log() -> None:
    started = start_up(spec(max_model_len=8192, api_key=["hidden-key"], hf_token="hidden-token"))
    assert not any("hidden" in text or "sekret" in text for text in lines(started))
