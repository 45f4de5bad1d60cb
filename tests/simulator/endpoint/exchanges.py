"""What is asked of a real engine and of the simulated one alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

KEY = "sekret"
LEFT_OUT = "(left out)"
MODEL = "tiny"
MAX_MODEL_LEN = 4096
# Further arguments of the engine, by the name of the set-up.
SETUPS: dict[str, dict[str, Any]] = {
    "plain": {"block_size": 16},
    "options": {
        "enable_prompt_tokens_details": True,
        "enable_force_include_usage": True,
        "enable_server_load_tracking": True,
        "enable_request_id_headers": True,
        "stream_interval": 5,
        "block_size": 16,
    },
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request. ``body`` is sent as JSON without what is LEFT_OUT, ``raw`` as it is.

    The length of a ``varying`` answer is not determined. Of a ``status_only`` one nothing else is looked at.
    """

    name: str
    path: str = "/v1/completions"
    method: str = "POST"
    body: Any = None
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    key: str | None = f"Bearer {KEY}"
    setup: str = "plain"
    varying: bool = False
    status_only: bool = False


def _texts() -> Iterator[Exchange]:
    """Completions that are answered with 200."""
    ids = list(range(200, 220))
    usage = {"stream_options": {"include_usage": True}}
    running = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}
    for name, more in {
        "whole": {},
        "whole, ids": {"return_token_ids": True},
        "whole, n": {"n": 2},
        "whole, one token": {"max_tokens": 1},
        "whole, default length": {"max_tokens": LEFT_OUT},
        "whole, min_tokens": {"ignore_eos": False, "min_tokens": 6},
        "whole, salted": {"cache_salt": "x"},
        "whole, several prompts": {"prompt": [ids, ids[:5]]},
        "whole, ids of several prompts": {"prompt": [ids, ids[:5]], "n": 2, "return_token_ids": True},
        "whole, a text": {"prompt": "the water of many"},
        "whole, several texts": {"prompt": ["the water", "of many people"]},
        "whole, length as text": {"max_tokens": "5"},
        "whole, length as a fraction": {"max_tokens": 5.0},
        "whole, no model": {"model": LEFT_OUT},
        "whole, empty model": {"model": ""},
        "whole, unknown field": {"bogus": 1, "best_of": 2},
        "whole, sampling": {
            "temperature": 0.5, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "seed": 7, "frequency_penalty": 1.0,
            "presence_penalty": 1, "repetition_penalty": 1.1, "user": "x", "logit_bias": {"250": 1},
        },
        "whole, stop of nothing": {"stop": []},
        "whole, own id": {"request_id": "mine"},
        "whole, fills the context": {"prompt": [300] * 4090},
        "stream": {"stream": True},
        "stream, usage": {"stream": True, **usage},
        "stream, no usage": {"stream": True, "stream_options": {"include_usage": False}},
        "stream, default options": {"stream": True, "stream_options": {}},
        "stream, running usage": {"stream": True, **running},
        "stream, running usage alone": {"stream": True, "stream_options": {"continuous_usage_stats": True}},
        "stream, running usage without usage": {
            "stream": True, "stream_options": {"include_usage": False, "continuous_usage_stats": True},
        },
        "stream, ids": {"stream": True, "return_token_ids": True, **usage},
        "stream, ids and running usage": {"stream": True, "return_token_ids": True, **running},
        "stream, one token": {"stream": True, "max_tokens": 1, **usage},
        "stream, n": {"stream": True, "n": 2, **running},
        "stream, several prompts": {"stream": True, "prompt": [ids, ids[:5]], **running},
        "stream, ids of several prompts": {
            "stream": True, "prompt": [ids, ids[:5]], "n": 2, "return_token_ids": True, **usage,
        },
        "stream, a text": {"stream": True, "prompt": "the water of many", **usage},
    }.items():  # fmt: skip
        body = {"model": MODEL, "prompt": ids, "max_tokens": 6, "ignore_eos": True, **more}
        yield Exchange(f"completions: {name}", body=body)
    stop = {"stop": ["a", "e", "i", "o", "u"], "min_tokens": 5, "max_tokens": 400}
    for name, more in {"whole": {}, "stream": {"stream": True, **usage}}.items():
        body = {"model": MODEL, "prompt": ids, "ignore_eos": True, **stop, **more}
        yield Exchange(f"completions: {name}, stopped by a text", body=body, varying=True)
    yield Exchange(
        "completions: request id", body={"prompt": ids, "max_tokens": 1}, headers={"x-request-id": "abc"}
    )


def _chats() -> Iterator[Exchange]:
    """Chats that are answered with 200."""
    usage = {"stream_options": {"include_usage": True}}
    running = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}
    parts = [{"type": "text", "text": "the water"}, {"type": "text", "text": "of many"}]
    for name, more in {
        "whole": {},
        "whole, ids": {"return_token_ids": True},
        "whole, n": {"n": 2},
        "whole, max_completion_tokens": {"max_completion_tokens": 3},
        "whole, no model": {"model": LEFT_OUT},
        "whole, parts": {"messages": [{"role": "user", "content": parts}]},
        "whole, conversation": {
            "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "the water"},
                         {"role": "assistant", "content": "of many"}, {"role": "user", "content": "people"}],
        },
        "whole, role of its own": {"messages": [{"role": "bogus", "content": "x"}]},
        "whole, no content": {"messages": [{"role": "user"}]},
        "whole, salted": {"cache_salt": "x"},
        "whole, tools left alone": {
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}], "tool_choice": "none",
        },
        "whole, text format": {"response_format": {"type": "text"}},
        "stream": {"stream": True},
        "stream, usage": {"stream": True, **usage},
        "stream, running usage": {"stream": True, **running},
        "stream, ids": {"stream": True, "return_token_ids": True, **usage},
        "stream, ids and running usage": {"stream": True, "return_token_ids": True, **running},
        "stream, one token": {"stream": True, "max_tokens": 1, **usage},
        "stream, n": {"stream": True, "n": 2, **running},
        "stream, n and ids": {"stream": True, "n": 2, "return_token_ids": True, **usage},
    }.items():  # fmt: skip
        body = {"model": MODEL, "messages": CHAT, "max_tokens": 6, "ignore_eos": True, **more}
        yield Exchange(f"chat: {name}", "/v1/chat/completions", body=body)
    stop = {"stop": ["a", "e", "i", "o", "u"], "min_tokens": 5, "max_tokens": 400}
    for name, more in {"whole": {}, "stream": {"stream": True, **usage}}.items():
        body = {"model": MODEL, "messages": CHAT, "ignore_eos": True, **stop, **more}
        yield Exchange(f"chat: {name}, stopped by a text", "/v1/chat/completions", body=body, varying=True)


CHAT = [{"role": "user", "content": "the water of many"}]


def _refused_texts() -> Iterator[Exchange]:
    for name, more in {
        "unknown model": {"model": "nope"},
        "unknown model, stream": {"model": "nope", "stream": True},
        "prompt too long": {"prompt": [300] * 5000},
        "prompt as long as the context": {"prompt": [300] * 4096},
        "prompt and answer too long": {"prompt": [300] * 4000, "max_tokens": 200},
        "prompt too long, stream": {"prompt": [300] * 5000, "stream": True},
        "answer longer than the context": {"max_tokens": 5000},
        "no prompt": {"prompt": LEFT_OUT},
        "prompt is null": {"prompt": None},
        "empty prompt": {"prompt": ""},
        "empty list": {"prompt": []},
        "list of nothing": {"prompt": [[]]},
        "list of an empty text": {"prompt": [""]},
        "mixed list": {"prompt": ["a", 1]},
        "prompt is a number": {"prompt": 5},
        "prompt is an object": {"prompt": {"a": 1}},
        "token out of vocabulary": {"prompt": [999999]},
        "max_tokens 0": {"max_tokens": 0},
        "max_tokens below 0": {"max_tokens": -1},
        "max_tokens is a word": {"max_tokens": "x"},
        "max_tokens is a fraction": {"max_tokens": 1.5},
        "max_tokens is a list": {"max_tokens": [1]},
        "max_tokens is true": {"max_tokens": True},
        "min_tokens beyond max_tokens": {"min_tokens": 10},
        "min_tokens below 0": {"min_tokens": -1},
        "min_tokens is null": {"min_tokens": None},
        "n 0": {"n": 0},
        "n is null": {"n": None},
        "n is a word": {"n": "two"},
        "n greedy": {"n": 2, "temperature": 0},
        "temperature below 0": {"temperature": -1},
        "temperature above 2": {"temperature": 3},
        "temperature is a word": {"temperature": "hot"},
        "top_p 0": {"top_p": 0},
        "top_p 2": {"top_p": 2},
        "top_k below -1": {"top_k": -2},
        "top_k is a fraction": {"top_k": 1.5},
        "min_p 2": {"min_p": 2},
        "presence_penalty 3": {"presence_penalty": 3},
        "frequency_penalty -3": {"frequency_penalty": -3},
        "repetition_penalty 0": {"repetition_penalty": 0},
        "seed too large": {"seed": 2**70},
        "seed too small": {"seed": -(2**70)},
        "stop is a number": {"stop": 5},
        "empty stop": {"stop": [""]},
        "stream is a word": {"stream": "maybe"},
        "ignore_eos is a word": {"ignore_eos": "maybe"},
        "ignore_eos is null": {"ignore_eos": None},
        "stream_options without stream": {"stream_options": {"include_usage": True}},
        "stream_options is a word": {"stream": True, "stream_options": "all"},
        "include_usage is a word": {"stream": True, "stream_options": {"include_usage": "maybe"}},
        "empty salt": {"cache_salt": ""},
        "salt is a number": {"cache_salt": 5},
        "return_token_ids is a word": {"return_token_ids": "maybe"},
        "suffix": {"suffix": "x"},
        "model is a number": {"model": 5},
        "two mistakes": {"max_tokens": "x", "temperature": "hot"},
        "priority": {"priority": 3},
        "truncation below -1": {"truncate_prompt_tokens": -2},
        "unknown logits processor": {"logits_processors": ["x.y"]},
        "embedded prompt": {"prompt": LEFT_OUT, "prompt_embeds": "AAAA"},
        "logprobs 100": {"logprobs": 100},
        "logprobs below 0": {"logprobs": -1},
    }.items():
        body = {"model": MODEL, "prompt": list(range(200, 220)), "max_tokens": 6, "ignore_eos": True, **more}
        yield Exchange(f"refused completions: {name}", body=body)
    json_type = {"content-type": "application/json"}
    for name, raw in {
        "no JSON": b'{"model": "tiny", ',
        "trailing comma": b'{"model": "tiny",}',
        "half a JSON": b'{"model": "ti',
        "no body": b"",
        "a word": b"hello",
        "a list": b"[]",
        "a text": b'"hello"',
        "a number": b"5",
        "null": b"null",
        "bytes that are no text": b'{"model": "\xff"}',
        "an empty object": b"{}",
    }.items():
        yield Exchange(f"refused body: {name}", raw=raw, headers=json_type)
    good = json.dumps({"model": MODEL, "prompt": [300], "max_tokens": 1}).encode()
    for name, kind in {
        "as text": "text/plain", "as a form": "application/x-www-form-urlencoded", "as XML": "application/xml",
        "with a charset": "application/json; charset=utf-8", "in capitals": "Application/JSON",
    }.items():  # fmt: skip
        yield Exchange(f"body: {name}", raw=good, headers={"content-type": kind})
    yield Exchange("body: of no type", raw=good)


def _refused_chats() -> Iterator[Exchange]:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    for name, more in {
        "unknown model": {"model": "nope"},
        "no messages": {"messages": LEFT_OUT},
        "messages are null": {"messages": None},
        "empty messages": {"messages": []},
        "messages are a text": {"messages": "hello"},
        "message is a text": {"messages": ["hello"]},
        "message without role": {"messages": [{"content": "x"}]},
        "content is a number": {"messages": [{"role": "user", "content": 5}]},
        "prompt too long": {"messages": [{"role": "user", "content": "water " * 5000}]},
        "prompt too long, stream": {
            "stream": True,
            "messages": [{"role": "user", "content": "water " * 5000}],
        },
        "answer too long": {"max_tokens": 5000},
        "max_completion_tokens too long": {"max_completion_tokens": 5000},
        "max_tokens 0": {"max_tokens": 0},
        "max_completion_tokens 0": {"max_completion_tokens": 0},
        "max_completion_tokens is a word": {"max_completion_tokens": "x"},
        "min_tokens beyond max_tokens": {"min_tokens": 10},
        "n 0": {"n": 0},
        "temperature below 0": {"temperature": -1},
        "stream_options without stream": {"stream_options": {"include_usage": True}},
        "empty salt": {"cache_salt": ""},
        "tools without a parser": {"tools": tools, "tool_choice": "auto"},
        "tools without a choice": {"tools": tools},
        "a choice without tools": {"tool_choice": "auto"},
        "tool_choice is a word": {"tools": tools, "tool_choice": "maybe"},
        "top_logprobs without logprobs": {"top_logprobs": 2},
        "format is a word": {"response_format": {"type": "bogus"}},
        "reasoning_effort is a word": {"reasoning_effort": "maybe"},
        "template of its own": {"chat_template": "x"},
        "continues what it also opens": {"continue_final_message": True, "add_generation_prompt": True},
    }.items():
        body = {"model": MODEL, "messages": CHAT, "max_tokens": 6, "ignore_eos": True, **more}
        # What is said of these lists every kind of message or format that the engine knows.
        long = name in (
            "message is a text",
            "message without role",
            "content is a number",
            "format is a word",
        )
        yield Exchange(f"refused chat: {name}", "/v1/chat/completions", body=body, status_only=long)


def _routes() -> Iterator[Exchange]:
    cors = {"origin": "http://x", "access-control-request-method": "POST"}
    for name, method, path, headers, key in (
        ("models", "GET", "/v1/models", {}, "yes"),
        ("models, no key", "GET", "/v1/models", {}, None),
        ("models, wrong key", "GET", "/v1/models", {}, "Bearer nope"),
        ("models, bare key", "GET", "/v1/models", {}, KEY),
        ("models, other scheme", "GET", "/v1/models", {}, f"Basic {KEY}"),
        ("models, scheme in lower case", "GET", "/v1/models", {}, f"bearer {KEY}"),
        ("models, two spaces", "GET", "/v1/models", {}, f"Bearer  {KEY}"),
        ("models, slash at the end", "GET", "/v1/models/", {}, "yes"),
        ("models, query", "GET", "/v1/models?x=1", {}, "yes"),
        ("a model", "GET", "/v1/models/tiny", {}, "yes"),
        ("posted models", "POST", "/v1/models", {}, "yes"),
        ("health", "GET", "/health", {}, None),
        ("health, posted", "POST", "/health", {}, None),
        ("health, head", "HEAD", "/health", {}, None),
        ("ping", "GET", "/ping", {}, None),
        ("ping, posted", "POST", "/ping", {}, None),
        ("version", "GET", "/version", {}, None),
        ("load", "GET", "/load", {}, None),
        ("root", "GET", "/", {}, None),
        ("nothing", "GET", "/bogus", {}, None),
        ("nothing under v1", "GET", "/v1/bogus", {}, "yes"),
        ("nothing under v1, no key", "GET", "/v1/bogus", {}, None),
        ("v1 itself", "GET", "/v1", {}, "yes"),
        ("v1 of another name", "GET", "/v1x", {}, None),
        ("got completions", "GET", "/v1/completions", {}, "yes"),
        ("got chat", "GET", "/v1/chat/completions", {}, "yes"),
        ("put completions", "PUT", "/v1/completions", {}, "yes"),
        ("deleted chat", "DELETE", "/v1/chat/completions", {}, "yes"),
        ("completions, no key", "POST", "/v1/completions", {}, None),
        ("got completions, no key", "GET", "/v1/completions", {}, None),
        ("completions, slash at the end", "POST", "/v1/completions/", {}, "yes"),
        ("preflight", "OPTIONS", "/v1/completions", cors, None),
        ("preflight of nothing", "OPTIONS", "/bogus", cors, None),
        ("options", "OPTIONS", "/v1/completions", {}, None),
        ("options with a key", "OPTIONS", "/v1/completions", {}, "yes"),
        ("got tokenize", "GET", "/tokenize", {}, None),
    ):
        given = f"Bearer {KEY}" if key == "yes" else key
        yield Exchange(f"route: {name}", path, method, headers=dict(headers), key=given)
    for name, path in {"metrics": "/metrics", "metrics, slash at the end": "/metrics/"}.items():
        yield Exchange(f"route: {name}", path, "GET", key=None, status_only=True)
    for name, body in {
        "a text": {"prompt": "the water"}, "no model": {"model": LEFT_OUT, "prompt": "x"}, "nothing": {},
        "unknown model": {"model": "nope", "prompt": "x"}, "a chat": {"messages": CHAT},
    }.items():  # fmt: skip
        yield Exchange(
            f"tokenize: {name}", "/tokenize", body={"model": MODEL, **body}, key=None, varying=True,
            status_only=name == "nothing",
        )  # fmt: skip


def _options() -> Iterator[Exchange]:
    """Asked of an engine with more options on. What is cached depends on the order of the first three."""
    body = {"model": MODEL, "prompt": list(range(200, 264)), "max_tokens": 17, "ignore_eos": True}
    chat = {"model": MODEL, "messages": CHAT, "max_tokens": 17, "ignore_eos": True}
    running = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}
    for name, asked in {
        "not cached": body,
        "cached": body,
        "cached, salted": {**body, "cache_salt": "x"},
        "cached, stream": {**body, "stream": True},
        "cached, stream of usage": {**body, "stream": True, **running},
        "stream of ids": {**body, "stream": True, "return_token_ids": True},
        "stream of n": {**body, "stream": True, "return_token_ids": True, "n": 2},
        "stream without usage": {**body, "stream": True, "stream_options": {"include_usage": False}},
    }.items():
        yield Exchange(f"options: {name}", body=asked, setup="options")
    for name, asked in {
        "chat": chat,
        "chat stream": {**chat, "stream": True},
        "chat stream of usage": {**chat, "stream": True, **running},
        "chat stream of ids": {**chat, "stream": True, "return_token_ids": True},
    }.items():
        yield Exchange(f"options: {name}", "/v1/chat/completions", body=asked, setup="options")
    yield Exchange("options: load", "/load", "GET", key=None, setup="options")
    given = {"x-request-id": "abc"}
    yield Exchange("options: request id", "/health", "GET", headers=given, key=None, setup="options")
    yield Exchange(
        "options: request id, refused", "/v1/models", "GET", headers=given, key=None, setup="options"
    )


EXCHANGES: tuple[Exchange, ...] = (
    *_texts(), *_chats(), *_refused_texts(), *_refused_chats(), *_routes(), *_options(),
)  # fmt: skip
