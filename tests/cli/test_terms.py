"""What was agreed to holds: the sum that is asked about, limits over several attempts, the cloud a journal is of."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli.clouds import key_digest
from harness.cli.earlier_clouds import refuse_another_cloud
from harness.errors import CredentialsError
from harness.exoscale.credentials import Credentials
from harness.results.journal import Journal, read_events
from harness.results.spending import paid_stretches
from harness.secret import Secret
from harness.sweep.states import Result, replay

PRICES = """\
currency: EUR
as-of: "2026-01"
what: a test
per-hour: {gpua5000: {1: 1.20, 2: 2.40, 4: 4.80}}
"""
KEY = Credentials("EXOone", Secret("s"), "ch-gva-2", "https://api-ch-gva-2.exoscale.com/v2")


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.yaml"
    path.write_text(PRICES, encoding="utf-8")
    return path


def test_the_question_names_the_sum_with_its_interval_and_no_means_no(
    make_cloud: Callable[..., Any], sweep_file: Path, prices: Path, tmp_path: Path
) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    ran = cloud.run("sweep", str(sweep_file), "--prices", str(prices), "--results", str(results), given="n\n")
    assert ran.returncode == 130
    asked = ran.stderr.splitlines()[-1]
    figure = r"\d+\.\d\d"
    form = (
        f"Launch these deployments for about {figure} GPU-hours \\({figure} to {figure}\\), "
        f"{figure} EUR \\({figure} to {figure}\\) by the price file\\?"
    )
    assert re.match(form, asked), ran.stderr
    assert cloud.state()["created"] == []
    assert not results.exists()


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--virtual",), 2, "--virtual is a way to --simulate"),
        (("--simulate", "--local"), 2, "exclude each other"),
        (("--faults", "nowhere.yaml"), 2, "--faults are the simulated cloud's"),
        (("--simulate", "--faults", "nowhere.yaml"), 2, "cannot read the fault file 'nowhere.yaml'"),
        (("--prices", "nowhere.yaml"), 2, "cannot read the price table 'nowhere.yaml'"),
        (("--max-cost", "1"), 2, "--max-cost needs --prices FILE"),
    ],
)
def test_what_can_be_refused_is_refused_before_anything_is_asked(
    make_cloud: Callable[..., Any],
    sweep_file: Path,
    tmp_path: Path,
    *,
    options: tuple[str, ...],
    code: int,
    told: str,
) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    ran = cloud.run("sweep", str(sweep_file), *options, "--results", str(results), given="y\n")
    assert ran.returncode == code, ran.stderr
    assert told in ran.stderr.splitlines()[-1]
    assert "Launch these" not in ran.stderr
    assert cloud.state()["created"] == []
    assert not results.exists()


def test_no_question_without_credentials_or_a_place_for_results_or_a_model(
    make_cloud: Callable[..., Any], sweep_file: Path, tmp_path: Path
) -> None:
    cloud, taken = make_cloud(), tmp_path / "taken"
    taken.mkdir()
    (taken / "resolved.json").write_text("{}", encoding="utf-8")
    occupied = cloud.run("sweep", str(sweep_file), "--results", str(taken), given="y\n")
    assert (occupied.returncode, "Launch" in occupied.stderr) == (2, False), occupied.stderr
    assert "holds a run already" in occupied.stderr

    unknown = tmp_path / "unknown.yaml"
    text = sweep_file.read_text(encoding="utf-8").replace("Qwen/Qwen2.5-7B-Instruct", "not-in-this-zone")
    unknown.write_text(text, encoding="utf-8")
    modelless = cloud.run("sweep", str(unknown), "--results", str(tmp_path / "out"), given="y\n")
    assert (modelless.returncode, "Launch" in modelless.stderr) == (2, False), modelless.stderr
    assert "no model 'not-in-this-zone' in this zone" in modelless.stderr

    cloud.environment["EXOSCALE_API_SECRET"] = "wrong"
    refused = cloud.run("sweep", str(sweep_file), "--results", str(tmp_path / "out"), given="y\n")
    assert (refused.returncode, "Launch" in refused.stderr) == (3, False), refused.stderr
    assert not (tmp_path / "out").exists()
    assert cloud.state()["created"] == []


def launched(results: Path) -> dict[str, Result]:
    return {run: ledger.result for run, ledger in replay(read_events(results / "journal.sqlite")).items()}


def test_a_resumed_sweep_goes_on_under_its_limit_and_counts_what_was_spent(
    make_cloud: Callable[..., Any], sweep_file: Path, prices: Path, tmp_path: Path
) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    # A start takes 1 s and a deletion 0.1 s at this pace, and the load 5 s: one GPU is estimated at 6.1 GPU-seconds,
    # four at 24.4. The limit is 18: four would pass it however little the one really took.
    text = sweep_file.read_text(encoding="utf-8").replace("gpu-count: [1, 2]", "gpu-count: [1, 4]")
    text = text.replace(
        "{concurrency: 2, requests: 6, warmup: 0s}", "{concurrency: 2, duration: 5s, warmup: 0s}"
    )
    sweep_file.write_text(text, encoding="utf-8")
    limits = ("--prices", str(prices), "--max-gpu-hours", "0.005")
    first = cloud.run("sweep", str(sweep_file), "--yes", *limits, "--results", str(results))
    assert first.returncode == 0, first.stderr
    assert sorted(launched(results).values()) == sorted([Result.MEASURED, Result.SKIPPED])
    spent = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    assert spent["gpu_hours"] > 0
    assert spent["cost"] == pytest.approx(1.20 * spent["gpu_hours"])

    again = cloud.run("sweep", "--resume", str(results), "--yes")
    assert len(cloud.state()["created"]) == 1, again.stderr
    assert "earlier attempts took" in again.stderr
    kept = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    assert (kept["gpu_hours"], kept["cost"]) == (spent["gpu_hours"], spent["cost"])

    more = cloud.run("sweep", "--resume", str(results), "--yes", "--max-gpu-hours", "5")
    assert more.returncode == 0, more.stderr
    assert set(launched(results).values()) == {Result.MEASURED}
    total = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    assert total["gpu_hours"] > spent["gpu_hours"]
    assert total["currency"] == "EUR"


def test_what_a_killed_attempt_spent_leaves_less_for_the_next(
    make_cloud: Callable[..., Any], sweep_file: Path, tmp_path: Path
) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    limit = ("--max-gpu-hours", "0.30")  # enough for both runs, and for nothing else
    assert cloud.run("sweep", str(sweep_file), "--yes", *limit, "--results", str(results)).returncode == 0
    # As if the journal told of an attempt that was struck down after 0.2999 GPU-hours: 0.36 GPU-seconds are left, and a
    # start alone is reckoned with 1 s at this pace.
    with Journal.open(results / "journal.sqlite", clock=lambda: time.time() - 3600) as journal:
        shape = {"gpu_type": "gpua5000", "gpu_count": 1, "replicas": 1}
        journal.append("create-intended", run_id="other-r0", data={"name": "harness-x", **shape})
    with Journal.open(
        results / "journal.sqlite", clock=lambda: time.time() - 3600 + 0.2999 * 3600
    ) as journal:
        journal.append("deleted", run_id="other-r0")
    text = sweep_file.read_text(encoding="utf-8")
    sweep_file.write_text(text.replace("max-model-len=4096", "max-model-len=2048"), encoding="utf-8")
    before = len(cloud.state()["created"])
    ran = cloud.run("sweep", "--resume", str(results), "--yes", "--json")
    summary = json.loads(ran.stdout)
    assert summary["skipped"] == 2, ran.stderr
    assert len(cloud.state()["created"]) == before
    paid = paid_stretches(read_events(results / "journal.sqlite"))
    assert [each.run_id for each in paid if each.run_id == "other-r0"] == ["other-r0"]


def test_a_resumed_simulated_sweep_asks_nobody(
    make_cloud: Callable[..., Any], sweep_file: Path, tmp_path: Path
) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    scale = ("--time-scale", "300", "--seed", "5")
    assert (
        cloud.run("sweep", str(sweep_file), "--simulate", *scale, "--results", str(results)).returncode == 0
    )
    ran = cloud.run("sweep", "--resume", str(results))
    assert ran.returncode == 0, ran.stderr
    assert "0 runs to do" in ran.stderr
    starts = [
        event.data for event in read_events(results / "journal.sqlite") if event.kind == "sweep-started"
    ]
    assert [start["terms"]["time_scale"] for start in starts] == [300.0, 300.0]


def test_a_sweep_of_another_cloud_is_neither_resumed_nor_cleaned_up(
    make_cloud: Callable[..., Any], sweep_file: Path, tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    process = cloud.start("sweep", str(sweep_file), "--yes", "--results", str(results))
    wait_for(results, "created", process=process)
    process.kill()
    process.communicate()
    alive = cloud.state()["alive"]
    assert alive
    elsewhere = make_cloud()
    ran = elsewhere.run("sweep", "--resume", str(results), "--yes")
    assert ran.returncode == 3
    assert "nothing there is its own" in ran.stderr
    assert [each["name"] for each in cloud.state()["alive"]] == [each["name"] for each in alive]
    assert any(ledger.may_cost for ledger in replay(read_events(results / "journal.sqlite")).values())
    cleaned = elsewhere.run("cleanup", str(results))
    assert cleaned.returncode == 3
    assert "another API key" in cleaned.stderr
    assert cloud.run("cleanup", str(results)).returncode == 0
    assert cloud.state()["alive"] == []


def test_a_404_to_another_organisations_key_is_no_proof() -> None:
    started = {"endpoint": KEY.endpoint, "keys": [key_digest(KEY)]}
    refuse_another_cloud(KEY, started)
    other = Credentials("EXOtwo", Secret("s"), KEY.zone, KEY.endpoint)
    with pytest.raises(CredentialsError, match="--same-organisation"):
        refuse_another_cloud(other, started)
    refuse_another_cloud(other, started, same_organisation=True)
    refuse_another_cloud(other, {"endpoint": KEY.endpoint})  # a journal that names no key
    moved = Credentials(KEY.key, KEY.secret, "de-fra-1", "https://api-de-fra-1.exoscale.com/v2")
    with pytest.raises(CredentialsError, match="nothing there is its own"):
        refuse_another_cloud(moved, started, same_organisation=True)


def test_the_time_limit_tears_down_and_the_next_attempt_has_its_own(
    make_cloud: Callable[..., Any], sweep_file: Path, tmp_path: Path
) -> None:
    cloud, results = (
        make_cloud("faults:\n  - {fault: deployment-stuck, operation: deploying, times: 2}\n"),
        tmp_path / "out",
    )
    ran = cloud.run("sweep", str(sweep_file), "--yes", "--ttl", "6s", "--results", str(results))
    assert ran.returncode == 3
    assert "the time limit" in ran.stderr
    assert cloud.state()["alive"] == []
    again = cloud.run("sweep", "--resume", str(results), "--yes", "--ttl", "5m")
    assert again.returncode == 0, again.stderr
    assert set(launched(results).values()) == {Result.MEASURED}


def test_all_folders_are_cleaned_up_though_one_cannot_be(
    make_cloud: Callable[..., Any], sweep_file: Path, tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    root = tmp_path / "results"
    here, there = make_cloud(), make_cloud()
    for name, cloud in (("a-there", there), ("b-here", here)):
        process = cloud.start("sweep", str(sweep_file), "--yes", "--results", str(root / name))
        wait_for(root / name, "created", process=process)
        process.kill()
        process.communicate()
    (root / "c-broken").mkdir()
    (root / "c-broken" / "journal.sqlite").write_text("not a journal", encoding="utf-8")
    ran = here.run("cleanup", "--all", "--root", str(root))
    assert ran.returncode == 3
    assert here.state()["alive"] == []
    assert there.state()["alive"]
    assert "a-there" in ran.stderr
    assert "c-broken" in ran.stderr
