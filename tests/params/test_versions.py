"""How engine versions are written, and what is said of one that is not known."""

from __future__ import annotations

import pytest

from harness.params.lint import lint_parameters
from harness.params.versions import is_version, not_known, spelled_out, what_is_known

KNOWN = ("0.12.0", "0.15.1")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0.15.1", "0.15.1"),
        ("v0.15.1", "0.15.1"),
        (" V0.12.0 ", "0.12.0"),
        ("0.15", "0.15.1"),
        ("v0.12", "0.12.0"),
        ("0.1", "0.1"),
        ("0", "0"),
        ("0.16.0", "0.16.0"),
        ("latest", "latest"),
        ("v", "v"),
    ],
)
def test_harmless_spellings_of_a_known_version_are_that_version(written: str, meant: str) -> None:
    assert spelled_out(written, KNOWN) == meant


def test_a_beginning_that_two_versions_have_is_neither() -> None:
    assert spelled_out("0.15", (*KNOWN, "0.15.2")) == "0.15"


def test_versions_are_told_from_other_words() -> None:
    assert [is_version(text) for text in ("0.16.0", "0.16", "0.16.0rc1")] == [True] * 3
    assert [is_version(text) for text in ("latest", "v0.16.0", "16", "", "../0.1", "all")] == [False] * 6


def test_an_unknown_version_is_told_with_the_known_ones_and_the_way_to_get_it() -> None:
    assert not_known("0.16.0", KNOWN) == (
        "vLLM 0.16.0 is not known here; known are 0.12.0, 0.15.1; "
        "`harness params fetch 0.16.0` asks the API for its parameters"
    )
    assert not_known("latest", KNOWN) == (
        "'latest' is not a vLLM version; known are 0.12.0, 0.15.1; "
        "`harness params fetch VERSION` asks the API for another"
    )
    assert what_is_known("v0.15.1", KNOWN) == "write 0.15.1"


@pytest.mark.parametrize(
    ("written", "severity", "message", "hint"),
    [
        (
            "0.16.0",
            "info",
            "vLLM 0.16.0 is not known here; checked as vLLM 0.15.1",
            "known are 0.12.0, 0.15.1; `harness params fetch 0.16.0` asks the API for its parameters",
        ),
        (
            "0.15",
            "warning",
            "the API knows no vLLM version 0.15; checked as vLLM 0.15.1",
            "write 0.15.1",
        ),
        (
            "latest",
            "warning",
            "the API knows no vLLM version latest; checked as vLLM 0.15.1",
            "known are 0.12.0, 0.15.1; `harness params fetch VERSION` asks the API for another",
        ),
    ],
)
def test_a_files_version_is_sent_as_it_stands_so_its_spelling_is_told(
    written: str, severity: str, message: str, hint: str
) -> None:
    (found,) = lint_parameters(["--max-num-seqs=64"], engine_version=written)
    assert (found.code, found.severity, found.message, found.hint) == (
        "unknown-engine-version",
        severity,
        message,
        hint,
    )
