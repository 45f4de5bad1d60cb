"""The simulator's tokenizer and its text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.simulator.tokens import block_hashes, encode, encode_chat, generate, natural_length


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("the water of many", 4),
        ("benchmark", 2),  # bench, mark
        ("12345", 2),  # 123, 45
        ("a, b", 3),  # a , " b"
        ("é", 2),
        ("  ", 1),
    ],
)
def test_texts_split_into_pieces(text: str, count: int) -> None:
    assert len(encode(text)) == count


@given(st.text(max_size=200))
def test_every_text_has_tokens_and_the_same_ones_each_time(text: str) -> None:
    ids = encode(text)
    assert ids == encode(text)
    assert bool(ids) == bool(text)
    assert all(0 < number < 32_000 for number in ids)


@given(st.integers(1, 400), st.text(max_size=8))
def test_generated_text_counts_the_same_when_sent_back(count: int, seed: str) -> None:
    texts, ids = generate(count, seed)
    assert len(texts) == len(ids) == count
    assert encode("".join(texts)) == ids


def test_some_tokens_add_no_text_of_their_own() -> None:
    texts, _ = generate(5000, "seed")
    assert 50 < texts.count("") < 150


def test_a_chat_costs_its_template_once_and_marks_per_message() -> None:
    plain = len(encode("hello there"))
    one = len(encode_chat([{"role": "user", "content": "hello there"}]))
    two = len(encode_chat([{"role": "user", "content": "hello there"}] * 2))
    assert one - plain == 8  # a start, four marks, three to open the answer
    assert two - one == plain + 4


def test_parts_of_a_message_count_as_its_text() -> None:
    parts = [{"type": "text", "text": "hello "}, {"type": "text", "text": "there"}]
    assert encode_chat([{"role": "user", "content": parts}]) == encode_chat(
        [{"role": "user", "content": "hello there"}]
    )


def test_blocks_are_named_by_all_that_precedes_them_and_by_the_salt() -> None:
    ids = list(range(64))
    names = block_hashes(ids, block_size=16)
    assert len(names) == 4
    changed = block_hashes([99, *ids[1:]], block_size=16)
    assert not set(names) & set(changed)
    assert block_hashes(ids[:40], block_size=16) == names[:2]
    assert not set(names) & set(block_hashes(ids, block_size=16, salt="x"))


def test_answers_end_by_themselves_around_two_hundred_tokens() -> None:
    lengths = sorted(natural_length(f"s{i}", least=0) for i in range(400))
    assert 150 < lengths[200] < 260
    assert min(natural_length(f"s{i}", least=500) for i in range(50)) == 501
