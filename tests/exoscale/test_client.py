"""What each operation sends, and how tolerant its reading is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.errors import PlatformError
from harness.secret import Secret

Run = Callable[..., Any]
OPERATION = {"id": "o", "state": "pending", "reference": {"id": "d"}}
UUID = "11111111-2222-3333-4444-555555555555"
CALLS: list[tuple[str, Any, str, str, Any, dict[str, Any]]] = [
    (
        "create by name",
        lambda c: c.create_deployment(
            name="n", model="Qwen/Qwen3-0.6B", gpu_type="gpua5000", gpu_count=2, replicas=3,
            engine_version="0.15.1", parameters=["--max-model-len=4096"],
        ),
        "POST", "/v2/ai/deployment",
        {"name": "n", "model": {"name": "Qwen/Qwen3-0.6B"}, "gpu-type": "gpua5000", "gpu-count": 2, "replicas": 3,
         "inference-engine-version": "0.15.1", "inference-engine-parameters": ["--max-model-len=4096"]},
        OPERATION,
    ),
    (
        "create by id",
        lambda c: c.create_deployment(name="n", model=UUID, gpu_type="g", gpu_count=1),
        "POST", "/v2/ai/deployment",
        {"name": "n", "model": {"id": UUID}, "gpu-type": "g", "gpu-count": 1, "replicas": 1},
        OPERATION,
    ),
    ("get", lambda c: c.get_deployment("d"), "GET", "/v2/ai/deployment/d", None, {}),
    ("get odd id", lambda c: c.get_deployment("a/b ?"), "GET", "/v2/ai/deployment/a%2Fb%20%3F", None, {}),
    ("list", lambda c: c.list_deployments(), "GET", "/v2/ai/deployment", None, {"deployments": []}),
    ("list private", lambda c: c.list_deployments(visibility="private"), "GET",
     "/v2/ai/deployment?visibility=private", None, {"deployments": []}),
    ("update", lambda c: c.update_deployment("d", name="m", engine_version="0.12.0"), "PATCH",
     "/v2/ai/deployment/d", {"name": "m", "inference-engine-version": "0.12.0"}, OPERATION),
    ("clear parameters", lambda c: c.update_deployment("d", parameters=[]), "PATCH",
     "/v2/ai/deployment/d", {"inference-engine-parameters": []}, OPERATION),
    ("scale to zero", lambda c: c.scale_deployment("d", replicas=0), "POST",
     "/v2/ai/deployment/d/scale", {"replicas": 0}, OPERATION),
    ("delete", lambda c: c.delete_deployment("d"), "DELETE", "/v2/ai/deployment/d", None, OPERATION),
    ("logs", lambda c: c.get_deployment_logs("d"), "GET", "/v2/ai/deployment/d/logs", None, {"logs": []}),
    ("logs tail", lambda c: c.get_deployment_logs("d", tail=20), "GET",
     "/v2/ai/deployment/d/logs?tail=20", None, {"logs": []}),
    ("key", lambda c: c.reveal_deployment_api_key("d"), "GET", "/v2/ai/deployment/d/api-key", None,
     {"api-key": "k"}),
    ("types", lambda c: c.list_ai_instance_types(), "GET", "/v2/ai/instance-type", None, {"instance-types": []}),
    ("help", lambda c: c.get_inference_engine_help("0.15.1"), "GET",
     "/v2/ai/help/inference-engine-parameters?version=0.15.1", None, {"parameters": []}),
    ("newest help", lambda c: c.get_inference_engine_help(), "GET",
     "/v2/ai/help/inference-engine-parameters", None, {"parameters": []}),
    ("operation", lambda c: c.get_operation("o"), "GET", "/v2/operation/o", None, OPERATION),
    ("zones", lambda c: c.list_zones(), "GET", "/v2/zone", None, {"zones": []}),
    ("create model", lambda c: c.create_model("o/m"), "POST", "/v2/ai/model", {"name": "o/m"}, OPERATION),
    ("create gated model", lambda c: c.create_model("o/m", huggingface_token=Secret("hf_x")), "POST",
     "/v2/ai/model", {"name": "o/m", "huggingface-token": "hf_x"}, OPERATION),
    ("models", lambda c: c.list_models(), "GET", "/v2/ai/model", None, {"models": []}),
    ("model", lambda c: c.get_model("m"), "GET", "/v2/ai/model/m", None, {}),
    ("delete model", lambda c: c.delete_model("m"), "DELETE", "/v2/ai/model/m", None, OPERATION),
    ("quotas", lambda c: c.list_quotas(), "GET", "/v2/quota", None, {"quotas": []}),
    ("quota", lambda c: c.get_quota("gpua5000"), "GET", "/v2/quota/gpua5000", None, {"resource": "gpua5000"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("use", "method", "target", "body", "answer"),
    [call[1:] for call in CALLS],
    ids=[call[0] for call in CALLS],
)
def test_each_operation_sends_its_method_path_and_body(
    run: Run, script: Any, use: Any, method: str, target: str, body: Any, answer: Any
) -> None:
    network = script(httpx.Response(200, json=answer))
    run(network, use)
    assert len(network.requests) == 1
    request = network.requests[0]
    assert (request.method, request.url.raw_path.decode()) == (method, target)
    assert (json.loads(request.content) if request.content else None) == body
    assert ("authorization" in request.headers) == (target != "/v2/zone")


def test_an_update_of_nothing_is_not_sent(run: Run, script: Any) -> None:
    network = script(httpx.Response(200, json=OPERATION))
    with pytest.raises(ValueError, match="needs a name, a version or parameters"):
        run(network, lambda client: client.update_deployment("d"))
    assert network.requests == []


def test_what_the_seed_does_not_know_is_kept_or_dropped(run: Run, script: Any) -> None:
    network = script(
        httpx.Response(
            200,
            json={
                "deployments": [
                    {
                        "id": "d", "state": "teleporting", "gpu-type": "gpu9", "replicas": 0,
                        "inference-engine-version": "9.9.9", "deployment-url": None, "novelty": {"a": 1},
                    },
                    {"name": "offer", "state": "ready", "visibility": "public", "deployment-url": ""},
                ]
            },
        )
    )  # fmt: skip
    first, second = run(network, lambda client: client.list_deployments())
    assert (first.state, first.is_settled, first.gpu_type) == ("teleporting", False, "gpu9")
    assert first.inference_engine_version == "9.9.9"
    assert first.replicas == 0
    assert first.deployment_url is None
    assert first.state_details is None
    assert second.id is None
    assert second.is_public
    assert second.deployment_url is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("https://a.example/v1", "https://a.example/v1"),
        ("https://a.example/v1/", "https://a.example/v1"),
        ("https://a.example", "https://a.example/v1"),
        ("https://a.example/x/", "https://a.example/x/v1"),
        ("", None),
        (None, None),
    ],
)
def test_deployment_urls_end_in_v1_exactly_once(
    run: Run, script: Any, sent: str | None, kept: str | None
) -> None:
    network = script(httpx.Response(200, json={"id": "d", "deployment-url": sent}))
    assert run(network, lambda client: client.get_deployment("d")).deployment_url == kept


def test_null_lists_are_empty_and_odd_lines_survive(run: Run, script: Any) -> None:
    network = script(httpx.Response(200, json={"deployments": None}))
    assert run(network, lambda client: client.list_deployments()) == ()
    network = script(
        httpx.Response(200, json={"logs": [{"message": None}, {"time": "t", "node": "n", "message": "m"}]})
    )
    logs = run(network, lambda client: client.get_deployment_logs("d"))
    assert [line.message for line in logs] == ["", "m"]


def test_an_unlimited_quota_has_no_limit(run: Run, script: Any) -> None:
    network = script(
        httpx.Response(
            200, json={"quotas": [{"resource": "a", "usage": 0, "limit": -1}, {"resource": "b", "limit": 0}]}
        )
    )
    first, second = run(network, lambda client: client.list_quotas())
    assert (first.limit, first.usage, second.limit, second.usage) == (None, 0, 0, None)


def test_an_operation_without_anything_is_neither_done_nor_failed(run: Run, script: Any) -> None:
    operation = run(script(httpx.Response(200, json={})), lambda client: client.delete_deployment("d"))
    assert not operation.succeeded
    assert not operation.failed
    assert operation.subject_id is None


def test_the_revealed_key_prints_as_a_mask(run: Run, script: Any) -> None:
    network = script(httpx.Response(200, json={"api-key": "planted-key"}))
    key = run(network, lambda client: client.reveal_deployment_api_key("d"))
    assert key.reveal() == "planted-key"
    assert "planted-key" not in f"{key!r}{key}"


@pytest.mark.parametrize("body", [b'{"api-key": {"value": "planted-key"}}', b'{"api-key": "planted-key"'])
def test_an_unreadable_key_answer_does_not_print_the_key(run: Run, script: Any, body: bytes) -> None:
    with pytest.raises(PlatformError) as caught:
        run(script(httpx.Response(200, content=body)), lambda client: client.reveal_deployment_api_key("d"))
    assert "planted-key" not in str(caught.value)
