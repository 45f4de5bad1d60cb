"""Models a sweep brings into a zone: whose they are after lost answers, crashes and somebody else's doing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.errors import ConfigError
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.retries import RetryPolicy
from harness.exoscale.waiting import Polling
from harness.results.journal import Journal
from harness.simulator.process import SimulatorProcess
from harness.simulator.server import Options
from harness.sweep.models import ModelKeeper

MODEL = "my-org/my-model"
POLLING = Polling(20.0, interval=lambda elapsed_s: 0.02)
Work = Callable[[ExoscaleClient, Journal], Awaitable[Any]]


@pytest.fixture
def in_zone(tmp_path: Path, journal: Journal) -> Iterator[Callable[..., Any]]:
    """``in_zone(work, rules)``: some work in one zone with these faults, and the names of its models afterwards."""
    faults = tmp_path / "faults.yaml"
    running: list[SimulatorProcess] = []

    def run(work: Work, *rules: dict[str, object]) -> list[str]:
        faults.write_text(yaml.safe_dump({"faults": list(rules)}), encoding="utf-8")
        simulator = SimulatorProcess(Options(time_scale=5000.0, faults=faults))
        simulator.start()
        running.append(simulator)

        async def main() -> list[str]:
            policy = RetryPolicy(first_wait_s=0.01, longest_wait_s=0.05, deadline_s=3.0)
            async with ExoscaleClient(simulator.credentials, policy=policy) as client:
                await work(client, journal)
                return [str(model.name) for model in await client.list_models()]

        return asyncio.run(main())

    yield run
    for simulator in running:
        simulator.stop()


def keeper(client: ExoscaleClient) -> ModelKeeper:
    return ModelKeeper(client, huggingface_token=None, polling=POLLING)


async def ensure_and_remove(client: ExoscaleClient, journal: Journal) -> None:
    models = keeper(client)
    await models.ensure([MODEL], journal, say=lambda text: None)
    assert [model.state for model in await client.list_models() if model.name == MODEL] == ["ready"]
    assert await models.remove_created(journal, say=lambda text: None) == []


def kinds(journal: Journal) -> list[str]:
    return [event.kind for event in journal.events()]


def test_a_missing_model_is_created_and_deleted_again(in_zone, journal: Journal) -> None:
    assert MODEL not in in_zone(ensure_and_remove)
    assert kinds(journal) == ["model-create-intended", "model-created", "model-deleted"]


@pytest.mark.parametrize("fault", ["reset-after", "error-after"])
def test_a_model_whose_create_had_no_answer_is_ours(in_zone, journal: Journal, fault: str) -> None:
    assert MODEL not in in_zone(ensure_and_remove, {"fault": fault, "operation": "create-model", "times": 1})
    assert kinds(journal)[-2:] == ["model-created", "model-deleted"]


def test_a_model_that_somebody_else_creates_at_the_same_time_stays_theirs(in_zone, journal: Journal) -> None:
    async def overtaken(client: ExoscaleClient, journal: Journal) -> None:
        models = keeper(client)
        real_list, looked = client.list_models, []

        async def list_models() -> Any:
            found = await real_list()
            if not looked:  # it is not there when we look, and there when we create it
                looked.append(True)
                await client.create_model(MODEL)
            return found

        client.list_models = list_models  # type: ignore[method-assign]
        await models.ensure([MODEL], journal, say=lambda text: None)
        assert await models.remove_created(journal, say=lambda text: None) == []

    assert MODEL in in_zone(overtaken)
    assert "model-created" not in kinds(journal)


def test_a_model_of_an_earlier_attempt_is_deleted_by_the_one_that_is_told_to(
    in_zone, journal: Journal
) -> None:
    async def killed_and_resumed(client: ExoscaleClient, journal: Journal) -> None:
        await keeper(client).ensure([MODEL], journal, say=lambda text: None)
        await ensure_and_remove(client, journal)

    assert MODEL not in in_zone(killed_and_resumed)
    assert kinds(journal) == ["model-create-intended", "model-created", "model-deleted"]


def test_an_id_that_is_not_there_is_not_created(in_zone, journal: Journal) -> None:
    async def unknown(client: ExoscaleClient, journal: Journal) -> None:
        with pytest.raises(ConfigError, match=r"there are: .*Qwen/Qwen2\.5-7B-Instruct"):
            await keeper(client).ensure(
                ["11111111-2222-3333-4444-555555555555"], journal, say=lambda text: None
            )
        with pytest.raises(ConfigError, match="no Hugging Face repository"):
            await keeper(client).check([MODEL, "11111111-2222-3333-4444-555555555555"])

    in_zone(unknown)
    assert kinds(journal) == []
