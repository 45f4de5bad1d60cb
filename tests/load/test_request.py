"""What goes over the wire: bodies worked out by hand, and what a stage really sends to an endpoint it has probed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from harness.cli.main import main
from harness.load.arrivals import ClosedLoop
from harness.load.driver import run_stage
from harness.load.lengths import FixedLength
from harness.load.probe import Probe, probe_endpoint
from harness.load.records import Endpoint, Outcome, RequestRecord
from harness.load.request import RequestForm, request_body
from harness.load.stage import Stage
from harness.load.workload import Item, Workload

Serve = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("no_leak")

USAGE = {"include_usage": True}


@pytest.mark.parametrize(
    ("form", "body"),
    [
        (
            RequestForm("m"),
            {
                "messages": [{"role": "user", "content": "hi"}], "stream": True, "stream_options": USAGE,
                "ignore_eos": True,
            },
        ),
        (
            RequestForm("m", api="completions"),
            {"prompt": "hi", "stream": True, "stream_options": USAGE, "ignore_eos": True},
        ),
        (
            RequestForm("m", streamed=False),
            {"messages": [{"role": "user", "content": "hi"}], "stream": False, "ignore_eos": True},
        ),
        (
            RequestForm("m", api="completions", streamed=False, exact_length=None),
            {"prompt": "hi", "stream": False},
        ),
        (
            RequestForm("m", api="completions", exact_length="min_tokens", usage=False),
            {"prompt": "hi", "stream": True, "min_tokens": 7},
        ),
        (
            RequestForm("m", api="completions", exact_length=None, continuous_usage=True),
            {"prompt": "hi", "stream": True, "stream_options": {**USAGE, "continuous_usage_stats": True}},
        ),
        (
            RequestForm("m", api="completions", exact_length=None, usage=False, token_ids=True),
            {"prompt": "hi", "stream": True, "return_token_ids": True},
        ),
        (
            RequestForm("m", api="completions", extra={"ignore_eos": False, "top_k": 1, "stream_options": {}}),
            {"prompt": "hi", "stream": True, "stream_options": {}, "ignore_eos": False, "top_k": 1},
        ),
    ],
    ids=["chat", "completions", "whole chat", "whole completions", "min_tokens", "running usage", "ids", "extra wins"],
)  # fmt: skip
def test_a_body_is_what_its_form_says(form: RequestForm, body: dict[str, Any]) -> None:
    assert request_body(form, prompt="hi", output_tokens=7) == {"model": "m", "max_tokens": 7, **body}


def test_messages_go_as_they_are_and_a_salt_when_there_is_one() -> None:
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "u"}]},
    ]
    body = request_body(RequestForm("m"), prompt=messages, output_tokens=None, cache_salt="x")
    assert (body["messages"], body["cache_salt"]) == (messages, "x")
    assert not {"max_tokens", "ignore_eos", "min_tokens"} & set(body)


def sent(serve: Serve, probe: Probe, **workload: Any) -> list[dict[str, Any]]:
    """The bodies of three requests of a stage."""
    server = serve()
    lengths = {"input_tokens": FixedLength(20), "output_tokens": FixedLength(5)}
    stage = Stage(arrivals=ClosedLoop(1), requests=3)
    made = Workload(**{**lengths, **workload})
    result = asyncio.run(run_stage(Endpoint(server.url, "tiny"), stage, made, probe=probe))
    assert [record.outcome for record in result.records] == [Outcome.SUCCEEDED] * 3
    return [request.body for request in server.requests]


@pytest.mark.parametrize(
    ("found", "workload", "has", "lacks"),
    [
        ({}, {}, {"return_token_ids": True, "ignore_eos": True, "stream_options": USAGE}, {"min_tokens"}),
        (
            {},
            {"streamed": False},
            {"stream": False, "ignore_eos": True},
            {"return_token_ids", "stream_options"},
        ),
        (
            {"token_ids": False, "continuous_usage": True},
            {},
            {"stream_options": {**USAGE, "continuous_usage_stats": True}},
            {"return_token_ids"},
        ),
        ({"continuous_usage": True}, {}, {"return_token_ids": True, "stream_options": USAGE}, set()),
        ({"exact_length": "min_tokens"}, {}, {"min_tokens": 5}, {"ignore_eos"}),
        ({"exact_length": None}, {}, {"max_tokens": 5}, {"ignore_eos", "min_tokens"}),
        ({}, {"exact_output": False}, {"max_tokens": 5}, {"ignore_eos", "min_tokens"}),
        ({"cache_salt": False}, {}, {}, {"cache_salt"}),
        (
            {},
            {"extra": {"temperature": 0, "ignore_eos": False}},
            {"temperature": 0, "ignore_eos": False},
            set(),
        ),
    ],
    ids=[
        "all",
        "whole",
        "running usage",
        "ids before usage",
        "min_tokens",
        "no length",
        "own end",
        "no salt",
        "extra",
    ],
)
def test_a_stage_asks_for_what_the_probe_found(
    serve: Serve,
    lab: ModuleType,
    found: dict[str, Any],
    workload: dict[str, Any],
    has: dict[str, Any],
    lacks: set[str],
) -> None:
    bodies = sent(serve, replace(lab.PROBE, **found), **workload)
    for body in bodies:
        assert body | has == body
        assert not lacks & set(body)


@pytest.mark.parametrize(("cache", "salts"), [("isolated", 1), ("cold", 3), ("warm", 0)])
def test_salts_are_one_a_stage_one_a_request_or_none(
    serve: Serve, lab: ModuleType, cache: str, salts: int
) -> None:
    stages = [sent(serve, lab.PROBE, cache=cache) for _ in range(2)]
    found = [{body["cache_salt"] for body in bodies if "cache_salt" in body} for bodies in stages]
    assert [len(of_stage) for of_stage in found] == [salts, salts]
    assert not found[0] & found[1]


# What one endpoint was asked to do, and does not do


def refusing(lab: ModuleType, *names: str) -> Any:
    async def handle(request: Any, reply: Any) -> None:
        body = request.body or {}
        if any(name in body or name in body.get("stream_options", {}) for name in names):
            await reply.whole(
                {"error": {"message": "Extra inputs are not permitted"}}, status="400 Bad Request"
            )
        else:
            await lab.answering()(request, reply)

    return handle


def probed(url: str) -> Probe:
    return asyncio.run(probe_endpoint(Endpoint(url, "tiny"), workload=Workload(), timeout_s=5.0))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((), (True, True, "ignore_eos", True)),
        (("return_token_ids",), (False, True, "ignore_eos", True)),
        (("cache_salt",), (True, False, "ignore_eos", True)),
        (("continuous_usage_stats",), (True, True, "ignore_eos", True)),
        (("ignore_eos",), (True, True, "min_tokens", True)),
        (("ignore_eos", "min_tokens"), (True, True, None, True)),
        (("stream_options",), (True, True, "ignore_eos", True)),
    ],
    ids=["none", "ids", "salt", "running usage", "ignore_eos", "both lengths", "stream_options"],
)
def test_one_refused_extra_costs_no_other(
    serve: Serve, lab: ModuleType, names: tuple[str, ...], found: tuple[Any, ...]
) -> None:
    probe = probed(serve(refusing(lab, *names)).url)
    assert (probe.token_ids, probe.cache_salt, probe.exact_length, probe.calibration.measured) == found


def test_an_endpoint_is_probed_once_for_all_its_stages(
    serve: Serve, lab: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    for levels in ("1", "1,2,3"):
        server = serve(refusing(lab, "return_token_ids"))
        with pytest.raises(SystemExit) as ended:
            main(
                [
                    "load",
                    server.url,
                    "--concurrency",
                    levels,
                    "--requests",
                    "4",
                    "--warmup",
                    "0",
                    "--output-tokens",
                    "5",
                ]
            )
        assert ended.value.code == 0
        bodies = [request.body for request in server.requests if request.body]
        asked.append(sum("return_token_ids" in body for body in bodies))
        # 40-odd counts of words and the completions that try the extras; the rest are the stages' own.
        own = [body for body in bodies if body["max_tokens"] == 5]
        assert len(own) == 4 * len(levels.split(","))
        assert not any("return_token_ids" in body for body in own)
    assert asked[0] == asked[1] == 2


# What counts as a token


def one_answer(serve: Serve, lab: ModuleType, deltas: list[dict[str, Any]], *, finish: str) -> RequestRecord:
    """A stream of these deltas, 20 ms apart, after the role's."""

    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD)
        await reply.event(lab.ROLE)
        for i, delta in enumerate(deltas):
            await asyncio.sleep(0.02)
            last = i == len(deltas) - 1
            await reply.event(
                {"choices": [{"index": 0, "delta": delta, "finish_reason": finish if last else None}]}
            )
        await reply.event(lab.usage(5, len(deltas)))
        await reply.event(b"[DONE]")
        await reply.write(b"0\r\n\r\n")

    record: RequestRecord = lab.load_once(serve(handle).url)
    return record


@pytest.mark.parametrize(
    ("deltas", "finish"),
    [
        ([{"reasoning_content": "hm"}, {"reasoning_content": "so"}, {"content": "42"}], "stop"),
        ([{"reasoning": "hm"}, {"content": "4"}, {"content": "2"}], "length"),
        (
            [
                {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f"}}]},
                {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]},
                {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
            ],
            "tool_calls",
        ),
    ],
    ids=["reasoning_content", "reasoning", "tool calls"],
)
def test_thoughts_and_calls_are_tokens_from_the_first_one_on(
    serve: Serve, lab: ModuleType, deltas: list[dict[str, Any]], finish: str
) -> None:
    record = one_answer(serve, lab, deltas, finish=finish)
    assert (record.outcome, record.finish_reason, record.completion_tokens) == (Outcome.SUCCEEDED, finish, 3)
    assert record.chunk_tokens.tolist() == [1, 1, 1]
    assert record.role_s is not None
    assert record.first_token_s is not None
    # The role came 20 ms before the first thought, and that before the first content.
    assert record.first_token_s - record.role_s > 0.01
    assert record.first_token_s == record.chunk_times_s[0]


def test_completions_in_one_piece_are_counted(serve: Serve, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        choice = {"index": 0, "text": "x y", "finish_reason": "length"}
        await reply.whole({**lab.usage(len(request.body["prompt"].split()), 5), "choices": [choice]})

    server = serve(handle)
    workload = Workload(items=(Item("a b c", 5),), api="completions", streamed=False)
    stage = Stage(arrivals=ClosedLoop(1), requests=1)
    [record] = asyncio.run(run_stage(Endpoint(server.url, "tiny"), stage, workload, probe=lab.PROBE)).records
    assert (record.outcome, record.prompt_tokens, record.completion_tokens) == (Outcome.SUCCEEDED, 3, 5)
    assert server.requests[0].path == "/v1/completions"
    assert server.requests[0].body["prompt"] == "a b c"
