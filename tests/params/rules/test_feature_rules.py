"""Speculation, LoRA, parsers, templates, structured values, compilation, attention, tracing."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from harness.diagnostics import Diagnostic, Severity

Find = Callable[..., list[Diagnostic]]


@pytest.mark.parametrize(
    ("table", "refused"),
    [
        ({"method": "ngram", "num_speculative_tokens": 3}, False),
        ({"method": "ngram", "num_speculative_tokens": "3"}, False),
        ({"method": "ngram", "num_speculative_tokens": 3.5}, True),
        ({"method": "ngram", "num_speculative_tokens": 0}, True),
        ({"method": "ngram"}, True),
        ({"model": "ngram", "num_speculative_tokens": 3}, False),
        ({"num_speculative_tokens": 3}, True),
        ({"method": "n-gram", "num_speculative_tokens": 3}, True),
        (
            {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 3, "prompt_lookup_max": 2},
            True,
        ),
        ({"method": "ngram", "num_speculative_tokens": 3, "disable_by_batch_size": 1}, True),
        ({"method": "eagle", "num_speculative_tokens": 3}, True),
        ({"method": "eagle", "model": "org/eagle-head", "num_speculative_tokens": 3}, False),
        ({"method": "suffix"}, True),
        ({"method": "mtp", "num_speculative_tokens": 1}, True),  # Llama has no prediction layers
        ({}, True),
        (5, True),
        (None, False),
    ],
)
def test_speculative_configurations(find: Find, table: object, refused: bool) -> None:
    words = f"--speculative-config '{json.dumps(table)}'"
    assert bool(find("speculative-config", words, model="llama-8b")) is refused


def test_prediction_layers_are_used_in_whole_rounds(find: Find) -> None:
    words = '--speculative-config \'{{"method": "mtp", "num_speculative_tokens": {}}}\''
    assert (
        find("speculative-config", words.format(3), model="deepseek-v3-fp8") == []
    )  # one layer, three rounds


def test_a_draft_model_works_since_0_15(find: Find) -> None:
    words = """--speculative-config '{"method": "draft_model", "model": "org/small", "num_speculative_tokens": 3}'"""
    assert len(find("speculative-config", words, version="0.12.0")) == 1
    assert find("speculative-config", words, version="0.15.1") == []


def test_lora_and_speculation_share_a_step(find: Find) -> None:
    words = "--enable-lora --max-num-seqs 256 --max-num-batched-tokens {} --speculative-config.method ngram "
    words += "--speculative-config.num_speculative_tokens 3"
    assert find("speculation-with-lora", words.format(1024)) == []  # 256 x 4
    assert len(find("speculation-with-lora", words.format(1023))) == 1


def test_cpu_adapters_are_not_fewer_than_active_ones(find: Find) -> None:
    assert len(find("lora-limits", "--enable-lora --max-loras 4 --max-cpu-loras 3")) == 1
    assert find("lora-limits", "--enable-lora --max-loras 4 --max-cpu-loras 4") == []
    assert find("lora-limits", "--max-loras 4 --max-cpu-loras 3") == []


@pytest.mark.parametrize(
    ("words", "version", "severity"),
    [
        ("--enable-auto-tool-choice", "0.15.1", Severity.ERROR),
        ("--enable-auto-tool-choice --tool-call-parser hermes", "0.15.1", None),
        ("--enable-auto-tool-choice --tool-call-parser glm47", "0.12.0", Severity.ERROR),
        ("--enable-auto-tool-choice --tool-call-parser glm47", "0.15.1", None),
        ("--tool-call-parser nonsense", "0.15.1", Severity.WARNING),
    ],
)
def test_tool_call_parsers(find: Find, words: str, version: str, severity: Severity | None) -> None:
    found = find("tool-call-parser", words, version=version)
    assert [finding.severity for finding in found] == ([] if severity is None else [severity])


def test_a_parser_that_is_nearly_right_is_suggested(find: Find) -> None:
    (finding,) = find("tool-call-parser", "--enable-auto-tool-choice --tool-call-parser Hermes")
    assert finding.hint is not None
    assert "hermes" in finding.hint


def test_reasoning_parsers_are_refused_early_in_0_12_and_late_in_0_15(find: Find) -> None:
    (older,) = find("reasoning-parser", "--reasoning-parser nonsense", version="0.12.0")
    (newer,) = find("reasoning-parser", "--reasoning-parser nonsense", version="0.15.1")
    assert (older.severity, newer.severity) == (Severity.ERROR, Severity.WARNING)


@pytest.mark.parametrize(
    ("text", "version", "severity"),
    [
        ("template.jinja", "0.15.1", Severity.ERROR),
        ("template_chatml.jinja", "0.15.1", None),
        ("template_chatml.jinja", "0.12.0", Severity.ERROR),
        ("{{ messages }}", "0.12.0", None),
        ("/opt/template.jinja", "0.15.1", Severity.WARNING),
    ],
)
def test_chat_templates(find: Find, text: str, version: str, severity: Severity | None) -> None:
    found = find("chat-template", f"--chat-template '{text}'", version=version)
    assert [finding.severity for finding in found] == ([] if severity is None else [severity])


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("--hf-overrides 5", True),
        ("--hf-overrides '{}'", False),
        ("--override-generation-config null", True),
        ("--mm-processor-kwargs null", False),
        ("""--limit-mm-per-prompt '{"image": "x"}'""", True),
        ("""--limit-mm-per-prompt '{"image": {"count": 1}}'""", False),
        ("""--media-io-kwargs '{"video": 3}'""", True),
        ("--served-model-name ''", True),
    ],
)
def test_shapes_of_structured_values(find: Find, words: str, refused: bool) -> None:
    assert bool(find("structured-value", words)) is refused


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("-O0", False),
        ("-O3", False),
        ("-O4", True),
        ("--optimization-level O2", True),
        ("--optimization-level ' 2 '", False),
    ],
)
def test_optimization_levels(find: Find, words: str, refused: bool) -> None:
    assert bool(find("optimization-level", words)) is refused


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("--max-cudagraph-capture-size 0", True),
        ("--max-cudagraph-capture-size 0 --enforce-eager", False),
        ("--max-cudagraph-capture-size 8 -cc.max_cudagraph_capture_size=8", True),
        ("--cudagraph-capture-sizes 1 2 8 --max-cudagraph-capture-size 8", False),
        ("--cudagraph-capture-sizes 1 2 9999 --max-cudagraph-capture-size 9999", True),  # above 2,048 tokens
        ("""--compilation-config '{"cudagraph_capture_sizes": []}'""", True),
        ("""--compilation-config '{"cudagraph_capture_sizes": []}' -O0""", False),
    ],
)
def test_cuda_graph_sizes(find: Find, words: str, refused: bool) -> None:
    assert bool(find("cudagraph-sizes", words, model="llama-8b", gpu_type="gpua5000")) is refused


def test_async_scheduling_with_a_pipeline_is_for_0_15(find: Find) -> None:
    assert len(find("async-scheduling", "--async-scheduling -pp 2", version="0.12.0", gpu_count=2)) == 1
    assert find("async-scheduling", "--async-scheduling -pp 2", version="0.15.1", gpu_count=2) == []


def test_an_offloading_backend_without_a_size_stops_0_12(find: Find) -> None:
    (older,) = find("kv-offloading", "--kv-offloading-backend native", version="0.12.0")
    (newer,) = find("kv-offloading", "--kv-offloading-backend native", version="0.15.1")
    assert (older.severity, newer.severity) == (Severity.ERROR, Severity.WARNING)


@pytest.mark.parametrize(
    ("text", "refused"), [("0.11", False), ("0.11.0rc1", False), ("x.y", True), ("latest", True)]
)
def test_metrics_versions(find: Find, text: str, refused: bool) -> None:
    assert bool(find("metrics-version", f"--show-hidden-metrics-for-version {text}")) is refused


def test_attention_backends_are_known_by_name_in_any_case(find: Find) -> None:
    assert find("attention-backend", "--attention-backend flash_attn") == []
    (finding,) = find("attention-backend", "--attention-backend flash_atn")
    assert finding.hint is not None
    assert "FLASH_ATTN" in finding.hint


def test_an_architecture_that_was_removed_is_an_error(
    find: Find, config: Callable[[str], dict[str, object]]
) -> None:
    document = {**config("llama-8b"), "architectures": ["MllamaForConditionalGeneration"]}
    (finding,) = find("model-architecture", "", model=document)
    assert finding.is_error


def test_an_architecture_of_somebody_else_is_a_warning(
    find: Find, config: Callable[[str], dict[str, object]]
) -> None:
    document = {**config("llama-8b"), "architectures": ["TheirOwnForCausalLM"]}
    (finding,) = find("model-architecture", "", model=document)
    assert finding.severity is Severity.WARNING


def test_a_model_of_an_unknown_type_cannot_be_read(
    find: Find, config: Callable[[str], dict[str, object]]
) -> None:
    document = {**config("llama-8b"), "model_type": "their_own"}
    (finding,) = find("model-architecture", "", model=document)
    assert finding.is_error
    with_code = {**document, "auto_map": {"AutoConfig": "configuration.TheirConfig"}}
    (finding,) = find("model-architecture", "", model=with_code)
    assert finding.hint == "add --trust-remote-code"
    assert find("model-architecture", "--trust-remote-code", model=with_code) == []


def test_a_classifier_is_adapted_from_the_class_that_generates(
    find: Find, config: Callable[[str], dict[str, object]]
) -> None:
    document = {**config("llama-8b"), "architectures": ["LlamaForSequenceClassification"]}
    assert find("model-architecture", "", model=document) == []
    assert find("model-runner", "--runner pooling", model=document) == []


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("", True),
        ("None", True),
        ("{}", True),
        ("a b", True),
        ("-x", True),
        ("a--b", True),
        ("gpt2", False),
        ("org/model-1.0_b", False),
        ("/models/tokenizer", False),
        ("a/b/c", False),
    ],
)
def test_names_of_repositories(find: Find, text: str, refused: bool) -> None:
    assert bool(find("repository-name", f"--tokenizer='{text}'")) is refused


@pytest.mark.parametrize("words", ["--logits-processors None", "--allowed-media-domains ''"])
def test_lists_hold_no_null(find: Find, words: str) -> None:
    assert len(find("structured-value", words)) == 1


def test_terratorch_is_not_there(find: Find) -> None:
    assert len(find("model-architecture", "--model-impl terratorch", model="llama-8b")) == 1


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        ("--num-gpu-blocks-override 1", True),
        ("--num-gpu-blocks-override 2", False),
        ("--kv-cache-memory-bytes 0", True),
        ("--seed=-1", True),
        ("--seed 4294967295", False),
        ("--generation-config bogus", True),
        ("--generation-config vllm", False),
        ("--runner pooling", True),
        ("--gpu-memory-utilization 1", True),
        ("--gpu-memory-utilization 0.95", False),
    ],
)
def test_what_fails_after_the_checks_is_a_warning(find: Find, words: str, warned: bool) -> None:
    found = find("fails-later", words, model="llama-8b", gpu_type="gpua5000")
    assert [finding.severity for finding in found] == [Severity.WARNING] * warned


def test_a_pooler_without_a_type_stops_0_12(find: Find) -> None:
    words = "--pooler-config '{}'"
    assert len(find("model-runner", words, model="llama-8b", version="0.12.0")) == 1
    assert find("model-runner", words, model="llama-8b", version="0.15.1") == []
    assert find("model-runner", f"{words} --runner pooling", model="llama-8b", version="0.12.0") == []
