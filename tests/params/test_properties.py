"""Whatever the list is: findings, in bounded time, inside the list, and a refusal is never silent."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.diagnostics import Stage
from harness.params.argv import read
from harness.params.lint import lint_parameters
from harness.params.snapshots import load_grammar

VERSIONS = ("0.12.0", "0.15.1")
FLAGS = sorted(load_grammar("0.15.1").by_flag)
ITEMS = st.one_of(
    st.text(),
    st.sampled_from(FLAGS),
    st.builds(str.__add__, st.sampled_from(FLAGS), st.text(max_size=12)),
    st.builds("{}={}".format, st.sampled_from(FLAGS), st.text(max_size=12)),
    st.builds("{}.{}".format, st.sampled_from(FLAGS), st.text(max_size=12)),
    st.text(alphabet='-=._{}[]":, \n0123456789aeO', max_size=20),
    st.text(alphabet=st.characters(categories=("Cs", "Cc", "Zs", "Nd")), max_size=6),
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(items=st.lists(ITEMS, max_size=12), version=st.sampled_from(VERSIONS))
def test_any_list_is_judged_without_a_crash(items: list[str], version: str) -> None:
    findings = lint_parameters(items, engine_version=version)
    for finding in findings:
        if finding.index is not None:
            assert 0 <= finding.index < len(items)
            assert 0 <= finding.start <= finding.end <= len(items[finding.index])
    refused = any(finding.is_error and finding.stage is Stage.PARSE for finding in findings)
    assert refused == (not read(items, load_grammar(version)).accepted)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(items=st.lists(ITEMS, max_size=8))
def test_reading_is_the_same_twice(items: list[str]) -> None:
    grammar = load_grammar("0.15.1")
    assert repr(read(items, grammar)) == repr(read(items, grammar))


@pytest.mark.parametrize(
    "items",
    [
        ["x"] * 20_000,
        ["--bogus"] * 20_000,
        ["--seed=x"] * 20_000,
        ["-cc.a=1"] * 20_000,
        ["-cc", "{"] * 10_000,
        ["--seed", "1"] * 10_000,
        ["--max-model-len 1"] * 10_000,
        ["--d"] * 20_000,
        ["--compilation-config", "{" * 500_000],
        ["--compilation-config", '{"a":' * 100_000],
        ["--hf-overrides", "{" + "} " * 200_000 + "x"],
        ["--max-model-len", "9" * 1_000_000],
        ["-" * 1_000_000],
        ["--" + "a" * 1_000_000],
        ["--seed", " " * 500_000 + "x"],
        ["-cc." + "a." * 200_000 + "b=1"],
        ["--speculative-config", "{'a':" * 1_000],
        ["--kv-events-config", '{"topic": "' + "\\u0000" * 100_000 + '"}'],
    ],
    ids=lambda items: f"{items[0][:24]} x {len(items)}",
)
def test_a_hostile_list_ends_with_a_bounded_report(items: list[str]) -> None:
    for version in VERSIONS:
        found = lint_parameters(items, engine_version=version)
        parse = [finding for finding in found if finding.stage is Stage.PARSE and finding.is_error]
        assert len(parse) <= 200
        assert sum(len(finding.message) + len(finding.note or "") for finding in parse) < 200_000
