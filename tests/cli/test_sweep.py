"""``harness sweep`` and ``harness cleanup`` as processes against a simulated cloud, which is asked what is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness.exoscale.client import ExoscaleClient
from harness.exoscale.waiting import Polling, wait_until_settled
from harness.results.journal import read_events
from harness.results.store import read_records
from harness.sweep.states import Result, replay

DELETES_FAIL = """\
faults:
  - {fault: server-error, operation: delete-deployment, status: 500}
"""


def test_a_sweep_measures_every_cell_and_leaves_nothing(make_cloud, sweep_file: Path, tmp_path: Path) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    ran = cloud.run("sweep", str(sweep_file), "--yes", "--results", str(results), "--json")
    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout)
    assert (summary["measured"], summary["failed"], summary["refused"]) == (2, 0, 0)
    state = cloud.state()
    assert len(state["created"]) == 2
    assert state["alive"] == []
    assert len(list((results / "records").glob("*.parquet"))) == 2
    assert "SIMULATED" in (results / "report.md").read_text(encoding="utf-8").splitlines()[0].upper()


def test_a_results_folder_is_not_overwritten(make_cloud, sweep_file: Path, tmp_path: Path) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    results.mkdir()
    (results / "journal.sqlite").write_bytes(b"")
    ran = cloud.run("sweep", str(sweep_file), "--yes", "--results", str(results))
    assert ran.returncode == 2
    assert cloud.state()["created"] == []


@pytest.mark.parametrize("moment", ["create-intended", "provisioning", "measuring-started"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_tears_down_and_reports(
    make_cloud, sweep_file: Path, tmp_path: Path, wait_for, *, moment: str, number: int
) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    process = cloud.start(
        "sweep", str(sweep_file), "--yes", "--results", str(results), "--parallel-deployments", "1"
    )
    wait_for(results, moment, process=process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    counts = "2 runs: 0 measured, 0 failed, 0 skipped, 0 refused, 1 interrupted, 1 not started"
    assert out.startswith(counts), out
    assert "Traceback" not in err
    assert cloud.state()["alive"] == []
    assert (results / "report.md").exists()
    assert signal.Signals(number).name in err
    kinds = [event.kind for event in read_events(results / "journal.sqlite")]
    assert "sweep-interrupted" in kinds


def test_the_second_interrupt_prints_live_deployments(
    make_cloud, sweep_file: Path, tmp_path: Path, wait_for
) -> None:
    cloud, results = make_cloud(DELETES_FAIL), tmp_path / "out"
    process = cloud.start("sweep", str(sweep_file), "--yes", "--results", str(results))
    wait_for(results, "provisioning", process=process)
    process.send_signal(signal.SIGINT)
    wait_for(results, "delete-intended", process=process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    alive = cloud.state()["alive"]
    assert process.returncode == 3
    assert alive
    for deployment in alive:
        assert deployment["name"] in err
    assert "harness cleanup" in err


@pytest.mark.parametrize(
    "moment", ["create-intended", "provisioning", "measuring-started", "delete-intended"]
)
def test_a_killed_sweep_is_cleaned_up_and_foreign_deployments_stay(
    make_cloud, sweep_file: Path, tmp_path: Path, wait_for, *, moment: str
) -> None:
    cloud, results = make_cloud(foreign=("harness-somebody-elses", "production")), tmp_path / "out"
    process = cloud.start("sweep", str(sweep_file), "--yes", "--results", str(results))
    wait_for(results, moment, process=process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    cleaned = cloud.run("cleanup", str(results), "--json")
    assert cleaned.returncode == 0, cleaned.stderr
    assert json.loads(cleaned.stdout)[0]["remaining"] == []
    state = cloud.state()
    assert state["alive"] == []
    assert sorted(kept["name"] for kept in state["foreign"]) == ["harness-somebody-elses", "production"]


def test_a_killed_sweep_resumes_and_keeps_what_was_measured(
    make_cloud, sweep_file: Path, tmp_path: Path, wait_for
) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    process = cloud.start(
        "sweep", str(sweep_file), "--yes", "--results", str(results), "--parallel-deployments", "1"
    )
    wait_for(results, "measured", process=process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    first = {path.name: path.stat().st_mtime_ns for path in (results / "records").glob("*.parquet")}
    assert len(first) == 1
    resumed = cloud.run("sweep", "--resume", str(results), "--yes", "--json")
    assert resumed.returncode == 0, resumed.stderr
    ledgers = replay(read_events(results / "journal.sqlite"))
    assert [ledger.result for ledger in ledgers.values()] == [Result.MEASURED] * 2
    after = {path.name: path.stat().st_mtime_ns for path in (results / "records").glob("*.parquet")}
    assert len(after) == 2
    assert {name: after[name] for name in first} == first
    assert cloud.state()["alive"] == []


def test_an_impossible_cell_is_refused_before_any_create(
    make_cloud, sweep_file: Path, tmp_path: Path
) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    text = sweep_file.read_text(encoding="utf-8").replace("--max-model-len=4096", "--max-model-length=4096")
    sweep_file.write_text(text, encoding="utf-8")
    ran = cloud.run("sweep", str(sweep_file), "--yes", "--results", str(results))
    assert ran.returncode == 1
    assert "unknown-flag" in ran.stderr
    assert cloud.state()["created"] == []
    assert "unknown-flag" in (results / "report.md").read_text(encoding="utf-8")


def test_wrong_credentials_are_one_clear_line_and_nothing_is_created(
    make_cloud, sweep_file: Path, tmp_path: Path
) -> None:
    cloud = make_cloud()
    cloud.environment["EXOSCALE_API_SECRET"] = "not-the-secret-of-this-cloud"
    ran = cloud.run("sweep", str(sweep_file), "--yes", "--results", str(tmp_path / "out"))
    assert ran.returncode == 3
    assert "403" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "not-the-secret-of-this-cloud" not in ran.stdout + ran.stderr
    assert cloud.state()["created"] == []


def test_no_secret_is_in_any_file_or_output(make_cloud, sweep_file: Path, tmp_path: Path) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    ran = cloud.run("sweep", str(sweep_file), "--yes", "--results", str(results))
    assert ran.returncode == 0, ran.stderr
    secret = cloud.environment["EXOSCALE_API_SECRET"].encode()
    files = [path for path in results.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if secret in path.read_bytes()]
    assert secret.decode() not in ran.stdout + ran.stderr


def test_a_model_that_the_zone_lacks_is_created_and_removed_only_when_asked(
    make_cloud, sweep_file: Path, tmp_path: Path
) -> None:
    cloud, absent = make_cloud(), "Qwen/Qwen2.5-0.5B"
    text = sweep_file.read_text(encoding="utf-8")
    sweep_file.write_text(text.replace("Qwen/Qwen2.5-7B-Instruct", absent), encoding="utf-8")
    ran = cloud.run("sweep", str(sweep_file), "--yes", "--results", str(tmp_path / "kept"))
    assert ran.returncode == 0, ran.stderr
    assert f"creating model {absent}" in ran.stderr
    again = cloud.run(
        "sweep", str(sweep_file), "--yes", "--results", str(tmp_path / "again"), "--delete-models"
    )
    assert again.returncode == 0, again.stderr
    assert "creating model" not in again.stderr
    events = [event.kind for event in read_events(tmp_path / "again" / "journal.sqlite")]
    assert "model-deleted" not in events  # it was there before this sweep


def test_a_model_created_by_the_sweep_is_deleted_with_delete_models(
    make_cloud, sweep_file: Path, tmp_path: Path
) -> None:
    cloud = make_cloud()
    text = sweep_file.read_text(encoding="utf-8")
    sweep_file.write_text(text.replace("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-0.5B"), encoding="utf-8")
    ran = cloud.run("sweep", str(sweep_file), "--yes", "--results", str(tmp_path / "out"), "--delete-models")
    assert ran.returncode == 0, ran.stderr
    kinds = [event.kind for event in read_events(tmp_path / "out" / "journal.sqlite")]
    assert kinds.count("model-created") == kinds.count("model-deleted") == 1
    assert cloud.state()["requests"]["delete-model"] == 1


def test_an_unknown_model_id_says_which_models_there_are(
    make_cloud, sweep_file: Path, tmp_path: Path
) -> None:
    cloud = make_cloud()
    text = sweep_file.read_text(encoding="utf-8")
    sweep_file.write_text(text.replace("Qwen/Qwen2.5-7B-Instruct", "no-such-model"), encoding="utf-8")
    ran = cloud.run("sweep", str(sweep_file), "--yes", "--results", str(tmp_path / "out"))
    assert ran.returncode == 2, ran.stderr
    assert "mistralai/Mistral-7B-Instruct-v0.3" in ran.stderr
    assert cloud.state()["created"] == []


def test_a_quota_holds_back_what_would_pass_it_and_skips_what_never_fits(
    make_cloud, sweep_file: Path, tmp_path: Path
) -> None:
    cloud, results = make_cloud("quotas: {gpua5000: 1}\n"), tmp_path / "out"
    ran = cloud.run("sweep", str(sweep_file), "--yes", "--results", str(results), "--json")
    summary = json.loads(ran.stdout)
    assert (summary["measured"], summary["skipped"]) == (1, 1)
    assert "quota leaves 1" in (results / "report.md").read_text(encoding="utf-8")
    assert len(cloud.state()["created"]) == 1


def test_reuse_moves_one_deployment_through_the_cells(make_cloud, sweep_file: Path, tmp_path: Path) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    text = sweep_file.read_text(encoding="utf-8").replace(
        "gpu-count: [1, 2]",
        'gpu-count: [1]\n  parameters: {a: [], b: ["--max-num-seqs=32"]}\n  replicas: [1, 2]',
    )
    sweep_file.write_text(text, encoding="utf-8")
    ran = cloud.run("sweep", str(sweep_file), "--yes", "--reuse", "--results", str(results), "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["measured"] == 4
    state = cloud.state()
    assert len(state["created"]) == 1
    assert state["alive"] == []
    assert state["requests"]["update-deployment"] == 3
    assert state["requests"]["scale-deployment"] == 1


def test_an_existing_endpoint_is_loaded_and_left_alone(make_cloud, sweep_file: Path, tmp_path: Path) -> None:
    cloud, kept = make_cloud(), tmp_path / "kept"
    text = sweep_file.read_text(encoding="utf-8").replace("gpu-count: [1, 2]", "gpu-count: [1]")
    sweep_file.write_text(text, encoding="utf-8")
    two = tmp_path / "two.yaml"
    two.write_text(text.replace("gpu-count: [1]", "gpu-count: [1, 2]"), encoding="utf-8")
    refused = cloud.run("sweep", str(two), "--endpoint", "http://127.0.0.1:1/v1")
    assert refused.returncode == 2
    assert "one cell" in refused.stderr
    endpoint, key = asyncio.run(deploy(cloud))
    cloud.environment["ENDPOINT_KEY"] = key
    arguments = ["--endpoint", endpoint, "--api-key-env", "ENDPOINT_KEY", "--results", str(kept)]
    ran = cloud.run("sweep", str(sweep_file), *arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["measured"] == 1
    state = cloud.state()
    assert [alive["name"] for alive in state["alive"]] == ["kept-by-hand"]
    assert len(state["created"]) == 1
    # Nobody said that it is a simulator's: the endpoint did.
    assert json.loads((kept / "resolved.json").read_text(encoding="utf-8"))["simulated"] is True
    assert (kept / "report.md").read_text(encoding="utf-8").count("SIMULATED") >= 1
    [records] = (kept / "records").glob("*.parquet")
    assert read_records(records).meta.simulated is True


def test_a_load_test_of_a_simulated_endpoint_says_so(make_cloud, tmp_path: Path) -> None:
    cloud = make_cloud()
    endpoint, cloud.environment["ENDPOINT_KEY"] = asyncio.run(deploy(cloud))
    few = ["--requests", "4", "--warmup", "0", "--input-tokens", "20", "--output-tokens", "5"]
    written = ["--json", str(tmp_path / "load.json"), "--records", str(tmp_path / "records")]
    ran = cloud.run("load", endpoint, "--api-key-env", "ENDPOINT_KEY", *few, *written)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("SIMULATED: ")
    assert json.loads((tmp_path / "load.json").read_text(encoding="utf-8"))["simulated"] is True
    assert read_records(tmp_path / "records" / "stage-1.parquet").meta.simulated is True


def test_a_wrong_api_address_is_said_to_be_one(make_cloud, sweep_file: Path, tmp_path: Path) -> None:
    cloud = make_cloud()
    address = cloud.environment["EXOSCALE_API_ENDPOINT"].removesuffix("/v2")
    cloud.environment["EXOSCALE_API_ENDPOINT"] = f"{address}/v1"
    ran = cloud.run("sweep", str(sweep_file), "--yes", "--results", str(tmp_path / "out"))
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1].endswith(
        "list-ai-instance-types refused (404): no such resource; the address ends in /v2"
    )
    loaded = cloud.run("load", address)
    assert loaded.returncode == 1
    assert loaded.stderr == f"error: {address}/v1 refused the model list (404): no such resource\n"


async def deploy(cloud: Any) -> tuple[str, str]:
    """A deployment made by hand, as its keeper would: its URL and key."""
    async with ExoscaleClient(cloud.simulator.credentials) as client:
        operation = await client.create_deployment(
            name="kept-by-hand",
            model="Qwen/Qwen2.5-7B-Instruct",
            gpu_type="gpua5000",
            gpu_count=1,
            engine_version="0.15.1",
            parameters=["--max-model-len=4096"],
        )
        assert operation.subject_id is not None
        polling = Polling(30.0, interval=lambda elapsed_s: 0.05)
        settled = await wait_until_settled(client, operation.subject_id, polling=polling)
        assert settled.deployment_url is not None
        key = await client.reveal_deployment_api_key(operation.subject_id)
        return settled.deployment_url, key.reveal()
