"""What is sent again and what is not."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.errors import ApiError, NetworkError, NotFoundError, RateLimitedError
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.credentials import Credentials
from harness.exoscale.retries import RetryPolicy, is_ambiguous
from harness.secret import Secret

Run = Callable[..., Any]
EMPTY = httpx.Response(200, json={"models": []})
OPERATION = httpx.Response(200, json={"id": "o", "state": "pending"})
CREATE = {"name": "n", "model": "m", "gpu_type": "g", "gpu_count": 1}


def create(client: Any) -> Any:
    return client.create_deployment(**CREATE)


TRANSIENT = [
    httpx.Response(500),
    httpx.Response(502, text="<html>"),
    httpx.Response(503),
    httpx.ReadError("reset"),
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("slow"),
    httpx.RemoteProtocolError("eof"),
]


@pytest.mark.parametrize("failure", TRANSIENT, ids=repr)
def test_reads_are_repeated_with_doubling_waits(run: Run, script: Any, time: Any, failure: Any) -> None:
    network = script(failure, failure, failure, EMPTY)
    assert run(network, lambda client: client.list_models()) == ()
    assert len(network.requests) == 4
    assert time.slept == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("failure", TRANSIENT, ids=repr)
def test_deletes_are_repeated(run: Run, script: Any, failure: Any) -> None:
    network = script(failure, httpx.Response(404))
    with pytest.raises(NotFoundError):
        run(network, lambda client: client.delete_deployment("d"))
    assert len(network.requests) == 2


CHANGES = [
    create,
    lambda client: client.update_deployment("d", parameters=[]),
    lambda client: client.scale_deployment("d", replicas=2),
    lambda client: client.create_model("o/m"),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "failure", [httpx.Response(500), httpx.Response(503), httpx.ReadError("reset"), httpx.ReadTimeout("slow")]
)
def test_changes_whose_outcome_is_unknown_are_sent_once(
    run: Run, script: Any, change: Any, failure: Any
) -> None:
    network = script(failure, OPERATION)
    with pytest.raises((ApiError, NetworkError)) as caught:
        run(network, change)
    assert len(network.requests) == 1
    assert is_ambiguous(caught.value)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "failure", [httpx.Response(429), httpx.ConnectError("refused"), httpx.ConnectTimeout("")]
)
def test_changes_that_did_not_happen_are_repeated(run: Run, script: Any, change: Any, failure: Any) -> None:
    network = script(failure, OPERATION)
    assert run(network, change).id == "o"
    assert len(network.requests) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412, 422])
def test_clear_refusals_are_not_repeated(run: Run, script: Any, status: int) -> None:
    network = script(httpx.Response(status), EMPTY)
    with pytest.raises(ApiError) as caught:
        run(network, lambda client: client.list_models())
    assert len(network.requests) == 1
    assert not is_ambiguous(caught.value)


@pytest.mark.parametrize(
    ("header", "wait_s"), [("7", 7.0), ("0", 0.0), ("Wed, 25 Feb 2026 06:13:29 GMT", 9.0), ("soon", 1.0)]
)
def test_retry_after_is_obeyed_in_seconds_and_as_a_date(
    run: Run, script: Any, time: Any, header: str, wait_s: float
) -> None:
    network = script(httpx.Response(429, headers={"retry-after": header}), EMPTY)
    run(network, lambda client: client.list_models())
    assert time.slept == [wait_s]


def test_waits_stop_growing_and_the_deadline_ends_them(run: Run, script: Any, time: Any) -> None:
    network = script(httpx.Response(500))
    with pytest.raises(ApiError):
        run(network, lambda client: client.list_models())
    assert time.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]  # 91 s; another 30 s would pass 120 s
    assert len(network.requests) == 8


def test_a_wait_longer_than_the_deadline_is_not_begun(run: Run, script: Any, time: Any) -> None:
    network = script(httpx.Response(429, headers={"retry-after": "3600"}))
    with pytest.raises(RateLimitedError):
        run(network, lambda client: client.list_models())
    assert time.slept == []


def test_every_try_is_signed_anew(run: Run, script: Any) -> None:
    network = script(httpx.Response(429, headers={"retry-after": "60"}), EMPTY)
    run(network, lambda client: client.list_models())
    first, second = (request.headers["authorization"] for request in network.requests)
    assert "expires=1772000600" in first
    assert "expires=1772000660" in second


def caused(cause: Exception) -> httpx.ConnectError:
    error = httpx.ConnectError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "cause",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        ssl.SSLCertVerificationError("certificate verify failed"),
    ],
    ids=["no such host", "bad certificate"],
)
def test_a_connection_that_can_never_be_made_is_not_tried_again(
    run: Run, script: Any, time: Any, cause: Exception
) -> None:
    network = script(caused(cause))
    with pytest.raises(NetworkError):
        run(network, lambda client: client.list_models())
    assert (len(network.requests), time.slept) == (1, [])


def test_a_resolver_without_a_network_is_tried_again(run: Run, script: Any) -> None:
    network = script(caused(socket.gaierror(socket.EAI_AGAIN, "Temporary failure")), EMPTY)
    assert run(network, lambda client: client.list_models()) == ()


def test_each_pause_is_told_with_its_cause_and_length(script: Any, time: Any) -> None:
    told: list[tuple[str, float]] = []
    network = script(httpx.Response(503), httpx.ConnectError("refused"), EMPTY)
    policy = RetryPolicy(
        clock=time.clock,
        unix_clock=time.unix,
        sleep=time.sleep,
        jitter=lambda: 0.0,
        on_retry=lambda what, seconds: told.append((what, seconds)),
    )

    async def main() -> None:
        credentials = Credentials("EXO", Secret("s"), "z", "https://api.example.com/v2")
        async with ExoscaleClient(
            credentials, transport=httpx.MockTransport(network), policy=policy
        ) as client:
            await client.list_models()

    asyncio.run(main())
    assert told == [("503", 1.0), ("refused", 2.0)]
