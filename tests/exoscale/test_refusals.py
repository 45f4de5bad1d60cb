"""Every error body the API and what stands in front of it were seen to send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.errors import (
    ApiError,
    CapacityError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NetworkError,
    NotFoundError,
    PlatformError,
    RateLimitedError,
)
from harness.secret import Secret

Run = Callable[..., Any]
NOW = 1_772_000_000.0  # Wed, 25 Feb 2026 06:13:20 GMT

BODIES = [
    (
        400,
        b'{"type":"#/http-problem-types/bad-request","title":"Bad Request",'
        b'"detail":"One or more vLLM parameters are invalid.",'
        b'"errors":["Parameter \'foo-bar\' is not allowed for vLLM 0.19.1"]}',
        InvalidError,
        "One or more vLLM parameters are invalid.",
        ("Parameter 'foo-bar' is not allowed for vLLM 0.19.1",),
    ),
    (
        422,
        b'{"type":"#/http-problem-types/request-invalid-body","title":"Invalid Request Body","errors":'
        b'[{"path":"p","pointer":"/p","location":"$[\'inference-engine-version\']",'
        b'"detail":"does not have a value in the enumeration [\\"0.12.0\\", \\"0.19.1\\"]"}]}',
        InvalidError,
        "Invalid Request Body",
        ('$[\'inference-engine-version\']: does not have a value in the enumeration ["0.12.0", "0.19.1"]',),
    ),
    (
        404,
        b'{"title":"Not Found","detail":"The referenced model was not found."}',
        NotFoundError,
        "The referenced model was not found.",
        (),
    ),
    (403, b'{"message":"Invalid request signature"}', ForbiddenError, "Invalid request signature", ()),
    (400, b'{"error":"gpu count"}', InvalidError, "gpu count", ()),
    (409, b'{"error":"busy"}', ConflictError, "busy", ()),
    (400, b'{"error":{"message":"nested","code":7}}', InvalidError, "nested", ()),
    (418, b"plain words\nover two lines", ApiError, "plain words over two lines", ()),
    (
        410,
        b"<html><head><title>Gone away</title></head></html>",
        ApiError,
        "an HTML page titled 'Gone away', not JSON",
        (),
    ),
    (410, b"<!doctype html><p>", ApiError, "an HTML page, not JSON", ()),
    (410, b"", ApiError, "Gone (empty answer)", ()),
    (400, b'["first", {"detail": "second"}]', InvalidError, "Bad Request", ("first", "second")),
    (400, b'"a bare string"', InvalidError, "a bare string", ()),
    (400, b"null", InvalidError, "null", ()),
    (400, b'{"errors":"not a list","title":7}', InvalidError, '{"errors":"not a list","title":7}', ()),
    (400, b"\xff\xfe\x00", InvalidError, None, ()),
]


@pytest.mark.parametrize(("status", "body", "kind", "detail", "errors"), BODIES)
def test_every_body_shape_becomes_an_error_with_its_words(
    run: Run, status: int, body: bytes, kind: type[ApiError], detail: str | None, errors: tuple[str, ...]
) -> None:
    with pytest.raises(ApiError) as caught:
        run(lambda request: httpx.Response(status, content=body), lambda client: client.get_deployment("d"))
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert caught.value.errors == errors
    if detail is not None:
        assert caught.value.detail == detail
    assert "\n" not in str(caught.value)


def test_a_long_body_is_cut_to_one_line(run: Run) -> None:
    with pytest.raises(ApiError) as caught:
        run(lambda request: httpx.Response(400, text="word " * 900), lambda client: client.list_models())
    assert len(str(caught.value)) < 400


def test_412_on_create_is_capacity_and_names_what_was_asked(run: Run) -> None:
    with pytest.raises(CapacityError) as caught:
        run(
            lambda request: httpx.Response(412, json={"error": "not enough GPUs"}),
            lambda client: client.create_deployment(
                name="n", model="m", gpu_type="gpua5000", gpu_count=2, replicas=2
            ),
        )
    assert str(caught.value) == "create-deployment refused 'gpua5000' x 4 (412): not enough GPUs"


def test_412_on_model_delete_names_the_deployments_and_is_not_capacity(run: Run) -> None:
    with pytest.raises(ApiError) as caught:
        run(
            lambda request: httpx.Response(412, json={"deployments": ["a", "b"]}),
            lambda client: client.delete_model("m1"),
        )
    assert not isinstance(caught.value, CapacityError)
    assert str(caught.value) == "delete-model refused 'm1' (412): in use by the deployments 'a', 'b'"


@pytest.mark.parametrize(
    ("date", "words"),
    [
        ("Wed, 25 Feb 2026 06:27:25 GMT", "clock is 14m 05s behind the server's"),
        ("Wed, 25 Feb 2026 05:13:20 GMT", "clock is 1h 00m ahead of the server's"),
    ],
)
def test_a_refused_signature_names_the_clock_skew(run: Run, date: str, words: str) -> None:
    answer = httpx.Response(403, headers={"date": date}, json={"message": "Invalid request signature"})
    with pytest.raises(ForbiddenError) as caught:
        run(lambda request: answer, lambda client: client.list_models())
    assert words in str(caught.value)


@pytest.mark.parametrize("date", ["Wed, 25 Feb 2026 06:13:50 GMT", "yesterday", ""])
def test_a_small_or_unreadable_skew_is_not_mentioned(run: Run, date: str) -> None:
    answer = httpx.Response(403, headers={"date": date}, json={"message": "Invalid request signature"})
    with pytest.raises(ForbiddenError) as caught:
        run(lambda request: answer, lambda client: client.list_models())
    assert "clock" not in str(caught.value)


def test_429_carries_the_servers_wish_when_time_runs_out(run: Run) -> None:
    answer = httpx.Response(429, headers={"retry-after": "300"}, json={"error": "slow down"})
    with pytest.raises(RateLimitedError) as caught:
        run(lambda request: answer, lambda client: client.list_models())
    assert caught.value.retry_after_s == 300.0


def test_secrets_echoed_by_the_server_do_not_reach_the_message(run: Run) -> None:
    secret, token = "planted-api-secret-0123456789", "hf_planted_token"
    answer = httpx.Response(400, json={"error": f"no {secret} no {token}", "errors": [token]})
    with pytest.raises(InvalidError) as caught:
        run(
            lambda request: answer,
            lambda client: client.create_model("o/m", huggingface_token=Secret(token)),
        )
    assert "***" in str(caught.value)
    assert secret not in str(caught.value)
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    "body", [b"<html><title>Login</title></html>", b"", b"[]", b'{"deployment": []}', b"null", b"{"]
)
def test_a_success_that_is_not_the_expected_json_is_an_error_not_an_empty_list(run: Run, body: bytes) -> None:
    with pytest.raises(PlatformError, match="list-deployments answered 200 with an unreadable body"):
        run(lambda request: httpx.Response(200, content=body), lambda client: client.list_deployments())


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]"])
def test_a_help_document_that_is_no_object_is_an_error(run: Run, body: bytes) -> None:
    with pytest.raises(PlatformError, match="get-inference-engine-help answered 200"):
        run(
            lambda request: httpx.Response(200, content=body),
            lambda client: client.get_inference_engine_help("0.15.1"),
        )


def test_a_redirect_is_refused_and_not_followed(run: Run) -> None:
    answer = httpx.Response(302, headers={"location": "https://elsewhere.example/"})
    with pytest.raises(ApiError) as caught:
        run(lambda request: answer, lambda client: client.list_models())
    assert caught.value.status == 302


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ReadTimeout("slow"), "no answer in time"),
        (httpx.ConnectError("refused"), "refused"),
        (httpx.RemoteProtocolError("eof"), "closed before an answer"),
    ],
)
def test_no_answer_is_a_network_error_that_names_operation_and_endpoint(
    run: Run, script: Callable[..., Any], error: Exception, words: str
) -> None:
    with pytest.raises(NetworkError) as caught:
        run(script(error), lambda client: client.list_models(), deadline_s=0.0)
    assert str(caught.value).startswith(
        "list-models got no answer from 'https://api-ch-gva-2.exoscale.com/v2'"
    )
    assert words in str(caught.value)
