"""The simulated endpoint over real HTTP, against what real vLLM servers were recorded to answer."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx
import pytest

from harness.simulator.tokens import encode, encode_chat

MODEL = "Qwen/Qwen2.5-0.5B-Instruct"
KEY = {"authorization": "Bearer sekret"}
# The fixtures give the class of conftest.py, which tests cannot import.
Served = Any


CHAT = [{"role": "user", "content": "the water of many"}]


def test_the_key_guards_only_paths_under_v1(new: Served) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "sekret"}):
        answer = httpx.get(f"{new.url}/v1/models", headers=headers)
        assert (answer.status_code, answer.text) == (401, '{"error":"Unauthorized"}')
    assert httpx.get(f"{new.url}/v1/models", headers={"authorization": "bearer sekret"}).status_code == 200
    for path in ("/health", "/ping", "/version", "/load", "/metrics"):
        assert httpx.get(new.url + path).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/version", 200, '{"version":"0.15.1"}'),
        ("GET", "/health", 200, ""),
        ("GET", "/load", 200, '{"server_load":0}'),
        ("GET", "/", 404, '{"detail":"Not Found"}'),
        ("GET", "/v1/models/x", 404, '{"detail":"Not Found"}'),
        ("GET", "/v1/completions", 405, '{"detail":"Method Not Allowed"}'),
        ("OPTIONS", "/v1/completions", 405, '{"detail":"Method Not Allowed"}'),
    ],
)
def test_plain_routes_answer_as_recorded(new: Served, method: str, path: str, status: int, body: str) -> None:
    answer = httpx.request(method, new.url + path, headers=KEY)
    assert (answer.status_code, answer.text) == (status, body)


def test_models_names_the_model_and_its_length(new: Served) -> None:
    (model,) = httpx.get(f"{new.url}/v1/models", headers=KEY).json()["data"]
    assert (model["id"], model["owned_by"], model["max_model_len"]) == (MODEL, "vllm", 4096)


def anonymous(text: str) -> str:
    """A recorded or received body without what differs each time: ids, times, words."""
    text = re.sub(r'"(chatcmpl|cmpl)-[0-9a-f]+"', '"ID"', text)
    text = re.sub(r'"created":\d+', '"created":0', text)
    text = text.replace(MODEL, "tiny")
    return re.sub(r'"(text|content)":"[^"]+"', r'"\1":"WORD"', text)


RECORDED_CHAT_STREAM = (
    'data: {"id":"ID","object":"chat.completion.chunk","created":0,"model":"tiny","choices":[{"index":0,"delta":'
    '{"role":"assistant","content":"","reasoning_content":null},"logprobs":null,"finish_reason":null}],'
    '"prompt_token_ids":null}\n\n'
    'data: {"id":"ID","object":"chat.completion.chunk","created":0,"model":"tiny","choices":[{"index":0,"delta":'
    '{"content":"WORD","reasoning_content":null},"logprobs":null,"finish_reason":null,"token_ids":null}]}\n\n'
    'data: {"id":"ID","object":"chat.completion.chunk","created":0,"model":"tiny","choices":[{"index":0,"delta":'
    '{"content":"WORD","reasoning_content":null},"logprobs":null,"finish_reason":"length","stop_reason":null,'
    '"token_ids":null}]}\n\n'
    'data: {"id":"ID","object":"chat.completion.chunk","created":0,"model":"tiny","choices":[],"usage":'
    '{"prompt_tokens":PROMPT,"total_tokens":TOTAL,"completion_tokens":2}}\n\n'
    "data: [DONE]\n\n"
)
RECORDED_COMPLETION_STREAM = (
    'data: {"id":"ID","object":"text_completion","created":0,"model":"tiny","choices":[{"index":0,"text":"WORD",'
    '"logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":null}],'
    '"usage":{"prompt_tokens":4,"total_tokens":5,"completion_tokens":1,"prompt_tokens_details":null}}\n\n'
    'data: {"id":"ID","object":"text_completion","created":0,"model":"tiny","choices":[{"index":0,"text":"WORD",'
    '"logprobs":null,"finish_reason":"length","stop_reason":null,"prompt_token_ids":null,"token_ids":null}],'
    '"usage":{"prompt_tokens":4,"total_tokens":6,"completion_tokens":2,"prompt_tokens_details":null}}\n\n'
    'data: {"id":"ID","object":"text_completion","created":0,"model":"tiny","choices":[],"usage":'
    '{"prompt_tokens":4,"total_tokens":6,"completion_tokens":2}}\n\n'
    "data: [DONE]\n\n"
)


def test_a_chat_stream_has_the_recorded_bytes(new: Served) -> None:
    answer = new.post("chat/completions", messages=CHAT, max_tokens=2, stream=True,
                      stream_options={"include_usage": True}, seed=1)  # fmt: skip
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    prompt = len(encode_chat(CHAT))
    expected = RECORDED_CHAT_STREAM.replace("PROMPT", str(prompt)).replace("TOTAL", str(prompt + 2))
    assert anonymous(answer.text) == expected


def test_a_completion_stream_with_running_usage_has_the_recorded_bytes(new: Served) -> None:
    answer = new.post("completions", prompt="the water of many", max_tokens=2, stream=True, seed=1,
                      stream_options={"include_usage": True, "continuous_usage_stats": True})  # fmt: skip
    assert anonymous(answer.text) == RECORDED_COMPLETION_STREAM


def test_documents_have_the_recorded_keys(new: Served) -> None:
    chat = new.post("chat/completions", messages=CHAT, max_tokens=3, model=MODEL).json()
    assert list(chat) == [
        "id", "object", "created", "model", "choices", "service_tier", "system_fingerprint", "usage",
        "prompt_logprobs", "prompt_token_ids", "kv_transfer_params",
    ]  # fmt: skip
    assert list(chat["choices"][0]) == [
        "index",
        "message",
        "logprobs",
        "finish_reason",
        "stop_reason",
        "token_ids",
    ]
    text = new.post("completions", prompt="the water", max_tokens=3, model=MODEL).json()
    assert list(text) == [
        "id", "object", "created", "model", "choices", "service_tier", "system_fingerprint", "usage",
        "kv_transfer_params",
    ]  # fmt: skip
    assert text["usage"]["completion_tokens"] == 3


def test_tokens_are_counted_alike_everywhere(new: Served) -> None:
    events = new.events("completions", prompt="a b c", max_tokens=200, return_token_ids=True,
                        stream_options={"include_usage": True})  # fmt: skip
    shown = [choice for event in events for choice in event["choices"]]
    ids = [number for choice in shown for number in choice["token_ids"]]
    text = "".join(choice["text"] for choice in shown)
    assert len(ids) == 200
    assert events[-1]["usage"]["completion_tokens"] == 200
    assert encode(text) == ids
    assert shown[0]["prompt_token_ids"] == encode("a b c")


def test_every_choice_of_every_prompt_is_told_apart_by_its_index(new: Served) -> None:
    events = new.events("completions", prompt=["one", "two"], n=2, max_tokens=3)
    indices = {choice["index"] for event in events for choice in event["choices"]}
    assert indices == {0, 1, 2, 3}
    roles = [e for e in new.events("chat/completions", messages=CHAT, n=2, max_tokens=3)
             if e["choices"] and "role" in e["choices"][0]["delta"]]  # fmt: skip
    assert len(roles) == 2


def test_without_ignore_eos_an_answer_may_end_by_itself_but_not_before_min_tokens(new: Served) -> None:
    answers = [
        new.post(
            "completions", prompt="a", max_tokens=2000, min_tokens=300, ignore_eos=False, seed=seed
        ).json()
        for seed in range(3)
    ]
    assert {answer["choices"][0]["finish_reason"] for answer in answers} == {"stop"}
    assert all(300 < answer["usage"]["completion_tokens"] < 2000 for answer in answers)


def test_a_stop_text_ends_the_answer_before_it(new: Served) -> None:
    whole = new.post("completions", prompt="a", max_tokens=30, seed=5).json()["choices"][0]["text"]
    stop = whole.split()[7]
    cut = new.post("completions", prompt="a", max_tokens=30, seed=5, stop=[stop]).json()["choices"][0]
    assert (cut["finish_reason"], cut["stop_reason"]) == ("stop", stop)
    assert cut["text"] == whole[: whole.index(stop)]


def cached(served: Served, **body: Any) -> int:
    details = served.post("completions", max_tokens=1, **body).json()["usage"]["prompt_tokens_details"]
    return 0 if details is None else int(details["cached_tokens"])


def test_a_repeated_prompt_is_found_cached_unless_its_salt_differs(new: Served) -> None:
    prompt = list(
        range(100, 164)
    )  # 64 tokens: three of four full blocks can be hit, the last is computed again
    assert cached(new, prompt=prompt) == 0
    assert cached(new, prompt=prompt) == 48
    assert cached(new, prompt=prompt, cache_salt="x") == 0
    assert cached(new, prompt=prompt, cache_salt="x") == 48


def test_the_servers_counters_grow_by_what_was_sent(new: Served) -> None:
    before = {name: new.metric(name) for name in ("prompt_tokens_total", "generation_tokens_total")}
    for _ in range(3):
        new.post("completions", prompt=list(range(20)), max_tokens=7)
    assert new.metric("prompt_tokens_total") - before["prompt_tokens_total"] == 60
    assert new.metric("generation_tokens_total") - before["generation_tokens_total"] == 21


def test_a_client_that_goes_away_frees_its_place(new: Served) -> None:
    body = {"prompt": "a", "max_tokens": 4000, "ignore_eos": True, "stream": True}
    with httpx.stream("POST", f"{new.url}/v1/completions", json=body, headers=KEY, timeout=20) as answer:
        parts = answer.iter_bytes()
        next(parts)
        assert new.metric("num_requests_running") == 1
    deadline = time.monotonic() + 5
    while new.metric("num_requests_running") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert new.metric("num_requests_running") == 0
    assert new.metric("kv_cache_usage_perc") == 0


RECORDED_ERRORS = [
    ("completions", {"model": "nope", "prompt": "a"}, 404,
     "The model `nope` does not exist.", "NotFoundError", "model", False),
    ("completions", {"prompt": [5] * 5000, "max_tokens": 6}, 400,
     "This model's maximum context length is 4090 tokens. However, your request has 5000 input tokens. Please reduce "
     "the length of the input messages.", "BadRequestError", "input_tokens", False),
    ("completions", {"prompt": [5] * 4000, "max_tokens": 200}, 400,
     "This model's maximum context length is 3896 tokens. However, your request has 4000 input tokens. Please reduce "
     "the length of the input messages.", "BadRequestError", "input_tokens", False),
    ("completions", {"prompt": "a", "max_tokens": 0}, 400,
     "max_tokens must be at least 1, got 0.", "BadRequestError", "max_tokens", False),
    ("completions", {"prompt": "a", "temperature": -1}, 400,
     "temperature must be non-negative, got -1.0.", "BadRequestError", "temperature", False),
    ("completions", {"prompt": "a", "top_p": 2}, 400,
     "top_p must be in (0, 1], got 2.0.", "BadRequestError", "top_p", False),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "message", "kind", "param", "none"), RECORDED_ERRORS)
def test_refusals_are_worded_as_by_each_version(
    new: Served, old: Served, path: str, body: dict[str, Any], status: int, message: str, kind: str, param: str,
    none: bool,
) -> None:  # fmt: skip
    earlier = old.post(path, **body)
    assert earlier.status_code == status
    assert earlier.json() == {"error": {"message": message, "type": kind, "param": None, "code": status}}
    later = new.post(path, **body).json()["error"]
    assert later["param"] == param
    assert later["message"].startswith(message)
    if status == 400:
        assert later["message"].removeprefix(message).startswith(f" (parameter={param}, value=")


def test_a_chat_too_long_for_the_context_is_refused(new: Served, old: Served) -> None:
    words = "word " * 2999 + "word"
    prompt = len(encode_chat([{"role": "user", "content": words}]))
    message = (
        f"'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum context length is 4096 "
        f"tokens and your request has {prompt} input tokens (2000 > 4096 - {prompt})."
    )
    body = {"messages": [{"role": "user", "content": words}], "max_tokens": 2000}
    assert old.post("chat/completions", **body).json()["error"]["message"] == message + " None"
    assert new.post("chat/completions", **body).json()["error"]["message"] == (
        message + " (parameter=max_tokens, value=2000)"
    )


@pytest.mark.parametrize(
    ("raw", "status", "start"),
    [
        (b"", 400, "[{'type': 'missing', 'loc': ('body',), 'msg': 'Field required', 'input': None}]"),
        (b'{"model": "tiny",}', 400, "[{'type': 'json_invalid', 'loc': ('body', "),
        (b'{"stream_options": {"include_usage": true}, "prompt": "a"}', 400, "[{'type': 'value_error'"),
        (b'{"prompt": ""}', 400, "[{'type': 'value_error'"),
        (b'{"prompt": []}', 400, "please provide at least one prompt"),
        (
            b'{"prompt": "a", "max_tokens": "x"}',
            400,
            "[{'type': 'int_parsing', 'loc': ('body', 'max_tokens')",
        ),
        (b'{"prompt": [999999]}', 400, "Token id 999999 is out of vocabulary"),
    ],
)
def test_bodies_that_are_no_request_are_refused(new: Served, raw: bytes, status: int, start: str) -> None:
    answer = httpx.post(
        f"{new.url}/v1/completions", content=raw, headers={**KEY, "content-type": "application/json"}
    )
    assert answer.status_code == status
    assert answer.json()["error"]["message"].startswith(start)


def test_a_json_list_is_an_internal_error(new: Served) -> None:
    answer = httpx.post(f"{new.url}/v1/completions", json=[1], headers=KEY)
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")


def test_metrics_carry_the_names_of_each_version(new: Served, old: Served) -> None:
    pages = {served.spec.engine_version: httpx.get(f"{served.url}/metrics").text for served in (new, old)}
    families = {
        version: set(re.findall(r"^# TYPE (vllm:\S+) ", page, re.M)) for version, page in pages.items()
    }
    assert len(families["0.12.0"]) > 20
    assert {name.removesuffix("_created") for name in families["0.15.1"] - families["0.12.0"]} == {
        "vllm:request_prefill_kv_computed_tokens"
    }


def test_tokenize_counts_as_usage_does(new: Served) -> None:
    answer = httpx.post(f"{new.url}/tokenize", json={"prompt": "the water of many"}).json()
    assert (answer["count"], answer["max_model_len"], answer["token_strs"]) == (4, 4096, None)
