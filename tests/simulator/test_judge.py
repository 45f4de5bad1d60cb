"""The simulator's own parser against recorded verdicts of the real ones of both versions."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path

import pytest

from harness.simulator.judge import Judge, Judgement, packaged_documents

OLD, NEW = "0.12.0", "0.15.1"
CONFIGURATION = re.compile(
    r"-cc|-ac|-O|--(compilation|structured|eplb|pooler|kv-t|kv-e|ec-t|attention-c|profiler)"
)


@pytest.fixture(scope="module")
def judges() -> dict[str, Judge]:
    return {version: Judge(version, document) for version, document in packaged_documents().items()}


# (list, accepted by 0.12.0, accepted by 0.15.1), recorded from the real `vllm serve` parsers.
VERDICTS: list[tuple[list[str], bool, bool]] = [
    (["--max_model_len", "4096"], True, True),
    (["--max-model_len=4096"], True, True),
    (["--MAX-MODEL-LEN", "4096"], False, False),
    (["-max-model-len", "4096"], False, False),
    (["-t_p", "2"], False, False),
    (["---max-model-len", "4096"], False, False),
    (["--max-model-len", "=4096"], False, False),
    (["--max-model-len=", "4096"], False, False),
    (["--max-model-len", "32k"], True, True),
    (["--max-model-len", "1.5K"], False, False),
    (["--max-model-len", "1.5k"], True, True),
    (["--max-model-len", "1t"], False, True),
    (["--max-model-len", "auto"], False, True),
    (["--max-num-seqs", "16k"], False, False),
    (["--seed", "1_000"], True, True),
    (["--seed", "1.0"], False, False),
    (["--gpu-memory-utilization", ".9"], True, True),
    (["--gpu-memory-utilization", "90%"], False, False),
    (["--gpu-memory-utilization", "-0.5"], False, False),
    (["--gpu-memory-utilization=-0.5"], True, True),
    (["--max-model-len 4096"], False, False),
    (["--enforce-eager"], True, True),
    (["--no-enforce-eager"], True, True),
    (["--enforce-eager=true"], False, False),
    (["--enforce-eager", "true"], False, False),
    (["--no-headless"], False, False),
    (["--max-model", "4096"], True, True),
    (["--data-parallel-s", "2"], False, False),
    (["-tp", "2"], True, True),
    (["-tp=2"], True, True),
    (["-tp2"], False, False),
    (["-n2"], True, True),
    (["-qawq"], True, True),
    (["--dtype", "fp16"], False, False),
    (["--dtype", "half"], True, True),
    (["--tokenizer-mode", "whatever"], True, True),
    (["--kv-cache-dtype", "fp4"], False, False),
    (["--block-size", "016"], True, True),
    (["--block-size", "17"], False, False),
    (["--compilation-config", '{"mode":3}'], True, True),
    (["--compilation-config.mode", "3"], True, True),
    (["-cc.mode=3"], True, True),
    (["-O3"], True, True),
    (["-O", "3"], True, True),
    (["-O", "4"], False, False),
    (["--compilation-config.mode"], False, False),
    (["--seed.x", "1"], False, False),
    (["--allowed-origins", "*"], False, False),
    (["--allowed-origins", '["*"]'], True, True),
    (["--served-model-name", "a", "b"], True, True),
    (["--served-model-name"], False, False),
    (["--task", "generate"], True, False),
    (["--attention-backend", "FLASH_ATTN"], False, True),
    (["--guided-decoding-backend", "xgrammar"], False, False),
    (["--foo-bar"], False, False),
    (["stray"], False, False),
    ([""], False, False),
    ([], True, True),
]


@pytest.mark.parametrize(
    ("items", "old", "new"), VERDICTS, ids=[" ".join(items) or "-" for items, _, _ in VERDICTS]
)
def test_the_judge_agrees_with_the_real_parsers(
    judges: dict[str, Judge], items: list[str], old: bool, new: bool
) -> None:
    found = [judges[version].judge(items).arguments is not None for version in (OLD, NEW)]
    assert found == [old, new]


CORPUS = Path(__file__).parents[1] / "oracle"


@pytest.mark.parametrize("version", [OLD, NEW])
def test_the_judge_agrees_with_a_large_record_of_the_real_parser(
    judges: dict[str, Judge], version: str
) -> None:
    """Every tenth recorded list that sets no configuration object, whose contents the judge does not check."""
    with lzma.open(CORPUS / f"corpus-{version}.jsonl.xz", "rt", encoding="utf-8") as lines:
        recorded = [json.loads(line) for line in lines][::10]
    plain = [
        (items, error) for items, error in recorded if not any(CONFIGURATION.match(item) for item in items)
    ]
    assert len(plain) > 1000
    wrong = [
        items
        for items, error in plain
        if (judges[version].judge(items).arguments is not None) != (error is None)
    ]
    assert len(wrong) <= len(plain) * 0.005, wrong


@pytest.mark.parametrize(
    ("items", "unknown"),
    [
        (["--foo-bar=1"], ("foo-bar",)),
        (["--foo_bar", "1", "--seed", "x", "-zz"], ("foo-bar", "zz")),
        (["--gpu-memory-usage=0.8", "--max-tokens=4096"], ("gpu-memory-usage", "max-tokens")),
        (["--max-model-len 4096"], ("max-model-len 4096",)),
    ],
)
def test_unknown_names_are_refused_whatever_else_is_wrong(
    judges: dict[str, Judge], items: list[str], unknown: tuple[str, ...]
) -> None:
    assert judges[NEW].judge(items) == Judgement(unknown=unknown)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (["--seed", "x"], "vllm serve: error: argument --seed: invalid int value: 'x'"),
        (["--dtype", "fp16"], "argument --dtype: invalid choice: 'fp16'"),
        (["--data-parallel-s", "2"], "ambiguous option: --data-parallel-s could match"),
        (["--enforce-eager", "true"], "vllm: error: unrecognized arguments: true"),
        (["--enforce-eager=true"], "ignored explicit argument 'true'"),
        (["--compilation-config.mode"], "IndexError: list index out of range"),
        (["--help"], "printed its help and exited"),
        (["--model", "other/model"], "unrecognized arguments: /model"),
        (["--config", "serve.yaml"], "No such file: 'serve.yaml'"),
    ],
)
def test_wrong_values_are_the_engines_to_refuse_in_its_own_words(
    judges: dict[str, Judge], items: list[str], words: str
) -> None:
    found = judges[NEW].judge(items)
    assert found.unknown == ()
    assert found.failure is not None
    assert words in found.failure


def test_accepted_values_come_out_typed(judges: dict[str, Judge]) -> None:
    items = [
        "--max-model-len=32k",
        "--gpu-memory-utilization",
        "0.8",
        "--no-enable-prefix-caching",
        "-tp",
        "2",
    ]
    arguments = (
        judges[NEW]
        .judge([*items, "-cc.mode=3", "-cc.pass_config.x=true", "--quantization", "None"])
        .arguments
    )
    assert arguments is not None
    assert arguments.max_model_len == 32000
    assert arguments.gpu_memory_utilization == 0.8
    assert arguments.enable_prefix_caching is False
    assert arguments.tensor_parallel_size == 2
    assert arguments.compilation_config == {"mode": 3, "pass_config": {"x": True}}


@pytest.mark.parametrize("version", [OLD, NEW])
def test_no_list_of_odd_texts_raises(judges: dict[str, Judge], version: str) -> None:
    odd = [
        "",
        " ",
        "-",
        "--",
        "--=",
        "-.",
        "--.x",
        "=",
        "\0",
        "--hf-overrides={",
        "-O",
        "-O.",
        "\ud800",
        "--seed=" + "9" * 5000,
    ]
    for first in odd:
        for second in odd:
            judgement = judges[version].judge([first, second])
            assert judgement.arguments is not None or judgement.unknown or judgement.failure


def test_documents_come_oldest_first() -> None:
    assert list(packaged_documents()) == [OLD, NEW]
