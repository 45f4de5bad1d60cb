"""What the probe finds out, and the one clear line it gives when the endpoint is none."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from harness.errors import EndpointError, NetworkError, UsageError
from harness.load.arrivals import ClosedLoop
from harness.load.driver import run_stage
from harness.load.lengths import FixedLength
from harness.load.probe import Probe, probe_endpoint, probe_from_json
from harness.load.prompts import join_prompt, synthetic_words
from harness.load.records import Endpoint
from harness.load.stage import Stage
from harness.load.target import normal_url
from harness.load.workload import Workload
from harness.secret import Secret

Serve = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("no_leak")


def probe(
    url: str, model: str = "", *, key: str | None = None, timeout_s: float = 5.0, api: str = "chat"
) -> Probe:
    endpoint = Endpoint(url, model, Secret(key) if key else None)
    return asyncio.run(probe_endpoint(endpoint, workload=Workload(api=api), timeout_s=timeout_s))


def costly(text: str) -> int:
    """Tokens of a tokenizer that needs one token for every four letters of a word."""
    return sum(-(-len(word) // 4) for word in text.split())


def test_a_full_vllm_is_found_out(serve: Serve) -> None:
    found = probe(serve().url)
    assert (found.model, found.max_model_len) == ("tiny", 4096)
    assert (found.usage, found.token_ids, found.cache_salt, found.exact_length) == (
        True,
        True,
        True,
        "ignore_eos",
    )
    assert not found.continuous_usage
    assert found.round_trip_s is not None
    assert found.calibration.measured
    assert found.calibration.overhead_tokens == 4
    assert probe_from_json(found.to_json()) == found


def test_prompts_of_a_measured_vocabulary_have_exactly_the_wanted_tokens(
    serve: Serve, lab: ModuleType
) -> None:
    async def handle(request: Any, reply: Any) -> None:
        if request.method == "POST" and not request.body["stream"]:
            count = 11 + costly(request.body["messages"][0]["content"])
            await reply.whole({**lab.usage(count, 1), "choices": []})
        else:
            await lab.answering()(request, reply)

    calibration = probe(serve(handle).url).calibration
    rng = np.random.default_rng(5)
    for wanted in (20, 21, 22, 23, 256, 1000, 4001):
        words = synthetic_words(calibration, tokens=wanted - calibration.overhead_tokens, rng=rng)
        assert 11 + costly(join_prompt([words])) == wanted


def test_extras_the_endpoint_refuses_are_dropped(serve: Serve, lab: ModuleType) -> None:
    refused = ("return_token_ids", "cache_salt", "ignore_eos")

    async def handle(request: Any, reply: Any) -> None:
        if request.body and any(name in request.body for name in refused):
            await reply.whole(
                {"error": {"message": "Extra inputs are not permitted"}}, status="400 Bad Request"
            )
        else:
            await lab.answering()(request, reply)

    found = probe(serve(handle).url)
    assert (found.token_ids, found.cache_salt, found.exact_length) == (False, False, "min_tokens")
    assert found.calibration.measured


def test_extras_that_are_ignored_count_as_absent(serve: Serve, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        if request.body:
            request.body.pop("return_token_ids", None)
        await lab.answering()(request, reply)

    found = probe(serve(handle).url)
    assert (found.token_ids, found.continuous_usage) == (False, False)


def test_continuous_usage_is_recognised(serve: Serve, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        if not request.body or not request.body["stream"]:
            await lab.answering()(request, reply)
            return
        await reply.write(lab.STREAM_HEAD)
        for i in range(1, 5):
            more = {"usage": {"prompt_tokens": 5, "completion_tokens": i}}
            await reply.event(lab.text("a", finish="length" if i == 4 else None, **more))
        await reply.event(lab.usage(5, 4))
        await reply.event(b"[DONE]")
        await reply.write(b"0\r\n\r\n")

    found = probe(serve(handle).url)
    assert (found.token_ids, found.continuous_usage) == (False, True)


def test_a_server_that_counts_nothing_leaves_guessed_costs(serve: Serve, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        if request.body and not request.body["stream"]:
            await reply.whole({"choices": [{"message": {"content": "x"}, "finish_reason": "length"}]})
        else:
            await lab.answering()(request, reply)

    assert not probe(serve(handle).url).calibration.measured


def test_a_missing_model_list_is_fine_when_the_model_is_named(serve: Serve, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        if request.method == "GET":
            await reply.whole({"detail": "Not Found"}, status="404 Not Found")
        else:
            await lab.answering()(request, reply)

    found = probe(serve(handle).url, "tiny")
    assert (found.model, found.max_model_len) == ("tiny", None)


def answering_all(body: Any, **options: Any) -> Any:
    async def handle(request: Any, reply: Any) -> None:
        await reply.whole(body, **options)

    return handle


@pytest.mark.parametrize(
    ("handler", "key", "words"),
    [
        (answering_all(b"<html>", kind="text/html"), None, "not an OpenAI endpoint.*text/html"),
        (answering_all({"error": "Unauthorized"}, status="401 Unauthorized"), None, "needs an API key"),
        (answering_all({"error": "Unauthorized"}, status="401 Unauthorized"), "k", "refuses the API key"),
        (answering_all({"object": "list"}), None, "no model list"),
        (answering_all({"data": []}), None, "lists no model"),
        (answering_all({"data": [{"id": "other"}]}), None, "does not serve 'tiny'.*other"),
        (
            answering_all({"error": {"message": "boom"}}, status="500 Oops"),
            None,
            "refused the model list.*boom",
        ),
    ],
)
def test_what_is_no_endpoint_is_one_clear_line(
    serve: Serve, handler: Any, key: str | None, words: str
) -> None:
    model = "" if "lists no" in words else "tiny"
    with pytest.raises(EndpointError, match=words) as raised:
        probe(serve(handler).url, model, key=key)
    assert "\n" not in str(raised.value)


def test_a_model_that_cannot_complete_is_one_clear_line(serve: Serve, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        if request.method == "GET":
            await lab.answering()(request, reply)
        else:
            await reply.whole({"error": {"message": "template broken"}}, status="500 Internal Server Error")

    with pytest.raises(EndpointError, match=r"refused a completion.*template broken"):
        probe(serve(handle).url)


def test_nothing_there_is_a_network_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(NetworkError, match="refused"):
            probe(f"http://127.0.0.1:{taken.getsockname()[1]}/v1")


def test_a_silent_endpoint_is_a_network_error(serve: Serve) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.reader.read()

    with pytest.raises(NetworkError, match="did not answer within"):
        probe(serve(handle).url, timeout_s=0.2)


def test_something_that_is_not_http_is_an_endpoint_error(serve: Serve) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(b"SSH-2.0-x\r\n")
        await reply.reader.read()

    with pytest.raises(EndpointError, match="does not speak HTTP"):
        probe(serve(handle).url)


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("http://a:1", "http://a:1/v1"),
        ("http://a:1/v1/", "http://a:1/v1"),
        ("a:1", "http://a:1/v1"),
        ("https://a/x/v1", "https://a/x/v1"),
        ("http://a/v1/chat/completions", "http://a/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
    ],
)
def test_a_url_may_or_may_not_end_in_v1(typed: str, url: str) -> None:
    assert normal_url(typed) == url


@pytest.mark.parametrize(
    "typed", ["", "ftp://a", "http://", "http://a:x", "http://a:0", "http://u:p@a/v1", "http://a:99999"]
)
def test_what_is_no_url_is_refused(typed: str) -> None:
    with pytest.raises(UsageError):
        normal_url(typed)


def test_a_key_that_cannot_be_a_header_is_refused_unseen(serve: Serve) -> None:
    with pytest.raises(UsageError) as raised:
        probe(serve().url, key="se\r\nsame")
    assert "same" not in str(raised.value)


def test_lengths_the_model_has_no_room_for_are_refused_before_the_first_request(
    serve: Serve, lab: ModuleType
) -> None:
    server = serve()
    workload = Workload(input_tokens=FixedLength(4000), output_tokens=FixedLength(97))
    stage = Stage(arrivals=ClosedLoop(1), requests=1)
    with pytest.raises(UsageError, match=r"4097 tokens.*'tiny' takes 4096"):
        asyncio.run(run_stage(Endpoint(server.url, "tiny"), stage, workload, probe=lab.PROBE))
    assert server.requests == []
