"""Comments that silence findings, by line and code."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.plan.lint import Judge, LintOptions, lint_source
from harness.plan.spans import Source
from harness.plan.suppress import NO_CODE, NO_REASON, UNKNOWN, UNUSED, apply_suppressions, find_suppressions

TEXT = """\
- a  # harness: ignore[one] because
# harness: ignore[one, two] the next line
# another comment
- b
- c  # harness: ignore[one]
- d  # harness: ignore[three] never found
"""


def kept_of(*found: tuple[int, str]) -> tuple[Sequence[tuple[int, str]], int]:
    source = Source.of("x", TEXT)
    starts = source.line_starts
    diagnostics = [
        Diagnostic(
            code,
            Severity.ERROR,
            Stage.PARSE,
            "m",
            location=source.location(starts[line - 1], starts[line - 1]),
        )
        for line, code in found
    ]
    kept, silenced = apply_suppressions(
        diagnostics, source, find_suppressions(source), known=("one", "two", "three")
    )
    return [(one.location.line if one.location else 0, one.code) for one in kept], len(silenced)


def test_same_line_and_line_above_are_silenced_for_their_codes_only() -> None:
    kept, silenced = kept_of((1, "one"), (1, "two"), (4, "one"), (4, "two"), (5, "one"), (6, "three"))
    assert silenced == 5
    assert kept == [(1, "two"), (5, NO_REASON)]


def test_comment_without_effect_is_a_warning() -> None:
    kept, silenced = kept_of((1, "one"), (4, "one"), (5, "one"))
    assert silenced == 3
    assert kept == [(2, UNUSED), (5, NO_REASON), (6, UNUSED)]


def said_of(comment: str) -> list[tuple[str, str, str | None]]:
    """Code, severity and hint of what lint says of a list with an unknown flag and this comment beside it."""
    text = f"- --bogus  # {comment}\n- --seed=1\n"
    report = lint_source(Source.of("x.yaml", text), Judge(LintOptions(engine_version="0.15.1")))
    return [
        (one.code, one.severity.value, one.hint) for one in report.diagnostics if one.code != "unknown-flag"
    ]


@pytest.mark.parametrize(
    "comment", ["harness: ignore", "harness: ignore[] why", "harness:ignore our own build"]
)
def test_comment_without_a_code_is_told_with_the_code_that_is_found_there(comment: str) -> None:
    assert said_of(comment) == [(NO_CODE, "warning", "# harness: ignore[unknown-flag] reason")]


def test_code_that_no_finding_has_is_told_with_the_one_that_was_meant() -> None:
    assert said_of("harness: ignore[unknwon-flag] ours") == [
        (UNKNOWN, "warning", "did you mean 'unknown-flag'?")
    ]
    assert said_of("harness: ignore[zzz] ours") == [(UNKNOWN, "warning", "harness explain lists the codes")]
    assert [code for code, _, _ in said_of("harness: ignore[unknown-flag, gpu-memory] ours")] == [UNUSED]


def test_other_words_are_no_suppression() -> None:
    assert said_of("harness: ignored since March") == []
    assert said_of("the harness ignores this") == []
