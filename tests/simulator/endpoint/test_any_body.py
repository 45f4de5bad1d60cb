"""Whatever body a client sends is read or refused with a status and a body of the engine's kinds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.simulator.completion_request import Asked, Limits, read
from harness.simulator.engine_refusal import Refused
from harness.simulator.request_fields import ChatFields, CompletionFields

NAMES = sorted(set(ChatFields.model_fields) | set(CompletionFields.model_fields))
scalars = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats()
    | st.sampled_from(["", "tiny", "x", "5", "auto", "\x00", "\ud800", "é" * 20])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "own"])}, optional={"content": values}),
    max_size=3,
)
# Mostly a prompt or messages that will do, so that what comes after them is reached.
bodies = st.builds(
    lambda prompt, others: prompt | others,
    st.sampled_from([{"prompt": "a b"}, {"prompt": [5, 6]}, {}])
    | st.fixed_dictionaries({"messages": messages}),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=4),
)
raw = st.binary(max_size=30) | st.just(b"[" * 100_000) | bodies.map(lambda body: json.dumps(body).encode())


def outcome(content: bytes, *, chat: bool, version: str) -> Asked | Refused:
    limits = Limits(version, ("tiny",), 4096)
    try:
        return read(content, chat=chat, content_type="application/json", limits=limits)
    except Refused as refusal:
        return refusal


@pytest.mark.parametrize("version", ["0.12.0", "0.15.1"])
@settings(deadline=None, max_examples=150)
@given(content=raw, chat=st.booleans())
def test_any_body_is_read_or_refused(content: bytes, chat: bool, version: str) -> None:
    found = outcome(content, chat=chat, version=version)
    if isinstance(found, Refused):
        assert found.status in (400, 404, 500, 501)
        check_body(found.body)
    else:
        assert found.chat is chat
        assert found.max_tokens >= 1
        assert all(0 < len(prompt) <= 4096 for prompt in found.prompts)


def check_body(body: dict[str, Any] | str) -> None:
    if isinstance(body, str) or "detail" in body:
        return
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert isinstance(body["error"]["message"], str)


@settings(deadline=None, max_examples=100)
@given(
    content=st.fixed_dictionaries({
        "prompt": st.just("a b") | st.lists(st.integers(0, 300), min_size=1, max_size=20),
        "max_tokens": st.integers(1, 50), "n": st.integers(1, 3), "temperature": st.floats(0.5, 2),
        "stream": st.just(True), "ignore_eos": st.booleans(), "seed": st.none() | st.integers(0, 100),
    })
)  # fmt: skip
def test_a_body_within_its_bounds_is_read_as_it_is(content: dict[str, Any]) -> None:
    asked = outcome(json.dumps(content).encode(), chat=False, version="0.15.1")
    assert isinstance(asked, Asked)
    for name in ("max_tokens", "n", "stream", "ignore_eos", "seed"):
        assert getattr(asked, name) == content[name]
