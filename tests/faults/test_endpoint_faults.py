"""Each fault of an endpoint's stream: the bytes on the wire, and the class our load client gives the request."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.exoscale.client import ExoscaleClient
from harness.exoscale.waiting import Polling, wait_until_settled
from harness.load.arrivals import ClosedLoop
from harness.load.driver import run_stage
from harness.load.lengths import FixedLength
from harness.load.probe import probe_endpoint
from harness.load.records import Endpoint, Outcome
from harness.load.stage import Stage
from harness.load.workload import Workload

Drive = Callable[..., Any]
Ask = Callable[..., Any]
MODEL = "Qwen/Qwen3-4B"
TOKENS = 8


@pytest.fixture
def stand(drive: Drive, ask: Ask, polling: Polling) -> Callable[[str], Endpoint]:
    """``stand(name)``: the endpoint of a ready deployment of that name."""

    def up(name: str) -> Endpoint:
        async def use(client: ExoscaleClient) -> Endpoint:
            operation = await ask(client, name)
            deployment = await wait_until_settled(client, operation.subject_id, polling=polling)
            key = await client.reveal_deployment_api_key(str(operation.subject_id))
            return Endpoint(str(deployment.deployment_url), MODEL, key)

        endpoint: Endpoint = drive(use)
        return endpoint

    return up


def stream(endpoint: Endpoint) -> tuple[httpx.Response | None, bytes]:
    """One streamed completion: the response, None when the connection broke, and the body so far."""
    assert endpoint.key is not None
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "count to eight"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": TOKENS,
        "ignore_eos": True,
    }
    headers = {"authorization": f"Bearer {endpoint.key.reveal()}"}
    pieces: list[bytes] = []
    url = f"{endpoint.url}/chat/completions"
    with httpx.Client(timeout=10) as http:
        try:
            with http.stream("POST", url, json=body, headers=headers) as response:
                pieces += response.iter_bytes()
                return response, b"".join(pieces)
        except httpx.TransportError:
            return None, b"".join(pieces)


def events(body: bytes) -> list[str]:
    return [event.removeprefix("data: ") for event in body.decode().split("\n\n") if event]


def documents(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(event) for event in events(body) if event != "[DONE]"]


def usage(body: bytes) -> dict[str, int] | None:
    found = [document["usage"] for document in documents(body) if document.get("usage")]
    return found[-1] if found else None


def test_a_healthy_stream_has_all_there_is(stand: Callable[[str], Endpoint]) -> None:
    response, body = stream(stand("healthy"))
    assert response is not None
    assert events(body)[-1] == "[DONE]"
    assert usage(body)["completion_tokens"] == TOKENS  # type: ignore[index]


def test_a_dead_replica_answers_503_every_second_time(stand: Callable[[str], Endpoint]) -> None:
    endpoint = stand("dead-replica")
    statuses = [response.status_code for response, _ in (stream(endpoint) for _ in range(6)) if response]
    assert statuses == [200, 503] * 3


def test_html_comes_with_200(stand: Callable[[str], Endpoint]) -> None:
    response, body = stream(stand("html"))
    assert response is not None
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html")
    assert body.startswith(b"<html>")


def test_an_empty_stream_has_no_event(stand: Callable[[str], Endpoint]) -> None:
    response, body = stream(stand("empty-stream"))
    assert response is not None
    assert response.headers["content-type"].startswith("text/event-stream")
    assert body == b""


def test_a_disconnect_breaks_the_connection_in_mid_stream(stand: Callable[[str], Endpoint]) -> None:
    response, body = stream(stand("disconnect"))
    assert response is None
    assert b"[DONE]" not in body


def test_truncated_json_is_one_broken_event_among_good_ones(stand: Callable[[str], Endpoint]) -> None:
    _, body = stream(stand("truncated-json"))
    broken = []
    for event in events(body)[:-1]:
        try:
            json.loads(event)
        except ValueError:
            broken.append(event)
    assert len(broken) == 1
    assert events(body)[-1] == "[DONE]"


def test_no_done_lacks_only_the_end(stand: Callable[[str], Endpoint]) -> None:
    _, body = stream(stand("no-done"))
    assert b"[DONE]" not in body
    assert usage(body)["completion_tokens"] == TOKENS  # type: ignore[index]


def test_no_usage_lacks_only_the_usage(stand: Callable[[str], Endpoint]) -> None:
    _, body = stream(stand("no-usage"))
    assert usage(body) is None
    assert events(body)[-1] == "[DONE]"


def test_wrong_usage_claims_seven_tokens_more(stand: Callable[[str], Endpoint]) -> None:
    _, body = stream(stand("wrong-usage"))
    assert usage(body)["completion_tokens"] == TOKENS + 7  # type: ignore[index]


def test_an_error_event_ends_a_stream_that_began_well(stand: Callable[[str], Endpoint]) -> None:
    response, body = stream(stand("error-event"))
    assert response is not None
    assert response.status_code == 200
    assert "error" in documents(body)[-1]
    assert events(body)[-1] == "[DONE]"


def test_duplicate_chunks_come_twice_each(stand: Callable[[str], Endpoint]) -> None:
    _, body = stream(stand("duplicate-chunks"))
    found = events(body)[:-1]
    assert len(found) > TOKENS
    assert found[0::2] == found[1::2]


def test_merged_chunks_lose_nothing(stand: Callable[[str], Endpoint]) -> None:
    _, body = stream(stand("merged-chunks"))
    assert usage(body)["completion_tokens"] == TOKENS  # type: ignore[index]
    assert events(body)[-1] == "[DONE]"


def seconds_of(endpoint: Endpoint) -> float:
    started = time.monotonic()
    assert usage(stream(endpoint)[1]) is not None
    return time.monotonic() - started


def test_a_late_role_is_followed_by_a_pause(stand: Callable[[str], Endpoint]) -> None:
    assert seconds_of(stand("late-role")) > 0.5


def test_a_slow_replica_shows_every_second_time(stand: Callable[[str], Endpoint]) -> None:
    endpoint = stand("slow-replica")
    seconds_of(endpoint)
    # 50 zone seconds are 0.05 s here: ten of them for the role, eight tokens, the usage and the end, fewer where a busy
    # machine lets tokens go out together.
    assert seconds_of(endpoint) > 0.2


def test_a_restarted_engine_has_its_counters_at_zero(stand: Callable[[str], Endpoint]) -> None:
    endpoint = stand("engine-restart")
    metrics = endpoint.url.removesuffix("/v1") + "/metrics"

    def generated() -> list[float]:
        lines = httpx.get(metrics).text.splitlines()
        return [float(line.split()[-1]) for line in lines if line.startswith("vllm:generation_tokens_total")]

    stream(endpoint)
    assert generated() == [TOKENS]
    crashed, _ = stream(endpoint)
    assert crashed is not None
    assert crashed.status_code == 503
    deadline = time.monotonic() + 5
    while httpx.get(metrics).status_code == 503 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert generated() == [0]
    assert usage(stream(endpoint)[1])["completion_tokens"] == TOKENS  # type: ignore[index]


OUTCOMES: list[tuple[str, set[Outcome]]] = [
    ("healthy-too", {Outcome.SUCCEEDED}),
    ("html", {Outcome.MALFORMED}),
    ("empty-stream", {Outcome.EMPTY, Outcome.TRUNCATED}),
    ("disconnect", {Outcome.TRUNCATED}),
    ("truncated-json", {Outcome.MALFORMED}),
    ("no-done", {Outcome.TRUNCATED}),
    ("error-event", {Outcome.ERROR_EVENT}),
    ("stall", {Outcome.TIMEOUT}),
    ("merged-chunks", {Outcome.SUCCEEDED}),
    ("dead-replica", {Outcome.SUCCEEDED, Outcome.HTTP_5XX}),
]


def test_the_load_client_names_each_fault(stand: Callable[[str], Endpoint]) -> None:
    endpoints = {name: stand(name) for name, _ in OUTCOMES}
    workload = Workload(input_tokens=FixedLength(16), output_tokens=FixedLength(TOKENS))

    async def main() -> dict[str, set[Outcome]]:
        probe = await probe_endpoint(endpoints["healthy-too"], workload=workload)
        found = {}
        for name, endpoint in endpoints.items():
            requests = 2 if name == "dead-replica" else 1
            stage = Stage(arrivals=ClosedLoop(1), requests=requests, timeout_s=5.0)
            result = await run_stage(endpoint, stage, workload, probe=probe)
            counted = Counter(record.outcome for record in result.records if not record.warmup)
            found[name] = set(counted)
        return found

    found = asyncio.run(main())
    assert found == {name: found[name] & allowed for name, allowed in OUTCOMES}
    assert all(found.values())
