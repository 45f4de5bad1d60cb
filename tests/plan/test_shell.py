"""Words of shell text, against the shell's own reading of the same text and by hand."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.plan.commands import split_fields, whole_text
from harness.plan.shell import split_commands
from harness.plan.spans import Source


def words(text: str) -> list[list[str]]:
    return [[word.text for word in command] for command in split_commands(whole_text(Source.of("x", text)))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b\nc", [["a", "b"], ["c"]]),
        ("a \\\n  b # c d\n", [["a", "b"]]),
        ("a 'b c'\"d $\"e\\ f", [["a", "b cd $e f"]]),
        ("a#b #c", [["a#b"]]),
        ("a && b || c; d | e & f", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]),
        ("a >f 2>&1 <g b", [["a", "b"]]),
        ("a2>f", [["a2"]]),
        ("a $(b c) `d e` ${f g}", [["a", "$(b c)", "`d e`", "${f g}"]]),
        ('a "\\"\\$\\x"', [["a", '"$\\x']]),
        ("a 'open", [["a", "open"]]),
        ("a '' b", [["a", "", "b"]]),
        ("", []),
    ],
)
def test_words_are_what_the_shell_would_pass(text: str, expected: list[list[str]]) -> None:
    assert words(text) == expected


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=("Cs",))), min_size=1))
def test_quoted_words_come_back_as_they_were(given_words: list[str]) -> None:
    text = " ".join(map(shlex.quote, given_words))
    assert words(text) == [given_words]


@given(st.text(max_size=60))
def test_any_text_is_split_and_every_word_stands_in_it(text: str) -> None:
    source = Source.of("x", text)
    for command in split_commands(whole_text(source)):
        for word in command:
            assert word.spans is not None
            assert [text[slice(*span)] for span in word.spans] == list(word.text)


def test_variables_make_a_word_opaque_and_single_quotes_do_not() -> None:
    (command,) = split_commands(whole_text(Source.of("x", "a $b '$c' \"$d\" \\$e `f`")))
    assert [word.is_opaque for word in command] == [False, True, False, True, False, True]


def test_exo_splits_on_white_space_and_knows_no_quotes() -> None:
    # Go's strings.Fields: quotes are ordinary characters, any Unicode space separates.
    value = whole_text(Source.of("x", '--a={"b": "c d"}\u00a0--e\t\'f g\''))
    assert [field.text for field in split_fields(value)] == ['--a={"b":', '"c', 'd"}', "--e", "'f", "g'"]
