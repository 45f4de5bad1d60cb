"""Every command that takes an engine version reads it alike and says the same of one it does not know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
COMMANDS = [
    ("lint", "--engine-version", "{}", "--", "--max-num-seqs=8"),
    ("migrate", "LIST", "--to", "{}"),
    ("migrate", "LIST", "--to", "0.15.1", "--from", "{}"),
    ("params", "list", "--engine-version", "{}"),
    ("params", "show", "seed", "--engine-version", "{}"),
    ("params", "diff", "0.12.0", "{}"),
    ("params", "diff", "{}", "0.12.0"),
    ("params", "fetch", "{}"),
    ("import-vllm", "--model", "m/m", "--engine-version", "{}"),
]


@pytest.fixture
def call(run: Run, tmp_path: Path) -> Run:
    """A command of the table with a version in its place and a list to read."""
    listed = tmp_path / "list.txt"
    listed.write_text("--max-num-seqs=8\n", encoding="utf-8")
    return lambda words, version: run(
        *(str(listed) if word == "LIST" else word.format(version) for word in words)
    )


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_is_no_version_ends_with_one_text_everywhere(call: Run, words: tuple[str, ...]) -> None:
    assert call(words, "latest") == (
        2,
        "",
        "error: 'latest' is not a vLLM version; known are 0.12.0, 0.15.1; "
        "`harness params fetch VERSION` asks the API for another\n",
    )


@pytest.mark.parametrize("words", [words for words in COMMANDS if "fetch" not in words], ids=" ".join)
def test_a_leading_v_changes_nothing(call: Run, words: tuple[str, ...]) -> None:
    plain = call(words, "0.15.1")
    assert plain[0] == 0
    assert call(words, "v0.15.1") == plain


@pytest.mark.parametrize("words", [words for words in COMMANDS if "fetch" not in words], ids=" ".join)
def test_a_beginning_of_one_version_is_taken_for_it_and_that_is_said(
    call: Run, words: tuple[str, ...]
) -> None:
    code, out, err = call(words, "0.15.1")
    assert call(words, "0.15") == (code, out, f"note: vLLM 0.15 taken for 0.15.1\n{err}")


@pytest.mark.parametrize(
    "words",
    [words for words in COMMANDS if words[0] in ("migrate", "params") and "fetch" not in words],
    ids=" ".join,
)
def test_an_unknown_version_is_told_with_the_known_ones(call: Run, words: tuple[str, ...]) -> None:
    assert call(words, "0.16.0") == (
        2,
        "",
        "error: vLLM 0.16.0 is not known here; known are 0.12.0, 0.15.1; "
        "`harness params fetch 0.16.0` asks the API for its parameters\n",
    )


def test_lint_goes_on_with_the_nearest_version_and_says_the_same(call: Run) -> None:
    code, out, _ = call(COMMANDS[0], "0.16.0")
    assert code == 0
    assert "vLLM 0.16.0 is not known here; checked as vLLM 0.15.1" in out
    assert "known are 0.12.0, 0.15.1; `harness params fetch 0.16.0` asks the API for its parameters" in out
