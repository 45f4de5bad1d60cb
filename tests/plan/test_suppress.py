"""Comments that silence findings, by line and code."""

from __future__ import annotations

from collections.abc import Sequence

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.plan.spans import Source
from harness.plan.suppress import NO_REASON, UNUSED, apply_suppressions, find_suppressions

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
    kept, silenced = apply_suppressions(diagnostics, source, find_suppressions(source))
    return [(one.location.line if one.location else 0, one.code) for one in kept], silenced


def test_same_line_and_line_above_are_silenced_for_their_codes_only() -> None:
    kept, silenced = kept_of((1, "one"), (1, "two"), (4, "one"), (4, "two"), (5, "one"), (6, "three"))
    assert silenced == 5
    assert kept == [(1, "two"), (5, NO_REASON)]


def test_comment_without_effect_is_a_warning() -> None:
    kept, silenced = kept_of((1, "one"), (4, "one"), (5, "one"))
    assert silenced == 3
    assert kept == [(2, UNUSED), (5, NO_REASON), (6, UNUSED)]
