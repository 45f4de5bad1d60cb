"""Answers of an engine and growth of its counters as plain JSON, without what differs each time.

Ids, times, generated words and the length of a prompt given as text are replaced by names: two engines have different
tokenizers. Of a stream the shapes of its events are kept, not how many there were of each: a busy engine puts several
tokens into one.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

import httpx

from tests.simulator.endpoint.exchanges import KEY, LEFT_OUT, MODEL, SETUPS, Exchange

HEADERS = ("content-type", "allow", "location", "x-request-id")
# Requests to see the counters grow by.
METERED: dict[str, dict[str, Any]] = {
    "whole": {"max_tokens": 7},
    "stream": {"max_tokens": 7, "stream": True},
    "one token": {"max_tokens": 1},
    "n": {"max_tokens": 5, "n": 2},
    "two prompts": {"prompt": [[320] * 10, [321] * 30], "max_tokens": 3},
    "stopped": {"max_tokens": 400, "stop": ["a", "e", "i", "o", "u"]},
}
LEAVES_AFTER = 3
# They are as of the engine's last step, which need not have seen the end of a request.
GAUGES = ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc")
# How many steps there were depends on whether sequences of one request share them.
STEPS = "vllm:iteration_tokens_total_count"
# What depends on the number of tokens generated.
LENGTHS = (
    "vllm:generation_tokens_total", "vllm:request_generation_tokens_sum", "vllm:iteration_tokens_total_sum",
    "vllm:request_max_num_generation_tokens_sum", "vllm:inter_token_latency_seconds_count",
)  # fmt: skip


def client_of(url: str) -> httpx.Client:
    """A client that opens a connection per request: a server may close an idle one just as it is used again."""
    return httpx.Client(
        base_url=url, timeout=120, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
    )


def ask(client: httpx.Client, exchange: Exchange) -> dict[str, Any]:
    """Send one request and describe its answer."""
    headers = dict(exchange.headers)
    if exchange.key is not None:
        headers["authorization"] = exchange.key
    content = exchange.raw
    if exchange.body is not None:
        content = json.dumps(
            {key: value for key, value in exchange.body.items() if value != LEFT_OUT}
        ).encode()
        headers["content-type"] = "application/json"
    answer = client.request(exchange.method, exchange.path, content=content, headers=headers)
    return _Describer(exchange).describe(answer)


class _Describer:
    """Tells an answer without what differs each time."""

    def __init__(self, exchange: Exchange) -> None:
        prompt = exchange.body.get("prompt") if isinstance(exchange.body, dict) else None
        # The length of a text is each tokenizer's own affair, and so are its ids.
        self.given_ids = isinstance(prompt, list) and not any(isinstance(part, str) for part in prompt)
        self.exchange = exchange
        self.streamed = False

    def describe(self, answer: httpx.Response) -> dict[str, Any]:
        """Status, the headers that matter, and the body's shape."""
        found: dict[str, Any] = {"status": answer.status_code}
        found |= {name: answer.headers[name] for name in HEADERS if name in answer.headers}
        if re.fullmatch("[0-9a-f]{32}", found.get("x-request-id", "")):
            found["x-request-id"] = "ID"
        if "location" in found:
            found["location"] = httpx.URL(found["location"]).path
        if self.exchange.status_only:
            return found
        if found.get("content-type", "").startswith("text/event-stream"):
            self.streamed = True
            return found | self._stream(answer.text)
        if found.get("content-type") == "application/json" and answer.content:
            return found | {"json": self._shape(answer.json())}
        return found | {"text": answer.text}

    def _stream(self, text: str) -> dict[str, Any]:
        """Events before any choice speaks, each choice's own, and those after; equal ones in a row are one.

        ``tokens`` are those of each choice, where the events tell.
        """
        lines = text.removesuffix("\n\n").split("\n\n")
        assert all(line.startswith("data: ") for line in lines), lines
        opening: list[Any] = []
        closing: list[Any] = []
        choices: dict[str, list[Any]] = {}
        counts: dict[str, list[int]] = {}
        for line in lines:
            event = line.removeprefix("data: ")
            event = event if event == "[DONE]" else json.loads(event)
            choice = event["choices"][0] if isinstance(event, dict) and event.get("choices") else None
            if choice is None:
                closing.append(self._shape(event))
                continue
            assert not closing, "a choice speaks after the end"
            if "role" in choice.get("delta", {}):
                opening.append(self._shape(event))
                continue
            index = str(choice["index"])
            shapes = choices.setdefault(index, [])
            if self._shape(event) not in shapes[-1:]:
                shapes.append(self._shape(event))
            tokens = counts.setdefault(index, [])
            tokens.append(_tokens_after(event, tokens[-1] if tokens else 0))
        return {"opening": opening, "choices": choices, "closing": closing, **self._counted(counts)}

    def _counted(self, counts: dict[str, list[int]]) -> dict[str, Any]:
        """Tokens of each choice, and whether its events end at the first token and then every so many, as set up."""
        if not any(any(tokens) for tokens in counts.values()):
            return {}
        interval = SETUPS[self.exchange.setup].get("stream_interval", 1)
        ends = [count for tokens in counts.values() for count in tokens[:-1]]
        return {
            "tokens": {index: tokens[-1] for index, tokens in counts.items()},
            "keeps_interval": all((count - 1) % interval == 0 for count in ends),
        }

    def _shape(self, value: Any) -> Any:
        """The value with names in the place of what differs from answer to answer."""
        if isinstance(value, list):
            return [self._shape(item) for item in value]
        if not isinstance(value, dict):
            return value
        shape = {key: self._named(key, item, value) for key, item in value.items()}
        if "completion_tokens" in value or "prompt_tokens" in value:
            return self._usage(shape)
        if self.streamed and isinstance(shape.get("usage"), dict) and value.get("choices"):
            shape["usage"] |= {"completion_tokens": "SO FAR", "total_tokens": "SUM"}
        return shape

    def _named(self, key: str, item: Any, beside: dict[str, Any]) -> Any:
        if key == "id" and isinstance(item, str):
            return re.sub("^(chatcmpl|cmpl|modelperm)-[0-9a-f]{16,32}$", r"\1-ID", item)
        if key in ("created", "root"):
            return key.upper()
        if key == "text" or (key == "content" and (item or "role" not in beside)):
            return "TEXT" if isinstance(item, str) else self._shape(item)
        if key in ("token_ids", "prompt_token_ids", "tokens") and isinstance(item, list):
            if key == "prompt_token_ids":
                return item if self.given_ids else "IDS"
            return "IDS" if self.streamed or self.exchange.varying else f"{len(item)} IDS"
        if key == "stop_reason" and isinstance(item, str):
            return "STOP"
        if key == "count" and self.exchange.varying:
            return "COUNT"
        if key == "message" and isinstance(item, str):
            return self._message(item)
        return self._shape(item)

    def _usage(self, usage: dict[str, Any]) -> dict[str, Any]:
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens") or 0
        assert usage["total_tokens"] == prompt + completion
        named: dict[str, Any] = {}
        if not self.given_ids:
            named |= {"prompt_tokens": "PROMPT", "total_tokens": f"PROMPT + {completion}"}
        if self.exchange.varying:
            named |= {"completion_tokens": "VARYING", "total_tokens": "SUM"}
        return usage | named

    def _message(self, text: str) -> str:
        """A text's length is in what is said of a text that is too long."""
        found = re.search(r"(\d+) input tokens", text)
        return text.replace(found[1], "PROMPT") if found and not self.given_ids else text


def _tokens_after(event: dict[str, Any], before: int) -> int:
    """Tokens of the choice so far, as its ids or the running usage say."""
    ids, usage = event["choices"][0].get("token_ids"), event.get("usage")
    if isinstance(ids, list):
        return before + len(ids)
    return int(usage["completion_tokens"]) if isinstance(usage, dict) else before


def families(page: str) -> dict[str, str]:
    """vLLM's metrics by name: their type, labels and the upper bounds of buckets."""
    found: dict[str, str] = {}
    for name, kind in re.findall(r"^# TYPE (vllm:\S+) (\S+)$", page, re.MULTILINE):
        lines = re.findall(rf"^{name}(?:_bucket)?{{(.*)}} \S+$", page, re.MULTILINE)
        labels = sorted({label for line in lines for label in re.findall(r"(\w+)=\"", line)} - {"le"})
        bounds = list(dict.fromkeys(re.findall(r'le="([^"]+)"', "\n".join(lines))))
        found[name] = " ".join([kind, ",".join(labels), *bounds])
    return found


def grown(client: httpx.Client) -> dict[str, dict[str, float]]:
    """What counters and histograms grow by with each metered request and with one whose client goes away."""
    headers = {"authorization": f"Bearer {KEY}"}
    found = {}
    for number, (name, more) in enumerate(METERED.items()):
        body = {"model": MODEL, "prompt": [300 + number] * 20, "ignore_eos": True, **more}
        before = _settled(client)
        client.post("/v1/completions", json=body, headers=headers).raise_for_status()
        found[name] = _growth(before, _settled(client), lengths=name != "stopped")
    before = _settled(client)
    leave(client)
    found["left"] = _growth(before, _settled(client), lengths=False)
    return found


def leave(client: httpx.Client) -> None:
    """Open a stream, go away after some events, and wait until the engine runs nothing."""
    body = {"model": MODEL, "prompt": [330] * 20, "ignore_eos": True, "max_tokens": 4000, "stream": True}
    headers = {"authorization": f"Bearer {KEY}"}
    with client.stream("POST", "/v1/completions", json=body, headers=headers) as answer:
        lines = answer.iter_lines()
        for _ in range(LEAVES_AFTER):
            next(lines)
        assert _running(client) == 1
    deadline = time.monotonic() + 30
    while _running(client):
        assert time.monotonic() < deadline, "the engine still runs what nobody waits for"
        time.sleep(0.05)


def _running(client: httpx.Client) -> float:
    found = re.search(r"^vllm:num_requests_running{.*} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def _values(client: httpx.Client) -> dict[str, float]:
    """Every value of vLLM's but gauges, buckets and the times of birth, by its name and reason of end."""
    page = client.get("/metrics").text
    found = {}
    for name, labels, value in re.findall(r"^(vllm:\w+){(.*)} (\S+)$", page, re.MULTILINE):
        if not name.endswith(("_bucket", "_created", "_info")) and name not in GAUGES:
            reason = re.search(r'finished_reason="(\w+)"', labels)
            found[name + (f" {reason[1]}" if reason else "")] = float(value)
    return found


def _settled(client: httpx.Client) -> dict[str, float]:
    """The values once they rest: a step is counted just after its tokens were sent."""
    values = _values(client)
    while (again := _values(client)) != values:
        values = again
    return values


def _growth(before: dict[str, float], after: dict[str, float], *, lengths: bool) -> dict[str, float]:
    """What grew by how much, no durations; without ``lengths`` nothing that depends on how much was generated."""
    left_out = (STEPS, *(() if lengths else LENGTHS))
    grew = {name: value - before.get(name, 0.0) for name, value in after.items() if name not in left_out}
    return {name: value for name, value in grew.items() if value and not name.endswith("_seconds_sum")}
