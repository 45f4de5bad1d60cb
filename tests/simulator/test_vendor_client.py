"""The vendor's own client and API document against ours: an independent view of both ends of the wire."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import httpx
import pytest
from exoscale.api.exceptions import ExoscaleAPIAuthException, ExoscaleAPIClientException
from exoscale.api.v2 import Client
from jsonschema import Draft202012Validator

from harness.exoscale.client import ExoscaleClient
from harness.exoscale.credentials import Credentials
from harness.exoscale.waiting import Polling, wait_for_operation, wait_until_settled
from harness.secret import Secret
from harness.simulator.process import SimulatorProcess
from harness.simulator.refusal import Dialect

MODEL = "Qwen/Qwen3-4B"
UUID = "11111111-2222-3333-4444-555555555555"
PARAMETERS = ["--max-model-len=4096"]


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    text = resources.files("exoscale").joinpath("openapi.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


@pytest.fixture(scope="session")
def validate(document: dict[str, Any]) -> Callable[[Any, dict[str, Any]], list[str]]:
    """The complaints of the vendor's schema about a value."""

    def complaints(value: Any, schema: dict[str, Any]) -> list[str]:
        validator = Draft202012Validator({**schema, "components": document["components"]})
        return [error.message for error in validator.iter_errors(value)]

    return complaints


@pytest.fixture
def vendor(simulator: SimulatorProcess) -> Iterator[Client]:
    found = simulator.credentials
    client = Client(found.key, found.secret.reveal(), url=found.endpoint)
    yield client
    client.http_client.close()


def until_done(vendor: Client, operation: dict[str, Any]) -> dict[str, Any]:
    """The vendor's ``wait`` polls every three seconds; this polls its ``get_operation`` faster."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found: dict[str, Any] = vendor.get_operation(id=operation["id"])
        if found["state"] != "pending":
            return found
        time.sleep(0.01)
    raise AssertionError(f"still pending: {operation}")


def until_settled(vendor: Client, deployment_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found: dict[str, Any] = vendor.get_deployment(id=deployment_id)
        if found["state"] in ("ready", "error"):
            return found
        time.sleep(0.01)
    raise AssertionError("not settled")


def test_the_vendors_client_drives_a_whole_life_and_sees_what_ours_sees(
    simulator: SimulatorProcess, vendor: Client, drive: Callable[..., Any], polling: Polling
) -> None:
    operation = vendor.create_deployment(
        name="vendor",
        model={"name": MODEL},
        gpu_type="gpua5000",
        gpu_count=1,
        replicas=1,
        inference_engine_version="0.15.1",
        inference_engine_parameters=PARAMETERS,
    )
    assert until_done(vendor, operation)["state"] == "success"
    theirs = until_settled(vendor, operation["reference"]["id"])

    async def ours(client: ExoscaleClient) -> Any:
        created = await client.create_deployment(
            name="ours",
            model=MODEL,
            gpu_type="gpua5000",
            gpu_count=1,
            engine_version="0.15.1",
            parameters=PARAMETERS,
        )
        await wait_for_operation(client, created, polling=polling)
        deployment = await wait_until_settled(client, str(created.subject_id), polling=polling)
        seen = await client.get_deployment(theirs["id"])
        key = await client.reveal_deployment_api_key(theirs["id"])
        logs = await client.get_deployment_logs(theirs["id"], tail=3)
        same = {
            "key": key.reveal() == vendor.reveal_deployment_api_key(id=theirs["id"])["api-key"],
            "logs": [line.message for line in logs]
            == [line["message"] for line in vendor.get_deployment_logs(id=theirs["id"], tail=3)["logs"]],
            "help": await client.get_inference_engine_help("0.12.0")
            == vendor.get_inference_engine_help(version="0.12.0"),
            "types": [kind.family for kind in await client.list_ai_instance_types()]
            == [kind["family"] for kind in vendor.list_ai_instance_types()["instance-types"]],
            "quota": (await client.get_quota("gpua5000")).usage
            == vendor.get_quota(entity="gpua5000")["usage"],
            "list": [entry.name for entry in await client.list_deployments()]
            == [entry["name"] for entry in vendor.list_deployments()["deployments"]],
            "models": [model.id for model in await client.list_models()]
            == [model["id"] for model in vendor.list_models()["models"]],
        }
        assert same == dict.fromkeys(same, True)
        assert until_done(vendor, vendor.delete_deployment(id=theirs["id"]))["state"] == "success"
        return deployment, seen

    mine, seen = drive(simulator, ours)
    assert seen.name == "vendor"
    assert (mine.state, mine.gpu_type, mine.inference_engine_parameters) == (
        theirs["state"],
        theirs["gpu-type"],
        tuple(theirs["inference-engine-parameters"]),
    )
    with pytest.raises(ExoscaleAPIClientException) as caught:
        vendor.get_deployment(id=theirs["id"])
    assert caught.value.response.status_code == 404


def test_the_vendors_client_scales_updates_and_waits(simulator: SimulatorProcess, vendor: Client) -> None:
    operation = vendor.create_deployment(
        name="moving", model={"name": MODEL}, gpu_type="gpu3", gpu_count=1, replicas=1
    )
    assert until_done(vendor, operation)["state"] == "success"
    identity = operation["reference"]["id"]
    assert until_settled(vendor, identity)["state"] == "ready"
    until_done(vendor, vendor.scale_deployment(id=identity, replicas=2))
    assert vendor.get_deployment(id=identity)["replicas"] == 2
    until_done(vendor, vendor.update_deployment(id=identity, inference_engine_parameters=PARAMETERS))
    assert vendor.get_deployment(id=identity)["inference-engine-parameters"] == PARAMETERS
    until_done(vendor, vendor.delete_deployment(id=identity))
    assert vendor.wait(operation["id"])["state"] == "success"


def test_the_vendors_client_reads_our_refusals(simulator: SimulatorProcess, vendor: Client) -> None:
    with pytest.raises(ExoscaleAPIClientException, match="Parameter 'foo-bar' is not allowed"):
        vendor.create_deployment(
            name="x",
            model={"name": MODEL},
            gpu_type="gpua5000",
            gpu_count=1,
            replicas=1,
            inference_engine_parameters=["--foo-bar"],
        )
    stranger = Client(simulator.credentials.key, "wrong", url=simulator.credentials.endpoint)
    assert len(stranger.list_zones()["zones"]) == 1
    with pytest.raises(ExoscaleAPIAuthException, match="Invalid request signature"):
        stranger.list_deployments()
    stranger.http_client.close()


OPERATIONS: dict[str, Callable[[ExoscaleClient], Any]] = {
    "create-deployment": lambda c: c.create_deployment(
        name="n", model=MODEL, gpu_type="g", gpu_count=1, engine_version="0.15.1", parameters=PARAMETERS
    ),
    "list-deployments": lambda c: c.list_deployments(visibility="private"),
    "get-deployment": lambda c: c.get_deployment(UUID),
    "update-deployment": lambda c: c.update_deployment(
        UUID, name="n", engine_version="0.12.0", parameters=[]
    ),
    "scale-deployment": lambda c: c.scale_deployment(UUID, replicas=0),
    "delete-deployment": lambda c: c.delete_deployment(UUID),
    "get-deployment-logs": lambda c: c.get_deployment_logs(UUID, tail=10),
    "reveal-deployment-api-key": lambda c: c.reveal_deployment_api_key(UUID),
    "list-ai-instance-types": lambda c: c.list_ai_instance_types(),
    "get-inference-engine-help": lambda c: c.get_inference_engine_help("0.15.1"),
    "create-model": lambda c: c.create_model("o/m", huggingface_token=Secret("hf_x")),
    "list-models": lambda c: c.list_models(),
    "get-model": lambda c: c.get_model(UUID),
    "delete-model": lambda c: c.delete_model(UUID),
    "get-operation": lambda c: c.get_operation(UUID),
    "list-zones": lambda c: c.list_zones(),
    "list-quotas": lambda c: c.list_quotas(),
    "get-quota": lambda c: c.get_quota("gpua5000"),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_our_requests_are_what_the_vendors_document_describes(
    document: dict[str, Any], validate: Callable[..., list[str]], operation: str
) -> None:
    sent: list[httpx.Request] = []

    def network(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(404, json={"error": "no"})

    async def main() -> None:
        credentials = Credentials("EXO", Secret("s"), "ch-gva-2", "https://api-ch-gva-2.exoscale.com/v2")
        async with ExoscaleClient(credentials, transport=httpx.MockTransport(network)) as client:
            with pytest.raises(Exception, match="404"):
                await OPERATIONS[operation](client)

    asyncio.run(main())
    assert len(sent) == 1
    path, method, described = next(
        (path, method, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
        if described["operationId"] == operation
    )
    wanted = path.replace("{id}", UUID).replace("{entity}", "gpua5000")
    assert (sent[0].method.lower(), sent[0].url.path) == (method, f"/v2{wanted}")
    queries = {entry["name"] for entry in described.get("parameters", []) if entry["in"] == "query"}
    assert set(sent[0].url.params) <= queries
    if "requestBody" in described:
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        body = json.loads(sent[0].content)
        assert validate(body, schema) == []
        name = schema.get("$ref", "").rpartition("/")[2]
        known = (document["components"]["schemas"][name] if name else schema)["properties"]
        assert set(body) <= set(known)
    else:
        assert sent[0].content == b""


def test_the_simulators_answers_fit_the_vendors_document(
    simulator: SimulatorProcess,
    vendor: Client,
    document: dict[str, Any],
    validate: Callable[..., list[str]],
    dialect: Dialect,
) -> None:
    if dialect is Dialect.SEED:
        pytest.skip("the vendor's document is of the newer dialect")
    schemas = {
        described["operationId"]: described["responses"]["200"]["content"]["application/json"]["schema"]
        for methods in document["paths"].values()
        for described in methods.values()
        if "200" in described["responses"]
    }
    created = vendor.create_deployment(
        name="checked", model={"name": MODEL}, gpu_type="gpua5000", gpu_count=1, replicas=1
    )
    until_done(vendor, created)
    identity = created["reference"]["id"]
    while_creating = vendor.get_deployment(id=identity)
    when_ready = until_settled(vendor, identity)
    model = vendor.list_models()["models"][0]
    answers = [
        ("create-deployment", created),
        ("get-deployment", while_creating),
        ("get-deployment", when_ready),
        ("list-deployments", vendor.list_deployments()),
        ("get-deployment-logs", vendor.get_deployment_logs(id=identity)),
        ("reveal-deployment-api-key", vendor.reveal_deployment_api_key(id=identity)),
        ("list-ai-instance-types", vendor.list_ai_instance_types()),
        ("get-inference-engine-help", vendor.get_inference_engine_help()),
        ("list-models", vendor.list_models()),
        ("get-model", vendor.get_model(id=model["id"])),
        ("list-quotas", vendor.list_quotas()),
        ("get-quota", vendor.get_quota(entity="gpu3")),
        ("delete-deployment", vendor.delete_deployment(id=identity)),
    ]
    complaints = {operation: validate(answer, schemas[operation]) for operation, answer in answers}
    assert len(answers) == 13
    assert complaints == {operation: [] for operation, _ in answers}
