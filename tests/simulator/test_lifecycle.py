"""The zone's life cycle, driven by our client over real HTTP in both dialects."""

from __future__ import annotations

import asyncio
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
    NotFoundError,
    OperationFailed,
)
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.credentials import Credentials
from harness.exoscale.waiting import (
    Polling,
    delete_until_gone,
    wait_for_model,
    wait_for_operation,
    wait_until_settled,
)
from harness.secret import Secret
from harness.simulator.process import SimulatorProcess
from harness.simulator.refusal import Dialect
from harness.simulator.server import Options

Drive = Callable[..., Any]
Ask = Callable[..., Any]
MODEL = "Qwen/Qwen3-4B"
UNKNOWN = "00000000-0000-0000-0000-000000000000"


async def ready(client: ExoscaleClient, operation: Any, polling: Polling, **watch: Any) -> Any:
    await wait_for_operation(client, operation, polling=polling)
    return await wait_until_settled(client, operation.subject_id, polling=polling, **watch)


async def models_status(url: str, key: str) -> int:
    async with httpx.AsyncClient() as http:
        return (await http.get(f"{url}/models", headers={"authorization": f"Bearer {key}"})).status_code


def test_a_deployment_lives_from_create_to_404(
    simulator: SimulatorProcess, drive: Drive, ask: Ask, polling: Polling, dialect: Dialect
) -> None:
    states: list[str] = []

    async def use(client: ExoscaleClient) -> None:
        operation = await ask(client, "one")
        assert operation.state == "pending"
        deployment = await ready(client, operation, polling, on_state=states.append)
        assert deployment.state == "ready"
        assert deployment.inference_engine_version == "0.15.1"
        assert deployment.inference_engine_parameters == ("--max-model-len=4096",)
        assert deployment.model.name == MODEL
        assert deployment.visibility == (None if dialect is Dialect.SEED else "private")
        key = (await client.reveal_deployment_api_key(deployment.id)).reveal()
        assert await models_status(deployment.deployment_url, key) == 200
        assert await models_status(deployment.deployment_url, "wrong") == 401
        lines = [line.message for line in await client.get_deployment_logs(deployment.id, tail=500)]
        assert any("Application startup complete" in line for line in lines)
        assert len(await client.get_deployment_logs(deployment.id, tail=2)) == 2
        entry = next(found for found in await client.list_deployments() if found.name == "one")
        assert (entry.inference_engine_version, entry.state_details) == (None, None)
        await wait_for_operation(client, await client.delete_deployment(deployment.id), polling=polling)
        with pytest.raises(NotFoundError):
            await client.get_deployment(deployment.id)
        assert await models_status(deployment.deployment_url, key) == 404

    drive(simulator, use)
    assert states[-1] == "ready"


def test_wrong_values_end_in_error_with_the_engines_own_words(
    simulator: SimulatorProcess, drive: Drive, ask: Ask, polling: Polling
) -> None:
    async def use(client: ExoscaleClient) -> None:
        operation = await ask(client, "typo", parameters=["--max-model-len=many"])
        failed = await ready(client, operation, polling)
        assert failed.state == "error"
        assert "argument --max-model-len: invalid" in failed.state_details
        lines = [line.message for line in await client.get_deployment_logs(failed.id)]
        assert any("argument --max-model-len: invalid" in line for line in lines)

    drive(simulator, use)


def test_a_model_too_big_for_the_gpu_ends_in_error(
    simulator: SimulatorProcess, drive: Drive, ask: Ask, polling: Polling
) -> None:
    async def use(client: ExoscaleClient) -> Any:
        operation = await ask(client, "big", model="meta-llama/Llama-3.3-70B-Instruct", gpu_type="gpu3080ti")
        return await ready(client, operation, polling)

    failed = drive(simulator, use)
    assert failed.state == "error"
    assert "memory" in failed.state_details.lower()


REFUSED: list[tuple[dict[str, Any], type[ApiError], str]] = [
    ({"parameters": ["--foo-bar=1"]}, InvalidError, "Parameter 'foo-bar' is not allowed for vLLM 0.15.1"),
    ({"parameters": ["--task", "generate"]}, InvalidError, "Parameter 'task' is not allowed for vLLM 0.15.1"),
    ({"gpu_count": 9}, InvalidError, "count must be between 1 and 8"),
    ({"gpu_type": "gpu-a5000"}, InvalidError, "GPU type must be valid"),
    ({"replicas": 0}, InvalidError, "$['replicas']: is less than 1"),
    ({"engine_version": "0.19.1"}, InvalidError, 'enumeration ["0.12.0", "0.15.1"]'),
    ({"model": "nobody/nothing"}, NotFoundError, "The referenced model was not found."),
    ({"model": UNKNOWN}, NotFoundError, "The referenced model was not found."),
    ({"gpu_type": "gpua30"}, ForbiddenError, "quota of 0 gpua30 GPUs would be exceeded"),
    ({"gpu_count": 8, "replicas": 5}, ForbiddenError, "quota of 32 gpua5000 GPUs would be exceeded"),
]


@pytest.mark.parametrize(("changes", "kind", "words"), REFUSED, ids=[words for _, _, words in REFUSED])
def test_a_create_that_cannot_be_is_refused_and_leaves_nothing(
    simulator: SimulatorProcess,
    drive: Drive,
    ask: Ask,
    changes: dict[str, Any],
    kind: type[ApiError],
    words: str,
) -> None:
    before = simulator.state()["created"]
    with pytest.raises(kind) as caught:
        drive(simulator, lambda client: ask(client, "refused", **changes))
    assert words in str(caught.value)
    assert simulator.state()["created"] == before


def test_a_deployment_that_is_being_created_is_busy_and_has_no_url_and_no_log(
    unhurried: SimulatorProcess, ask: Ask
) -> None:
    async def main() -> None:
        client = ExoscaleClient(unhurried.credentials)
        operation = await ask(client, "busy")
        changes = (
            client.update_deployment(operation.subject_id, parameters=[]),
            client.scale_deployment(operation.subject_id, replicas=2),
            client.delete_deployment(operation.subject_id),
        )
        for change in changes:
            with pytest.raises(ConflictError):
                await change
        fresh = await client.get_deployment(operation.subject_id)
        assert (fresh.state, fresh.deployment_url) == ("creating", None)
        with pytest.raises(NotFoundError):
            await client.get_deployment_logs(operation.subject_id)

    asyncio.run(main())


def test_parameters_and_version_are_moved_by_patch(
    simulator: SimulatorProcess, drive: Drive, ask: Ask, polling: Polling
) -> None:
    async def use(client: ExoscaleClient) -> None:
        deployment = await ready(client, await ask(client, "moving"), polling)
        with pytest.raises(InvalidError):
            await client.update_deployment(deployment.id, parameters=["--foo-bar"])
        operation = await client.update_deployment(deployment.id, engine_version="0.12.0", parameters=[])
        moved = await ready(client, operation, polling)
        assert (moved.inference_engine_version, moved.inference_engine_parameters) == ("0.12.0", ())
        assert moved.deployment_url == deployment.deployment_url
        renamed = await client.update_deployment(deployment.id, name="moved")
        assert renamed.succeeded
        assert (await client.get_deployment(deployment.id)).name == "moved"

    drive(simulator, use)


def test_zero_replicas_keep_the_deployment_and_free_its_gpus(
    simulator: SimulatorProcess, drive: Drive, ask: Ask, polling: Polling
) -> None:
    async def use(client: ExoscaleClient) -> None:
        deployment = await ready(client, await ask(client, "sleeper", gpu_count=2), polling)
        key = (await client.reveal_deployment_api_key(deployment.id)).reveal()
        assert (await client.get_quota("gpua5000")).usage == 2
        slept = await ready(client, await client.scale_deployment(deployment.id, replicas=0), polling)
        assert slept.replicas == 0
        assert (await client.get_quota("gpua5000")).usage == 0
        assert await models_status(deployment.deployment_url, key) == 503
        woken = await ready(client, await client.scale_deployment(deployment.id, replicas=3), polling)
        assert woken.replicas == 3
        assert (await client.get_quota("gpua5000")).usage == 6
        assert await models_status(deployment.deployment_url, key) == 200
        with pytest.raises(ForbiddenError, match="quota"):
            await client.scale_deployment(deployment.id, replicas=17)

    drive(simulator, use)


def test_stock_beyond_the_quota_is_a_lack_of_capacity(tmp_path: Any, drive: Drive, ask: Ask) -> None:
    faults = tmp_path / "scarce.yaml"
    faults.write_text("stock: {gpua5000: 1}\n")
    with SimulatorProcess(Options(time_scale=1000, faults=faults)) as scarce:

        async def use(client: ExoscaleClient) -> None:
            with pytest.raises(CapacityError):
                await ask(client, "two", gpu_count=2)
            await ask(client, "one")
            families = {kind.family: kind.authorized for kind in await client.list_ai_instance_types()}
            assert families["gpua5000"] is False
            assert families["gpu3"] is True

        drive(scarce, use)


def test_models_are_imported_used_and_removed(
    simulator: SimulatorProcess, drive: Drive, ask: Ask, polling: Polling, dialect: Dialect
) -> None:
    async def use(client: ExoscaleClient) -> None:
        operation = await client.create_model("acme/small-7b")
        assert (await client.get_model(operation.subject_id)).name == "acme/small-7b"
        model = await wait_for_model(client, operation.subject_id, polling=polling)
        assert (model.state, model.name, model.model_size) == ("ready", "acme/small-7b", 16_000_000_000)
        with pytest.raises(ConflictError):
            await client.create_model("acme/small-7b")
        await client.delete_model(model.id)
        assert "acme/small-7b" not in [found.name for found in await client.list_models()]
        known = next(found for found in await client.list_models() if found.name == MODEL)
        await ask(client, "user", model=known.id)
        with pytest.raises(ApiError, match=r"in use by the deployments .*'user'"):
            await client.delete_model(known.id)

    drive(simulator, use)


@pytest.mark.parametrize(("name", "token", "state"), [
    ("no-such-repository", None, "error"), ("google/gated", None, "error"), ("google/gated-2", "hf_x", "ready"),
])  # fmt: skip
def test_models_that_cannot_be_had_end_in_error(
    simulator: SimulatorProcess, drive: Drive, polling: Polling, name: str, token: str | None, state: str
) -> None:
    async def use(client: ExoscaleClient) -> Any:
        operation = await client.create_model(name, huggingface_token=Secret(token) if token else None)
        model = await wait_for_model(client, operation.subject_id, polling=polling)
        await client.delete_model(model.id)
        return model

    assert drive(simulator, use).state == state


def test_lists_of_the_zone(simulator: SimulatorProcess, drive: Drive, dialect: Dialect) -> None:
    async def use(client: ExoscaleClient) -> None:
        zones = await client.list_zones()
        assert [zone.api_endpoint for zone in zones] == [simulator.credentials.endpoint]
        kinds = {kind.family: kind.authorized for kind in await client.list_ai_instance_types()}
        assert kinds["gpua5000"] is True
        assert kinds["gpua30"] is False
        quotas = {quota.resource: quota.limit for quota in await client.list_quotas()}
        assert (quotas["gpua5000"], quotas["instance"]) == (32, None)
        listed = await client.list_deployments()
        assert {found.name for found in listed if not found.is_public} == {"sweep-demo", "somebody-elses"}
        assert [found.id for found in listed if found.is_public] == (
            [] if dialect is Dialect.SEED else [None]
        )
        newest = await client.get_inference_engine_help()
        older = await client.get_inference_engine_help("0.12.0")
        assert (len(newest["parameters"]), len(older["parameters"])) == (207, 194)
        with pytest.raises(InvalidError):
            await client.get_inference_engine_help("9.9.9")

    drive(simulator, use)


BY_ID = (
    "get_deployment",
    "delete_deployment",
    "get_deployment_logs",
    "reveal_deployment_api_key",
    "get_operation",
    "get_model",
    "delete_model",
    "get_quota",
)


@pytest.mark.parametrize("method", BY_ID)
def test_what_does_not_exist_is_404(simulator: SimulatorProcess, drive: Drive, method: str) -> None:
    with pytest.raises(NotFoundError):
        drive(simulator, lambda client: getattr(client, method)(UNKNOWN))


def test_a_wrong_secret_is_refused_for_everything_but_zones(simulator: SimulatorProcess) -> None:
    good = simulator.credentials
    wrong = Credentials(key=good.key, secret=Secret("wrong"), zone=good.zone, endpoint=good.endpoint)

    async def main() -> None:
        async with ExoscaleClient(wrong) as client:
            assert len(await client.list_zones()) == 1
            with pytest.raises(ForbiddenError, match="Invalid request signature"):
                await client.list_deployments()

    asyncio.run(main())


def test_deleting_during_creation_stops_it(
    simulator: SimulatorProcess, drive: Drive, ask: Ask, polling: Polling
) -> None:
    async def use(client: ExoscaleClient) -> None:
        operation = await ask(client, "cut-short")
        await wait_for_operation(client, operation, polling=polling)
        done = await wait_for_operation(
            client, await client.delete_deployment(operation.subject_id), polling=polling
        )
        assert done.succeeded
        with pytest.raises(NotFoundError):
            await client.get_deployment(operation.subject_id)

    drive(simulator, use)
    state = simulator.state()
    assert "cut-short" in state["deleted"]
    assert state["gpus_in_use"] == {"gpu3080ti": 2}  # the two foreign deployments


def test_a_create_may_stay_pending_until_it_serves_or_fails(drive: Drive, ask: Ask, polling: Polling) -> None:
    with SimulatorProcess(Options(time_scale=1000, create_ends_served=True)) as zone:

        async def use(client: ExoscaleClient) -> None:
            served = await wait_for_operation(client, await ask(client, "good"), polling=polling)
            assert (await client.get_deployment(str(served.subject_id))).state == "ready"
            failing = await ask(client, "bad", parameters=["--max-model-len=many"])
            with pytest.raises(OperationFailed, match="argument --max-model-len: invalid"):
                await wait_for_operation(client, failing, polling=polling)
            assert (await client.get_deployment(failing.subject_id)).state == "error"

        drive(zone, use)
    with SimulatorProcess(Options(time_scale=20, create_ends_served=True)) as zone:

        async def cut_short(client: ExoscaleClient) -> Any:
            operation = await ask(client, "cut")
            await polling.sleep(0.2)  # four zone seconds: past its acceptance, far from ready
            await delete_until_gone(client, operation.subject_id, polling=polling)
            return await client.get_operation(operation.id)

        interrupted = drive(zone, cut_short)
        assert (interrupted.state, interrupted.reason) == ("failure", "interrupted")
