"""Searches and ladders inside a run, against an engine whose capacity is known: steps, resume, frames and reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.capacity.fleet import Demand, recommend
from harness.capacity.measured import measured_points
from harness.load.arrivals import ClosedLoop, PoissonRate
from harness.load.levels import Level, Search
from harness.load.probe import Probe
from harness.load.prompts import GUESS
from harness.load.records import ClientStats, Endpoint, Outcome, RequestRecord, StageResult
from harness.load.session import LoadJob
from harness.load.slo import Slo
from harness.load.stage import Stage
from harness.load.workload import Workload
from harness.plan.cells import Cell
from harness.plan.config import load_config
from harness.results.frame import join_repeats, load
from harness.results.journal import Journal
from harness.results.matching import changes_between
from harness.results.report import build_reports
from harness.results.resolved import Resolved
from harness.results.store import RunFolder, read_records
from harness.sweep.deployers import Ready, Run
from harness.sweep.lifecycle import Lifecycle
from harness.sweep.loads import levels, load_seconds
from harness.sweep.measure import Instruments, LoadPlan, Measurer
from harness.sweep.states import replay

SLO = "ttft_p95<=1s"
CLIENT = ClientStats("kernel", 0.0, 0.1, 0.0, 10, 10, 0.0, 1)
CELL = Cell("gpua5000", 1, 1, "0.15.1", "m", ())
PROBE = Probe("m", None, True, True, False, True, "ignore_eos", False, None, GUESS)
STOPS: dict[str, Any] = {"duration_s": 30.0, "early_stop": True, "slo": SLO}


class Killed(Exception):
    """The process ends here."""


class Engine:
    """Keeps the SLO up to ``capacity`` requests/s or users, and gives up what is above twice that; counts its levels.

    After ``dies_after`` levels it raises Killed.
    """

    def __init__(self, capacity: float, *, dies_after: int = 1000, restarts: bool = False) -> None:
        self.capacity, self.dies_after, self.restarts = capacity, dies_after, restarts
        self.jobs: list[LoadJob] = []
        self.counted = 0.0

    async def probe(self, endpoint: Endpoint, *, workload: Workload, salt: str) -> Probe:
        return PROBE

    async def read_metrics(self, endpoint: Endpoint) -> dict[str, float]:
        self.counted += -500.0 if self.restarts and len(self.jobs) == 1 else 100.0
        return {"vllm:generation_tokens_total": self.counted}

    async def drive(self, job: LoadJob, *, on_progress: Any) -> StageResult:
        if len(self.jobs) >= self.dies_after:
            raise Killed
        self.jobs.append(job)
        arrivals = job.stage.arrivals
        amount = arrivals.concurrency if isinstance(arrivals, ClosedLoop) else arrivals.rate_req_s
        lost = job.stage.early_stop and amount > 2 * self.capacity
        return StageResult(
            label=job.stage.label,
            stage=job.stage.to_json(),
            records=[record(i, ttft_s=0.2 if amount <= self.capacity else 3.0) for i in range(300)],
            window_start_s=0.0,
            window_end_s=35.0,
            started_at_unix=0.0,
            client=CLIENT,
            ended_early="hopeless: 16 of at most 300 requests miss ttft_p95<=1s" if lost else None,
        )


def record(index: int, *, ttft_s: float) -> RequestRecord:
    sent = index * 0.1
    made = RequestRecord(index=index, scheduled_s=sent, sent_s=sent, outcome=Outcome.SUCCEEDED)
    made.first_token_s, made.last_token_s, made.ended_s = (
        sent + ttft_s,
        sent + ttft_s + 0.2,
        sent + ttft_s + 0.2,
    )
    made.chunk_times_s, made.chunk_tokens = sent + ttft_s + np.array([0.0, 0.2]), np.array([1, 10], np.int32)
    made.completion_tokens, made.prompt_tokens = 11, 20
    return made


def stage(arrivals: Any) -> Stage:
    return Stage(arrivals=arrivals, **STOPS)


FIND_RATE: list[Level] = [Search("rate", stage(PoissonRate(1.0)), Slo.parse(SLO))]
LADDER: list[Level] = [stage(ClosedLoop(n)) for n in (1, 4, 16, 64)]
Sweep = Callable[..., Engine]


@pytest.fixture
def sweep(tmp_path: Path, platform: Any) -> Callable[..., tuple[Path, list[Engine]]]:
    """Measure each run in turn, each by its engines one after another: the next goes on where one was killed."""

    def carry_out(name: str, asked: list[Level], *runs: list[Engine]) -> tuple[Path, list[Engine]]:
        path = tmp_path / name
        resolved = Resolved(
            name, "2026-01-01T00:00:00Z", True, "memory", (CELL,), slo=SLO, repeats=len(runs), seed=40,
            load=tuple(level.to_json() for level in asked),
        )  # fmt: skip
        folder, journal = RunFolder.create(path, config=b"name: x\n", resolved=resolved)
        journal.close()
        for repeat, engines in enumerate(runs):
            for engine in engines:
                measure(folder, asked, Run(CELL, repeat, f"n-{repeat}"), engine, platform)
        return path, [engine for engines in runs for engine in engines]

    return carry_out


def measure(folder: RunFolder, asked: list[Level], run: Run, engine: Engine, platform: Any) -> None:
    with Journal.open(folder.journal_path) as journal:
        lifecycle = Lifecycle(platform, journal, ledgers=replay(journal.events()))
        instruments = Instruments(engine.probe, engine.drive, engine.read_metrics)
        measurer = Measurer(
            LoadPlan(asked, Workload(), 40, "s", SLO),
            folder,
            lifecycle,
            simulated=True,
            instruments=instruments,
        )
        try:
            asyncio.run(measurer(run, Ready(Endpoint("http://127.0.0.1:1/v1", "m"), 1.0)))
        except Killed:
            return
        lifecycle.record(run.id, "measured")


def test_each_step_of_a_search_is_a_point_and_its_answer_is_everywhere(sweep: Any) -> None:
    path, [engine] = sweep("one", FIND_RATE, [Engine(3.0)])
    run = load(path)
    # 4 is above 3 but below twice that; the bracket closes on 3 from both sides.
    assert run.points["load"].tolist() == [
        "1 req/s", "2 req/s", "4 req/s", "2.83 req/s", "3.36 req/s", "3.08 req/s",
    ]  # fmt: skip
    assert run.points["point"].tolist() == [0, 1, 2, 3, 4, 5]
    answer = "2.83 req/s keeps the SLO, 3.08 req/s does not"
    [found] = run.searches.to_dict("records")
    assert (found["answer"], found["resolved"], found["best"], found["beyond"]) == (answer, True, 2.83, 3.08)
    assert (found["search"], found["steps"], found["repeat"]) == ("find rate from 1 req/s", 6, 0)
    ended = [event.data for event in run.folder.events() if event.kind == "search-ended"]
    assert [data["answer"] for data in ended] == [answer]
    reports = build_reports(run.folder)
    assert answer in reports.markdown
    assert answer in reports.html
    assert any(answer in text for text in reports.document.answers)
    assert reports.summary["searches"][0]["answer"] == answer
    assert "--rate 1 --arrivals poisson --duration 30" in reports.markdown
    assert "--find rate --find-steps 16 --slo" in reports.markdown.replace("\\_", "_")
    # The same requests at every step, apart in the cache.
    assert {job.seed for job in engine.jobs} == {40}
    assert len({job.cache_salt for job in engine.jobs}) == 6


@pytest.mark.parametrize("dies_after", range(6))
def test_a_search_that_was_killed_goes_on_where_it_was(sweep: Any, dies_after: int) -> None:
    path, (first, second) = sweep("killed", FIND_RATE, [Engine(3.0, dies_after=dies_after), Engine(3.0)])
    assert len(first.jobs) == dies_after
    labels = [job.stage.label for job in first.jobs + second.jobs]
    assert labels == ["1 req/s", "2 req/s", "4 req/s", "2.83 req/s", "3.36 req/s", "3.08 req/s"]
    run = load(path)
    assert run.points["load"].tolist() == labels
    assert run.searches["answer"].tolist() == ["2.83 req/s keeps the SLO, 3.08 req/s does not"]
    assert run.searches["steps"].tolist() == [6]


def test_repeats_that_took_other_ways_are_joined_by_what_their_levels_are(sweep: Any) -> None:
    path, _ = sweep("two", FIND_RATE, [Engine(3.0)], [Engine(1.2)])
    run = load(path)
    # The second repeat misses at 2, so its steps 2 to 5 are other levels than the first one's.
    assert run.points[run.points["repeat"] == 1]["load"].tolist() == [
        "1 req/s", "2 req/s", "1.41 req/s", "1.19 req/s", "1.3 req/s",
    ]  # fmt: skip
    joined = run.levels.set_index("load")
    assert joined.loc["1 req/s", "repeats"] == 2
    assert joined.loc["1 req/s", "run_ids"] == f"{CELL.id}-r0 {CELL.id}-r1"
    assert joined.loc["4 req/s", "run_ids"] == f"{CELL.id}-r0"
    assert not joined.loc["2 req/s", "meets_slo"]
    assert joined.loc["1.41 req/s", "repeats"] == 1
    assert not joined.index.duplicated().any()
    assert build_reports(run.folder).summary["searches"][1]["best"] == 1.19


def test_the_points_of_a_search_answer_the_capacity_question(sweep: Any) -> None:
    path, _ = sweep("capacity", FIND_RATE, [Engine(3.0)])
    run = load(path)
    points = measured_points(join_repeats(run.points), Slo.parse(SLO), simulated=True)
    assert len(points) == 6
    assert {point.run_ids for point in points} == {(f"{CELL.id}-r0",)}
    # All levels end 300 requests in 35 s here; the search's order does not matter.
    best = recommend(points, Demand(rate_req_s=10.0)).best
    assert best is not None
    assert best.point.miss is None


def test_two_searches_are_compared_by_load_not_by_number(sweep: Any) -> None:
    left, _ = sweep("left", FIND_RATE, [Engine(3.0)])
    right, _ = sweep("right", FIND_RATE, [Engine(1.2)])
    changes = changes_between(load(left), load(right), metrics=["ttft_p50"])
    compared = {change.load: change.relative for change in changes}
    assert set(compared) == {"1 req/s", "2 req/s"}
    assert compared["1 req/s"] == pytest.approx(0.0)
    assert compared["2 req/s"] == pytest.approx(14.0)  # 0.2 s and 3 s


def test_levels_above_a_lost_one_are_passed_over_in_the_run_its_frame_and_its_report(sweep: Any) -> None:
    path, [engine] = sweep("ladder", LADDER, [Engine(4.0)])
    assert [job.stage.label for job in engine.jobs] == ["c1", "c4", "c16"]
    run = load(path)
    assert run.points["point"].tolist() == [0, 1, 2]
    lost = run.points.iloc[2]
    assert (lost["verdict"], bool(lost["meets_slo"])) == ("suspect", False)
    assert "ended early: hopeless: 16 of at most 300" in lost["reasons"]
    [skipped] = run.skipped_levels.to_dict("records")
    assert (skipped["load"], skipped["point"]) == ("c64", 3)
    assert skipped["reason"].startswith("c16 ended early: hopeless")
    reports = build_reports(run.folder)
    assert "Levels passed over" in reports.markdown
    assert reports.summary["skipped_levels"][0]["load"] == "c64"
    assert run.account.runs[0].state.value == "measured"


def test_a_ladder_taken_up_again_passes_over_the_same_levels(sweep: Any) -> None:
    path, (_, second) = sweep("again", LADDER, [Engine(4.0, dies_after=3), Engine(4.0)])
    assert second.jobs == []
    assert load(path).skipped_levels["load"].tolist() == ["c64"]


def test_an_engine_that_restarted_during_a_level_makes_that_level_suspect_and_no_other(sweep: Any) -> None:
    path, _ = sweep("restart", [stage(ClosedLoop(1)), stage(ClosedLoop(2))], [Engine(4.0, restarts=True)])
    reasons = load(path).points["reasons"].tolist()
    assert ["went back" in text for text in reasons] == [True, False]
    meta = read_records(path / "records" / f"{CELL.id}-r0-p0.parquet").meta
    assert (meta.server_metrics, meta.server_restarted) == (None, True)


def test_a_plan_counts_every_step_a_search_may_take(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        'gpu-type: g\ngpu-count: 1\nengine-version: "0.15.1"\nmodel: m\nmatrix: {}\nslo: ttft_p95<=1s\nload:\n'
        "- {concurrency: 4, duration: 30s, warmup: 2s}\n"
        "- {find: rate, duration: 60s, warmup: 5s, steps: 10}\n"
        "- {find: knee, requests: 50, warmup: 0s}\n"
    )
    # 32 s; ten times 65 s; sixteen times 50 requests of 10 s, one after another at worst.
    assert load_seconds(load_config(str(path)), request_s=10.0) == 32 + 650 + 16 * 500


@pytest.mark.parametrize(
    ("text", "stops", "slo"),
    [
        ("", [False, True], None),
        ("slo: ttft_p95<=1s\n", [True, True], "ttft_p95<=1s"),
        ("slo: ttft_p95<=1s\nearly-stop: false\n", [False, False], None),
        ("early-stop: true\n", [True, True], None),
    ],
)
def test_lost_levels_end_early_with_an_slo_or_in_a_search_unless_told(
    text: str, stops: list[bool], slo: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        'gpu-type: g\ngpu-count: 1\nengine-version: "0.15.1"\nmodel: m\nmatrix: {}\n'
        f"{text}load: [{{concurrency: 4, duration: 30s}}, {{find: knee, duration: 30s}}]\n"
    )
    plain, search = levels(load_config(str(path)))
    assert isinstance(plain, Stage)
    assert isinstance(search, Search)
    assert [plain.early_stop, search.stage.early_stop] == stops
    assert plain.slo == slo
