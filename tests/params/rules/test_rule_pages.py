"""Every page of the start-up, platform and style rules: its wrong list has the finding, its right list has not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from harness.diagnostics import Diagnostic, Stage
from harness.params.rules import RULES

STAGES = {Stage.STARTUP, Stage.PLATFORM, Stage.STYLE}
# Its page is about the version, not about a list.
ELSEWHERE = {"unknown-engine-version", "not-offered"}
PAGES = {rule.CODE: rule for rule in RULES if rule.STAGE in STAGES and rule.CODE not in ELSEWHERE}
EXAMPLE = re.compile(r"^(?P<kind>Wrong|Right)::\n\n    (?P<words>.*?)(?:    # (?P<facts>.*))?$", re.MULTILINE)


def example(page: str, kind: str) -> tuple[str, dict[str, Any]]:
    """The list of a page and the facts its comment gives."""
    found = [match for match in EXAMPLE.finditer(page) if match["kind"] == kind]
    assert len(found) == 1, f"{kind} is not there once"
    facts: dict[str, Any] = {}
    for key, value in re.findall(r"([a-z-]+): (\S+)", found[0]["facts"] or ""):
        name = {"engine-version": "version"}.get(key, key.replace("-", "_"))
        facts[name] = int(value) if name == "gpu_count" else (value,) if name == "authorized" else value
    return found[0]["words"], facts


def test_there_are_pages_of_every_stage() -> None:
    assert len(PAGES) >= 60
    assert {rule.STAGE for rule in PAGES.values()} == STAGES


@pytest.mark.parametrize("code", sorted(PAGES))
def test_the_wrong_list_has_the_finding_and_the_right_one_has_not(
    code: str, find: Callable[..., list[Diagnostic]]
) -> None:
    page = PAGES[code].__doc__ or ""
    wrong, facts = example(page, "Wrong")
    findings = find(code, wrong, **facts)
    assert findings, f"nothing about {wrong}"
    assert {finding.stage for finding in findings} == {PAGES[code].STAGE}
    assert PAGES[code].SEVERITY in {finding.severity for finding in findings}
    right, facts = example(page, "Right")
    assert find(code, right, **facts) == []


@pytest.mark.parametrize("code", sorted(PAGES))
def test_a_right_list_has_no_error_at_all(code: str, find: Callable[..., list[Diagnostic]]) -> None:
    right, facts = example(PAGES[code].__doc__ or "", "Right")
    errors = [
        finding
        for other in PAGES
        for finding in find(other, right, **facts)
        if finding.is_error and finding.stage is Stage.STARTUP
    ]
    assert errors == []


@pytest.mark.parametrize("code", sorted(PAGES))
def test_a_page_starts_with_one_sentence(code: str) -> None:
    first = (PAGES[code].__doc__ or "").split("\n\n")[0]
    assert first.endswith("."), first
    assert len(first) < 240
