"""Clean-up deletes what a journal names and may be alive, proves it, and touches nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.errors import NetworkError
from harness.results.journal import Journal, read_events
from harness.results.spending import paid_stretches
from harness.sweep.cleanup import Cleaned, clean_folder, run_folders
from harness.sweep.deployers import Deployer
from harness.sweep.lifecycle import Patience
from harness.sweep.states import Life, replay


def dead_sweep(folder: Path, events: list[tuple[str, str | None, dict[str, Any]]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with Journal.create(folder / "journal.sqlite") as journal:
        for kind, run_id, data in events:
            journal.append(kind, run_id=run_id, data=data)


def clean(folder: Path, platform: Deployer) -> Cleaned:
    @asynccontextmanager
    async def cloud(path: Path, started: Mapping[str, Any]) -> AsyncIterator[tuple[Deployer, Patience]]:
        yield platform, Patience(delete_s=0.3, find_s=0.0, resend_s=0.05, poll_s=0.0, retry_s=0.001)

    return asyncio.run(clean_folder(folder, cloud))


STARTED = ("sweep-started", None, {"deployer": "exoscale"})


def test_what_is_alive_is_deleted_and_what_is_foreign_stays(platform, tmp_path: Path) -> None:
    platform.alive = {"id-7": "harness-a", "id-8": "harness-b-of-somebody-else"}
    dead_sweep(
        tmp_path,
        [
            STARTED,
            ("create-intended", "r0", {"name": "harness-a"}),
            ("created", "r0", {"deployment_id": "id-7"}),
        ],
    )
    cleaned = clean(tmp_path, platform)
    assert [ledger.name for ledger in cleaned.deleted] == ["harness-a"]
    assert cleaned.remaining == ()
    assert platform.alive == {"id-8": "harness-b-of-somebody-else"}
    assert replay(read_events(tmp_path / "journal.sqlite"))["r0"].life is Life.GONE


def test_an_intent_whose_create_went_through_is_found_by_its_name(platform, tmp_path: Path) -> None:
    platform.alive = {"id-3": "harness-a"}
    dead_sweep(tmp_path, [STARTED, ("create-intended", "r0", {"name": "harness-a"})])
    assert len(clean(tmp_path, platform).deleted) == 1
    assert platform.alive == {}


def test_an_intent_whose_create_never_arrived_is_closed(platform, tmp_path: Path) -> None:
    dead_sweep(tmp_path, [STARTED, ("create-intended", "r0", {"name": "harness-a"})])
    assert clean(tmp_path, platform).remaining == ()
    assert platform.deleted == []


def test_what_cannot_be_deleted_remains_with_the_reason(platform, tmp_path: Path) -> None:
    platform.alive = {"id-7": "harness-a"}
    platform.faults["delete"] = [NetworkError("no route to host")] * 10_000
    dead_sweep(
        tmp_path,
        [
            STARTED,
            ("create-intended", "r0", {"name": "harness-a"}),
            ("created", "r0", {"deployment_id": "id-7"}),
        ],
    )
    cleaned = clean(tmp_path, platform)
    assert [(ledger.name, why) for ledger, why in cleaned.remaining] == [("harness-a", "no route to host")]


def test_an_embedded_cloud_that_is_gone_took_its_deployments_with_it(platform, tmp_path: Path) -> None:
    platform.faults["delete"] = [NetworkError("connection refused")] * 10_000
    started = ("sweep-started", None, {"deployer": "exoscale", "embedded": True})
    dead_sweep(
        tmp_path,
        [
            started,
            ("create-intended", "r0", {"name": "harness-a"}),
            ("created", "r0", {"deployment_id": "id-7"}),
        ],
    )
    assert clean(tmp_path, platform).remaining == ()


def test_what_an_embedded_cloud_had_is_not_paid_for_after_its_last_word(platform, tmp_path: Path) -> None:
    platform.faults["delete"] = [NetworkError("connection refused")] * 10_000
    # In virtual time, say: a clean-up by this machine's clock would count some twenty years.
    times = iter((1000.0, 1001.0, 1010.0, 1361.0))
    with Journal.create(tmp_path / "journal.sqlite", clock=lambda: next(times)) as journal:
        journal.append("sweep-started", data={"deployer": "exoscale", "embedded": True, "virtual": True})
        shape = {"gpu_type": "gpua5000", "gpu_count": 2, "replicas": 1}
        journal.append("create-intended", run_id="r0", data={"name": "harness-a", **shape})
        journal.append("created", run_id="r0", data={"deployment_id": "id-7"})
        journal.append("provisioning", run_id="r0", data={"state": "deploying"})
    assert clean(tmp_path, platform).remaining == ()
    [paid] = paid_stretches(read_events(tmp_path / "journal.sqlite"))
    assert paid.until_unix == 1361.0
    assert paid.gpu_hours(now_unix=9e9) == pytest.approx(0.2)  # two GPUs for 360 s


def test_a_clean_sweep_needs_no_cloud(platform, tmp_path: Path) -> None:
    dead_sweep(tmp_path, [STARTED, ("measured", "r0", {})])
    assert clean(tmp_path, platform) == Cleaned(tmp_path, (), ())


def test_run_folders_are_those_with_a_journal(tmp_path: Path) -> None:
    dead_sweep(tmp_path / "b", [STARTED])
    dead_sweep(tmp_path / "a", [STARTED])
    (tmp_path / "other").mkdir()
    assert list(run_folders(tmp_path)) == [tmp_path / "a", tmp_path / "b"]
    assert list(run_folders(tmp_path / "a")) == [tmp_path / "a"]


UNANSWERED = [
    STARTED,
    ("create-intended", "c-r0", {"name": "harness-a"}),
    ("deleted", "c-r0", {"never_created": True, "not_found": True}),
    ("failed", "c-r0", {"cause": "network"}),
]


def test_a_deployment_created_after_the_lookup_gave_up_is_found_and_deleted(platform, tmp_path: Path) -> None:
    platform.alive = {"id-7": "harness-a", "id-8": "harness-b-of-somebody-else"}
    dead_sweep(tmp_path, UNANSWERED)
    cleaned = clean(tmp_path, platform)
    assert [ledger.name for ledger in cleaned.deleted] == ["harness-a"]
    assert cleaned.remaining == ()
    assert platform.deleted == ["id-7"]
    ledger = replay(read_events(tmp_path / "journal.sqlite"))["c-r0"]
    assert (ledger.life, ledger.cause) == (Life.GONE, "network")
    assert clean(tmp_path, platform).deleted == ()


def test_a_create_whose_absence_cannot_be_looked_up_remains(platform, tmp_path: Path) -> None:
    platform.faults["find"] = [NetworkError("no route")]
    dead_sweep(tmp_path, UNANSWERED)
    cleaned = clean(tmp_path, platform)
    assert [(ledger.name, trouble) for ledger, trouble in cleaned.remaining] == [("harness-a", "no route")]


def test_a_create_that_the_platform_refused_needs_no_second_look(platform, tmp_path: Path) -> None:
    platform.faults["find"] = [NetworkError("no route")]
    events = [*UNANSWERED]
    events[2] = ("deleted", "c-r0", {"never_created": True})
    dead_sweep(tmp_path, events)
    assert clean(tmp_path, platform).remaining == ()
    assert len(platform.faults["find"]) == 1
