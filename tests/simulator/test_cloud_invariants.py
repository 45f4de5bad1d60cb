"""Whatever is asked of the zone, in whatever order: its books balance. In process, on a clock that hurries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.simulator.bodies import CreateRequest, UpdateRequest
from harness.simulator.clock import SimulatedClock
from harness.simulator.cloud import Cloud, Settings
from harness.simulator.faults import Fault, FaultPlan, Rule
from harness.simulator.judge import packaged_documents
from harness.simulator.refusal import Dialect, Refusal

DOCUMENTS = packaged_documents()
RULES = (
    Rule(fault=Fault.OPERATION_FAILED, probability=0.2),
    Rule(fault=Fault.OPERATION_STUCK, probability=0.1, seconds=20),
    Rule(fault=Fault.DEPLOYMENT_ERROR, probability=0.2),
    Rule(fault=Fault.NO_CAPACITY, probability=0.1),
    Rule(fault=Fault.UNKNOWN_STATE, probability=0.1),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.sampled_from(["gpu3", "gpua5000", "gpua30"]), st.integers(1, 9)),
        st.tuples(st.just("scale"), st.integers(0, 5), st.integers(0, 12)),
        st.tuples(
            st.just("update"),
            st.integers(0, 5),
            st.sampled_from(["--max-model-len=2048", "--seed=x", "--no"]),
        ),
        st.tuples(st.just("delete"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 3.0, 30.0, 200.0])),
    ),
    max_size=25,
)


def perform(cloud: Cloud, step: tuple[Any, ...], name: str) -> None:
    """One call; a Refusal is one of the answers."""
    kind, *rest = step
    if kind == "create":
        cloud.create(
            CreateRequest(
                name, None, "Qwen/Qwen3-4B", rest[0], rest[1], 1, "0.15.1", ("--max-model-len=2048",)
            )
        )
        return
    alive = list(cloud.deployments)
    target = alive[rest[0] % len(alive)] if alive else "none"
    if kind == "scale":
        cloud.scale(target, rest[1])
    elif kind == "update":
        cloud.update(target, UpdateRequest(None, None, (rest[1],)))
    else:
        cloud.delete(target)


def check_books(cloud: Cloud) -> None:
    used: dict[str, int] = {}
    for record in cloud.deployments.values():
        used[record.gpu_type] = used.get(record.gpu_type, 0) + record.gpus
    assert {name: count for name, count in cloud.inventory.used.items() if count} == {
        name: count for name, count in used.items() if count
    }
    for name, family in cloud.inventory.families.items():
        assert 0 <= cloud.inventory.used.get(name, 0) <= min(family.quota, family.stock)
    alive = [record.name for record in cloud.deployments.values()]
    assert sorted(cloud.ledger.created) == sorted(cloud.ledger.deleted + alive)
    assert len(set(cloud.ledger.deleted)) == len(cloud.ledger.deleted)


async def end_all(cloud: Cloud) -> None:
    for _ in range(40_000):
        if not cloud.deployments:
            return
        for identity, record in list(cloud.deployments.items()):
            if not record.is_busy:
                cloud.delete(identity)
        await cloud.clock.sleep(5)
    raise AssertionError(f"still there: {cloud.deployments}")


async def run(plan: list[tuple[Any, ...]], seed: int) -> None:
    clock = SimulatedClock(20_000.0)
    faults = FaultPlan(RULES, seed=seed, clock=clock.now)
    cloud = Cloud(
        Settings(seed=seed), base_url="http://127.0.0.1:1", clock=clock, documents=DOCUMENTS, faults=faults
    )
    statuses: set[int] = set()
    try:
        for index, step in enumerate(plan):
            if step[0] == "wait":
                await clock.sleep(step[1])
            else:
                try:
                    perform(cloud, step, f"d{index}")
                except Refusal as refusal:
                    statuses.add(refusal.status)
            check_books(cloud)
        await end_all(cloud)
        check_books(cloud)
        assert not any(cloud.inventory.used.values())
        assert statuses <= {400, 403, 404, 409, 412}
        assert [operation for operation in cloud.operations.values() if operation.state == "pending"] == []
    finally:
        await cloud.close()


@settings(max_examples=40, deadline=None)
@given(plan=steps, seed=st.integers(0, 1000))
def test_gpus_and_deployments_are_accounted_for_after_every_call(
    plan: list[tuple[Any, ...]], seed: int
) -> None:
    asyncio.run(run(plan, seed))


def test_a_defect_of_the_simulator_ends_in_error_instead_of_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(spec: object) -> None:
        raise RuntimeError("no such table")

    async def main() -> tuple[str, str]:
        clock = SimulatedClock(20_000.0)
        cloud = Cloud(
            Settings(), base_url="http://127.0.0.1:1", clock=clock, documents=DOCUMENTS, faults=FaultPlan()
        )
        monkeypatch.setattr("harness.simulator.lifecycle.start_up", broken)
        perform(cloud, ("create", "gpu3", 1), "d")
        (record,) = cloud.deployments.values()
        for _ in range(20_000):
            if record.state == "error":
                break
            await clock.sleep(5)
        await cloud.close()
        return record.state, record.state_details

    assert asyncio.run(main()) == ("error", "the simulator failed: RuntimeError: no such table")


@pytest.mark.parametrize(("dialect", "shown"), [(Dialect.SEED, "deploying"), (Dialect.RFC9457, "updating")])
def test_a_restart_shows_the_dialects_own_state(dialect: Dialect, shown: str) -> None:
    async def main() -> str:
        clock = SimulatedClock(20_000.0)
        cloud = Cloud(
            Settings(dialect=dialect),
            base_url="http://127.0.0.1:1",
            clock=clock,
            documents=DOCUMENTS,
            faults=FaultPlan(),
        )
        perform(cloud, ("create", "gpu3", 1), "d")
        (record,) = cloud.deployments.values()
        while record.state != "ready":
            await clock.sleep(5)
        perform(cloud, ("update", 0, "--max-model-len=1024"), "d")
        await asyncio.sleep(0)  # the restart takes its first step
        state: str = record.entry(dialect)["state"]
        await cloud.close()
        return state

    assert asyncio.run(main()) == shown
