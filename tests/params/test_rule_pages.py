"""Every rule has a page whose wrong example it finds and whose right example it leaves alone."""

from __future__ import annotations

import shlex

import pytest

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.explain import Example, codes, page, suggest
from harness.params.help import parse_help
from harness.params.lint import lint_parameters
from harness.params.rules import RULES

# tests/params/rules looks after the pages of the other stages.
PARSE_CODES = tuple(
    rule.CODE for rule in RULES if rule.STAGE is Stage.PARSE or rule.CODE == "unknown-engine-version"
)


def findings(example: Example) -> tuple[Diagnostic, ...]:
    facts = dict(example.facts)
    version = facts.get("engine-version", "0.15.1")
    help = None
    if "offered" in facts:
        help = parse_help({"parameters": [{"name": facts["offered"]}]}, version=version)
    return lint_parameters(shlex.split(example.words), engine_version=version, help=help)


def test_codes_are_unique_and_kebab_case() -> None:
    assert len(codes()) == len(set(codes())) > 40
    assert all(code == code.lower() and code.replace("-", "").isalnum() for code in codes())


def test_there_are_twenty_rules_of_the_parse_stage() -> None:
    assert len(PARSE_CODES) >= 20


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE)
def test_a_rule_declares_its_stage_and_severity(rule: object) -> None:
    assert isinstance(rule.STAGE, Stage)  # type: ignore[attr-defined]
    assert isinstance(rule.SEVERITY, Severity)  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", PARSE_CODES)
def test_the_wrong_examples_have_the_finding(code: str) -> None:
    known = page(code)
    assert known is not None
    assert known.wrong
    for example in known.wrong:
        assert code in {finding.code for finding in findings(example)}, example


@pytest.mark.parametrize("code", PARSE_CODES)
def test_the_right_examples_do_not_have_the_finding(code: str) -> None:
    known = page(code)
    assert known is not None
    assert known.right
    for example in known.right:
        found = findings(example)
        assert code not in {finding.code for finding in found}, example
        assert not any(finding.is_error and finding.stage is Stage.PARSE for finding in found), example


@pytest.mark.parametrize("code", PARSE_CODES)
def test_a_page_begins_with_one_sentence(code: str) -> None:
    known = page(code)
    assert known is not None
    assert known.title.endswith(".")
    assert known.text.split("\n\n")[0] == known.title


def test_an_unknown_code_has_no_page_and_a_near_one_is_suggested() -> None:
    assert page("value-not-alowed") is None
    assert suggest("value-not-alowed") == "value-not-allowed"
