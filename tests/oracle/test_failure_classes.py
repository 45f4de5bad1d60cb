"""What a failed start is put down to, against the words of vLLM's own configuration code and the linter's finding.

The linter is held against the same recordings elsewhere; here the words alone have to lead to the rule it named.
"""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from harness.params.lint import lint_parameters
from harness.sweep.classify import classify_log
from harness.sweep.failures import BAD_ARGUMENT, MODEL_MISSING

HERE = Path(__file__).parent
# The parser's words are the same whether a flag never was, is gone or is yet to come.
ALIKE = {"unknown-flag": {"unknown-flag", "removed-flag", "newer-flag"}}


def failed_starts(version: str) -> list[tuple[list[str], str, str, int, str]]:
    lines = lzma.decompress((HERE / f"startup-{version}.jsonl.xz").read_bytes()).decode().splitlines()
    entries = [json.loads(line) for line in lines]
    return [(*entry[:4], entry[6]) for entry in entries if entry[5] != "ok"]


def rules_named(parameters: list[str], model: str, gpu_type: str, gpu_count: int, version: str) -> set[str]:
    config = json.loads((HERE / "models" / f"{model}.json").read_text(encoding="utf-8"))
    found = lint_parameters(
        parameters, engine_version=version, gpu_type=gpu_type, gpu_count=gpu_count, model_config=config
    )
    return {finding.code for finding in found if finding.is_error}


@pytest.mark.parametrize("version", ["0.12.0", "0.15.1"])
def test_recorded_words_lead_to_a_class_and_nearly_always_to_the_rule_that_catches_them(version: str) -> None:
    starts = failed_starts(version)
    assert len(starts) > 3000
    silent, elsewhere = [], []
    for parameters, model, gpu_type, gpu_count, text in starts:
        failure = classify_log([text])
        assert failure.cause in (BAD_ARGUMENT, MODEL_MISSING), text
        if failure.rule is None:
            silent.append(text)
        elif not ALIKE.get(failure.rule, {failure.rule}) & rules_named(
            parameters, model, gpu_type, gpu_count, version
        ):
            elsewhere.append((failure.rule, text))
    assert len(silent) <= 0.03 * len(starts), silent[:20]
    assert len(elsewhere) <= 0.02 * len(starts), elsewhere[:20]
