"""No value makes a rule fall over: every list gives findings, each with a place inside it."""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.diagnostics import Stage
from harness.params.lint import lint_parameters
from harness.params.model_config import ModelConfig
from harness.params.snapshots import load_help

FLAGS = sorted(spec.flag for spec in load_help("0.15.1").parameters)
ODD = st.one_of(
    st.integers().map(str),
    st.integers(min_value=-(10**30), max_value=10**30).map(str),
    st.floats().map(str),
    st.sampled_from(
        ["", "None", "null", "nan", "-inf", "1e999", "32k", "auto", "[]", "{}", "\x00", "０", "1_0"]
    ),
    st.text(max_size=12),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
LISTS = st.lists(
    st.one_of(
        st.sampled_from(FLAGS),
        st.tuples(st.sampled_from(FLAGS), ODD).map("=".join),
        ODD,
        JSON.map(json.dumps),
    ),
    max_size=6,
)
KEYS = [
    "architectures", "model_type", "num_attention_heads", "num_key_value_heads", "max_position_embeddings",
    "rope_scaling", "rope_parameters", "quantization_config", "text_config", "sliding_window", "torch_dtype",
    "num_local_experts", "kv_lora_rank", "is_encoder_decoder", "hidden_size", "vocab_size", "num_hidden_layers",
    "intermediate_size", "attention_chunk_size", "model_max_length",
]  # fmt: skip
STRUCTURES = {
    "--speculative-config": ["method", "model", "num_speculative_tokens", "prompt_lookup_min", "prompt_lookup_max",
                             "quantization", "disable_padded_drafter_batch", "draft_tensor_parallel_size"],
    "--compilation-config": ["cudagraph_capture_sizes", "max_cudagraph_capture_size", "compile_sizes", "mode",
                             "compile_ranges_split_points", "cudagraph_mode"],
    "--hf-overrides": KEYS,
    "--limit-mm-per-prompt": ["image", "video", "audio"],
    "--media-io-kwargs": ["image", "video"],
    "--kv-transfer-config": ["kv_connector", "kv_role", "kv_connector_module_path"],
    "--pooler-config": ["pooling_type", "normalize"],
    "--eplb-config": ["num_redundant_experts"],
    "--structured-outputs-config": ["reasoning_parser", "backend"],
}  # fmt: skip
PLAUSIBLE = st.sampled_from(
    ["ngram", "mtp", "eagle3", "MEAN", "FULL", 0, 1, 3, 128, -1, [1, 2], [], "kv_both"]
)
CONFIGS = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=12)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    parameters=LISTS,
    count=st.none() | st.integers(min_value=-3, max_value=99),
    gpu_type=st.sampled_from([None, "gpua5000", "gpu2", "gpurtx6000pro", "none-such"]),
    version=st.sampled_from(["0.12.0", "0.15.1"]),
    document=st.none() | CONFIGS,
)
def test_any_list_on_any_model_gives_findings(
    parameters: list[str],
    count: int | None,
    gpu_type: str | None,
    version: str,
    document: dict[str, object] | None,
) -> None:
    found = lint_parameters(
        parameters, engine_version=version, gpu_type=gpu_type, gpu_count=count, model_config=document
    )
    for finding in found:
        if finding.index is not None:
            assert 0 <= finding.index < len(parameters)
            assert 0 <= finding.start <= finding.end <= len(parameters[finding.index])


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    flag=st.sampled_from(FLAGS), value=ODD | JSON.map(json.dumps), count=st.integers(min_value=1, max_value=8)
)
def test_any_value_of_any_flag_on_a_real_model_gives_findings(
    config: Callable[[str], dict[str, object]], flag: str, value: str, count: int
) -> None:
    parameters = [f"{flag}={value}", "--tensor-parallel-size=2"]
    known = ModelConfig.from_json(config("mixtral-8x7b"))
    found = lint_parameters(
        parameters, engine_version="0.15.1", gpu_type="gpu3", gpu_count=count, model_config=known
    )
    assert all(finding.stage in Stage for finding in found)


@settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    data=st.data(),
    flag=st.sampled_from(sorted(STRUCTURES)),
    model=st.sampled_from(["llama-8b", "deepseek-v3-fp8"]),
)
def test_any_table_behind_a_structured_flag_gives_findings(
    config: Callable[[str], dict[str, object]], data: st.DataObject, flag: str, model: str
) -> None:
    table = data.draw(st.dictionaries(st.sampled_from(STRUCTURES[flag]), JSON | PLAUSIBLE, max_size=4))
    parameters = [f"{flag}={json.dumps(table)}", "--enable-lora", "--async-scheduling"]
    found = lint_parameters(
        parameters, engine_version="0.15.1", gpu_type="gpu3", gpu_count=2, model_config=config(model)
    )
    assert all(finding.stage in Stage for finding in found)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(document=CONFIGS, overrides=CONFIGS)
def test_any_configuration_is_read(document: dict[str, object], overrides: dict[str, object]) -> None:
    known = ModelConfig.from_json(document).with_overrides(overrides)
    assert isinstance(known.architectures, tuple)
