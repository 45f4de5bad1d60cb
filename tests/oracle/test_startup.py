"""The start-up rules against what vLLM's own configuration code said of the recorded lists."""

from __future__ import annotations

import json
import lzma
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from harness.diagnostics import Diagnostic, Stage
from harness.params import derivation
from harness.params.argv import read
from harness.params.context import Context
from harness.params.lint import knowledge_of, lint_parameters
from harness.params.model_config import ModelConfig
from harness.params.settings import Settings

HERE = Path(__file__).parent
VERSIONS = ("0.12.0", "0.15.1")
# The recorded configuration code does not look at memory: nothing there can confirm or refute this rule.
NOT_RECORDED = {"gpu-memory"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the corpus; ``derived`` is length, tokens per step and sequences of an accepted list."""

    parameters: tuple[str, ...]
    model: str
    gpu_type: str
    gpu_count: int
    origin: str
    verdict: str
    text: str
    derived: tuple[int, int, int] | None


@cache
def corpus(version: str) -> tuple[Verdict, ...]:
    lines = lzma.decompress((HERE / f"startup-{version}.jsonl.xz").read_bytes()).decode().splitlines()
    found = []
    for parameters, model, gpu_type, gpu_count, origin, verdict, text, derived in map(json.loads, lines):
        numbers = None if derived is None else (derived[0], derived[1], derived[2])
        found.append(Verdict(tuple(parameters), model, gpu_type, gpu_count, origin, verdict, text, numbers))
    return tuple(found)


@cache
def model(name: str) -> ModelConfig:
    return ModelConfig.from_json(json.loads((HERE / "models" / f"{name}.json").read_text(encoding="utf-8")))


@cache
def findings(verdict: Verdict, version: str) -> tuple[Diagnostic, ...]:
    return lint_parameters(
        verdict.parameters,
        engine_version=version,
        gpu_type=verdict.gpu_type,
        gpu_count=verdict.gpu_count,
        model_config=model(verdict.model),
    )


def errors(verdict: Verdict, *, version: str, stage: Stage) -> list[Diagnostic]:
    return [item for item in findings(verdict, version) if item.is_error and item.stage is stage]


def settings_of(verdict: Verdict, *, version: str) -> Settings:
    known = knowledge_of(version)
    return Settings(
        Context(
            parameters=verdict.parameters,
            version=version,
            help=known.help,
            grammar=known.grammar,
            reading=read(verdict.parameters, known.grammar),
            gpu_type=verdict.gpu_type,
            gpu_count=verdict.gpu_count,
            model=model(verdict.model),
            registries=known.registries,
        )
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_the_corpus_is_large_varied_and_half_hand_written(version: str) -> None:
    verdicts = corpus(version)
    assert len(verdicts) >= 1000
    assert sum(verdict.origin == "hand" for verdict in verdicts) >= 500
    assert sum(verdict.origin == "random" for verdict in verdicts) >= 500
    assert len({verdict.model for verdict in verdicts}) >= 15
    assert sum(verdict.origin == "alone" for verdict in verdicts) >= 500
    assert len({verdict.gpu_type for verdict in verdicts}) >= 5
    assert sum(verdict.verdict == "startup" for verdict in verdicts) >= 500
    assert sum(verdict.verdict == "ok" for verdict in verdicts) >= 500


@pytest.mark.parametrize("version", VERSIONS)
def test_no_list_that_the_engine_accepts_has_a_startup_error(version: str) -> None:
    accepted = [verdict for verdict in corpus(version) if verdict.verdict == "ok"]
    assert len(accepted) >= 500
    wrong = [
        (verdict.parameters, verdict.model, finding.code)
        for verdict in accepted
        for finding in errors(verdict, version=version, stage=Stage.STARTUP)
        if finding.code not in NOT_RECORDED
    ]
    assert wrong == []


@pytest.mark.parametrize("version", VERSIONS)
def test_at_least_99_percent_of_the_refused_lists_have_a_startup_error(version: str) -> None:
    refused = [verdict for verdict in corpus(version) if verdict.verdict == "startup"]
    assert len(refused) >= 500
    missed = []
    for verdict in refused:
        found = {finding.code for finding in errors(verdict, version=version, stage=Stage.STARTUP)}
        if not found - NOT_RECORDED:
            missed.append((verdict.parameters, verdict.model, verdict.text))
    assert len(missed) <= 0.01 * len(refused), missed


@pytest.mark.parametrize("version", VERSIONS)
def test_the_parser_stage_agrees_on_the_same_lists(version: str) -> None:
    verdicts = corpus(version)
    assert len(verdicts) >= 1000
    for verdict in verdicts:
        refused = bool(errors(verdict, version=version, stage=Stage.PARSE))
        assert refused == (verdict.verdict == "parse"), verdict


@pytest.mark.parametrize("version", VERSIONS)
def test_lengths_and_batches_come_out_as_the_engine_derives_them(version: str) -> None:
    checked = 0
    for verdict in corpus(version):
        if verdict.derived is None:
            continue
        settings = settings_of(verdict, version=version)
        limits = derivation.batch(settings)
        ours = (derivation.max_model_len(settings), limits.tokens, limits.sequences)
        for mine, engines in zip(ours, verdict.derived, strict=True):
            assert mine in (None, engines), (verdict, ours)
            checked += mine is not None
    assert checked >= 3 * 500


# What the engine says, and the rule that must be among those that speak.
KINDS = {
    "larger than the number of available GPUs": {"too-few-gpus", "context-parallel"},
    "must be divisible by tensor parallel size": {"heads-not-divisible"},
    "must be divisible bydcp_size": {"context-parallel"},
    "when enable decode context parallel": {"context-parallel"},
    "when expert parallelism is enabled": {"expert-parallel"},
    "must be True to use EPLB": {"expert-balancing"},
    "num_redundant_experts is set": {"expert-balancing"},
    "Microbatching currently only": {"microbatching"},
    "data_parallel_size_local": {"data-parallel"},
    "data_parallel_rank (": {"data-parallel", "parallel-size"},
    "must be divisible by nnodes": {"several-nodes"},
    "Failed to import Ray": {"ray-missing"},
    "is greater than the derived max_model_len": {"sequence-length"},
    "must be greater than or equal to max_num_seqs": {"batched-tokens"},
    "is smaller than max_model_len": {"chunked-prefill"},
    "Concurrent Partial Prefill": {"unsupported-feature"},
    "--logits-processor-pattern": {"unsupported-feature"},
    "gpu_memory_utilization Input should": {"out-of-range"},
    "stream_interval Input should": {"out-of-range"},
    "swap_space Input should": {"out-of-range"},
    "Too large swap space": {"swap-space"},
    "Unknown quantization method": {"unknown-quantization"},
    "Quantization method specified in the model config": {"quantization-mismatch"},
    "is deprecated and will be removed": {"quantization-deprecated"},
    "Cannot find the config file for": {"quantization-not-in-checkpoint"},
    "is not supported for the current GPU": {"quantization-capability"},
    "is not supported for quantization method": {"quantization-dtype"},
    "does not support float16": {"dtype-not-supported"},
    "for SpeculativeConfig": {"speculative-config"},
    "Unsupported speculative method": {"speculative-config"},
    "max_cpu_loras": {"lora-limits"},
    "requires --tool-call-parser": {"tool-call-parser"},
    "invalid tool call parser": {"tool-call-parser"},
    "invalid reasoning parser": {"reasoning-parser"},
    "chat template string": {"chat-template"},
    "requires --enable-log-requests": {"log-outputs"},
    "are not supported for now": {"model-architecture"},
    "Unknown config format": {"config-format"},
    "optimization_level Input should": {"optimization-level"},
    "cudagraph_capture_sizes are mutually exclusive": {"cudagraph-sizes"},
    "Maximum cudagraph size": {"cudagraph-sizes"},
    "Unknown attention backend": {"attention-backend", "multimodal-options"},
    "collect_detailed_traces requires": {"tracing"},
    "show_hidden_metrics_for_version": {"metrics-version"},
    "Hybrid KV cache manager was explicitly enabled": {"hybrid-kv-cache"},
    "--mamba-block-size can only be set": {"mamba-cache"},
}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_rule_that_speaks_is_about_what_the_engine_names(version: str) -> None:
    compared = 0
    otherwise = []
    for verdict in corpus(version):
        codes = next((codes for sign, codes in KINDS.items() if sign in verdict.text), None)
        if verdict.verdict != "startup" or codes is None:
            continue
        compared += 1
        found = {finding.code for finding in errors(verdict, version=version, stage=Stage.STARTUP)}
        if not codes & found:
            otherwise.append((verdict.parameters, verdict.model, verdict.text, sorted(found)))
    assert compared >= 1000
    assert len(otherwise) <= 0.01 * compared, otherwise
