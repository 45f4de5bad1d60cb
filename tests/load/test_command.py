"""``harness load`` as a user or a script runs it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from harness.cli.load_session import levels_for
from harness.cli.main import main
from harness.load.arrivals import GammaRate
from harness.load.levels import Course
from harness.load.metrics import LoadMetrics, summarise
from harness.load.records import ClientStats, Outcome, RequestRecord, StageResult
from harness.load.slo import Slo
from harness.load.stage import Stage
from harness.results.store import read_records

Serve = Callable[..., Any]
QUICK = ["--requests", "6", "--warmup", "0", "--input-tokens", "20", "--output-tokens", "5"]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["load", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_table_goes_to_stdout_and_progress_to_stderr(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve()
    assert run(server.url.removesuffix("/v1"), "--concurrency", "1,2", *QUICK) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["load", "ok/failed/open"]
    assert [line.split()[:2] for line in lines[1:3]] == [["c1", "6/0/0"], ["c2", "6/0/0"]]
    assert "[1/2] c1" in err
    assert "[2/2] c2" in err


def test_the_json_has_the_documented_shape(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    server = serve()
    assert (
        run(server.url, "--rate", "50", "--arrivals", "constant", "--slo", "ttft<=5s", "--json", "-", *QUICK)
        == 0
    )
    document = json.loads(capsys.readouterr().out)
    assert (document["schema_version"], document["url"], document["model"]) == (1, server.url, "tiny")
    assert document["simulated"] is False
    [stage] = document["stages"]
    assert stage["load"]["kind"] == "constant-rate"
    assert stage["requests"] == {"sent": 6, "succeeded": 6, "failed": 0, "unfinished": 0, "failures": {}}
    for name in ("ttft_ms", "itl_ms", "tpot_ms", "e2e_ms"):
        assert set(stage[name]) == {"mean", "p50", "p90", "p95", "p99", "max", "count"}
        assert 0 < stage[name]["p50"] <= stage[name]["p99"] <= stage[name]["max"]
    assert stage["ttft_ms"]["count"] == 6
    assert stage["itl_ms"]["count"] == 24
    assert stage["output_throughput_tok_s"] > 0
    assert stage["request_throughput_req_s"] > 0
    assert stage["achieved_concurrency"] > 0
    assert set(stage["client"]) >= {"clock", "lateness_ms", "coalesced_read_share", "cpu_s"}
    assert stage["verdict"] in (
        "suspect",
        "void",
    )  # 6 requests are few, and a busy machine makes clients late
    assert stage["reasons"] != []
    assert stage["attainment"] == 1.0


def test_json_and_records_are_written_to_files(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out" / "load.json"
    assert run(serve().url, "--json", str(path), "--records", str(tmp_path / "r"), *QUICK) == 0
    assert json.loads(path.read_text())["stages"][0]["requests"]["sent"] == 6
    assert len(read_records(tmp_path / "r" / "stage-1.parquet").columns.outcomes) == 6
    assert "c1" in capsys.readouterr().out
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["load.json"]


def test_the_servers_own_figures_and_other_tools_definitions_stand_beside_ours(
    serve: Serve, lab: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    scrapes = iter((0, 1))

    async def handle(request: Any, reply: Any) -> None:
        if request.path != "/metrics":
            await lab.answering()(request, reply)
            return
        told = next(scrapes)
        lines = [
            f'vllm:generation_tokens_total{{model_name="tiny"}} {100 + 30 * told}',
            f'vllm:time_to_first_token_seconds_sum{{model_name="tiny"}} {1 + 0.12 * told}',
            f'vllm:time_to_first_token_seconds_count{{model_name="tiny"}} {6 * told}',
            f'vllm:num_preemptions_total{{model_name="tiny"}} {2 * told}',
        ]
        await reply.whole("\n".join(lines).encode(), kind="text/plain")

    assert run(serve(handle).url, "--definitions", *QUICK) == 0
    out = capsys.readouterr().out
    # 0.12 s over 6 requests.
    assert re.search(r"c1: the server says: TTFT mean 20\.0 ms \(client [0-9.]+\)", out)
    assert "30 tokens (client 30), 2 preemptions" in out
    for tool in ("harness", "guidellm", "aiperf", "vllm bench"):
        assert len(re.findall(rf"^  {tool} +(?:TTFT|TPOT|ITL|ICL) +p50", out, re.MULTILINE)) == 3


def test_the_key_comes_from_the_environment_and_shows_nowhere(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sesame")
    server = serve()
    assert run(server.url, "--api-key-env", "MY_KEY", "--json", "-", *QUICK) == 0
    assert {request.headers.get("authorization") for request in server.requests} == {"Bearer sesame"}
    out, err = capsys.readouterr()
    assert "sesame" not in out + err


def test_a_missed_slo_is_exit_code_1(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(serve().url, "--slo", "ttft_p50<=1ms", *QUICK) == 1
    assert "(0%)" in capsys.readouterr().out


def test_a_stage_that_only_fails_is_exit_code_1(
    serve: Serve, lab: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    async def handle(request: Any, reply: Any) -> None:
        if request.body and request.body["max_tokens"] == 5:
            await reply.whole({"error": {"message": "later"}}, status="429 Too Many Requests")
        else:
            await lab.answering()(request, reply)

    assert run(serve(handle).url, *QUICK) == 1
    out = capsys.readouterr().out
    assert "0/6/0" in out
    assert "void: no request succeeded" in out


@pytest.fixture
def one_at_a_time(lab: ModuleType) -> Any:
    """A handler that serves one stream after another, 25 ms or more each: at most 40 requests/s."""
    turn = asyncio.Lock()

    async def handle(request: Any, reply: Any) -> None:
        if request.method == "GET" or not request.body["stream"]:
            await lab.answering()(request, reply)
            return
        async with turn:
            await lab.answering(first_s=0.02, gap_s=0.001)(request, reply)

    return handle


def test_a_search_for_the_knee_ends_where_throughput_stops_growing(
    serve: Serve, one_at_a_time: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*QUICK, "--find", "knee", "--json", "-", "--requests", "12"]
    assert run(serve(one_at_a_time).url, *arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert [stage["load"]["concurrency"] for stage in document["stages"]][:2] == [1, 2]
    assert len(document["stages"]) <= 4
    # 12 requests are 6 rounds of 2 users: where those decide, they are too few.
    assert re.match(r"(unresolved: )?[12] users reach", document["answer"])


def test_a_search_for_a_rate_asks_for_higher_levels_until_one_misses() -> None:
    slo = Slo.parse("ttft_p50<=1s")
    first = Stage(arrivals=GammaRate(2.0, 0.5), requests=50)
    course = Course(levels_for("rate", [first], slo, early_stop=None))
    asked = []
    while (step := course.next_step()) is not None:
        stage = step.stage
        assert isinstance(stage.arrivals, GammaRate)
        assert (stage.arrivals.burstiness, stage.requests) == (0.5, 50)
        asked.append(stage.arrivals.rate_req_s)
        assert stage.early_stop
        course.told(step, stage_metrics(stage, ttft_s=0.5 if stage.arrivals.rate_req_s < 7 else 3.0, slo=slo))
    assert asked[:3] == [2.0, 4.0, 8.0]
    assert len(asked) == 6
    finding = course.finding()
    assert finding is not None
    assert re.fullmatch(r"6\.\d+ req/s keeps the SLO, 7\.\d+ req/s does not", finding.answer)
    assert finding.resolved


def stage_metrics(stage: Stage, *, ttft_s: float, slo: Slo) -> LoadMetrics:
    """Fifty one-token answers, each ``ttft_s`` late."""
    records = [
        RequestRecord(
            index=i, scheduled_s=i, sent_s=i, first_token_s=i + ttft_s, last_token_s=i + ttft_s, ended_s=i + ttft_s,
            chunk_times_s=np.array([i + ttft_s]), chunk_tokens=np.array([1], np.int32), completion_tokens=1,
            outcome=Outcome.SUCCEEDED,
        )
        for i in range(50)
    ]  # fmt: skip
    client = ClientStats("kernel", 0.0, 0.1, 0.0, 10, 10, 0.0, 1)
    return summarise(StageResult(stage.label, stage.to_json(), records, 0.0, 60.0, 0.0, client), slo=slo)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--concurrency", "0"],
        ["--concurrency", "x"],
        ["--rate", "-1"],
        ["--rate", "1", "--concurrency", "1"],
        ["--duration", "soon"],
        ["--input-tokens", "many"],
        ["--slo", "fast"],
        ["--api-key-env", "NOT_SET_ANYWHERE"],
        ["--extra", "[1]"],
        ["--extra", "{"],
        ["--shared-prefix", "3"],
        ["--no-such-option"],
        ["--find", "rate", "--rate", "1"],
        ["--find", "rate", "--slo", "ttft<=1s"],
        ["--find", "knee", "--concurrency", "1,2"],
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("http://127.0.0.1:9", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err.strip() != ""


def test_nothing_at_the_url_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("http://127.0.0.1:9/v1") == 3
    assert capsys.readouterr().err.startswith("error: http://127.0.0.1:9/v1: connecting failed")


def test_html_at_the_url_is_exit_code_1(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.whole(b"<html>", kind="text/html")

    assert run(serve(handle).url) == 1
    assert "is not an OpenAI endpoint" in capsys.readouterr().err


def interrupted_when(
    ready: Callable[[], bool], arguments: list[str], *, times: int = 1
) -> tuple[int, str, str]:
    """Exit code and output of ``harness load`` that gets so many Ctrl-C once ``ready``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "load", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + 60
        while not ready() and time.monotonic() < end:
            time.sleep(0.05)
        for _ in range(times):
            os.kill(process.pid, signal.SIGINT)
            time.sleep(0.3)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, out, err


def test_an_interrupt_keeps_what_the_running_stage_has_measured(
    serve: Serve, lab: ModuleType, tmp_path: Path
) -> None:
    served = 0

    async def handle(request: Any, reply: Any) -> None:
        nonlocal served
        await lab.answering(gap_s=0.01)(request, reply)
        served += server.in_flight > 1

    server = serve(handle)
    arguments = [server.url, "--concurrency", "3,5", "--duration", "10m", "--warmup", "0", "--processes", "2"]
    arguments += ["--output-tokens", "5", "--json", str(tmp_path / "load.json"), "--records", str(tmp_path)]
    code, out, err = interrupted_when(lambda: served >= 60, arguments)
    assert code == 3
    expected = "error: interrupted after 0 of 2 stages and a part of the next, which is marked"
    assert err.splitlines()[-1] == expected
    assert "ended early: interrupted" in out
    [stage] = json.loads((tmp_path / "load.json").read_text())["stages"]
    assert stage["ended_early"] == "interrupted"
    assert stage["requests"]["succeeded"] >= 20
    assert 0 < stage["window_s"] < 300
    meta = read_records(tmp_path / "stage-1.parquet").meta
    assert (meta.label, meta.interrupted, meta.ended_early) == ("c3", True, "interrupted")
    assert server.closed_within(2)


def test_an_interrupt_prints_the_finished_stages_and_ends_with_3(serve: Serve, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        slow = server.in_flight > 1
        await lab.answering(gap_s=0.5 if slow else 0.001)(request, reply)

    server = serve(handle)
    arguments = [server.url, "--concurrency", "1,4", *QUICK, "--output-tokens", "200"]
    code, out, err = interrupted_when(lambda: server.in_flight >= 4, arguments)
    assert code == 3
    rows = [line.split()[:2] for line in out.splitlines()[1:3]]
    assert rows == [["c1", "6/0/0"], ["c4", "0/0/4"]]
    assert err.splitlines()[-1].startswith("error: interrupted after 1 of 2 stages and a part of the next")
    assert "Traceback" not in err
    assert server.closed_within(2)


def test_an_interrupt_before_the_first_stage_ends_at_once(serve: Serve) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await asyncio.sleep(3600)

    server = serve(handle)
    code, out, err = interrupted_when(lambda: server.in_flight >= 1, [server.url])
    assert (code, out) == (3, "")
    assert err == "error: interrupted after 0 of 1 stages\n"


def test_a_search_says_what_each_step_showed_and_begins_with_its_answer(
    serve: Serve, lab: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve(lab.answering(first_s=0.02, gap_s=0.001))
    assert run(server.url, "--find", "knee", "--find-steps", "2", *QUICK) == 0
    out, err = capsys.readouterr()
    assert "users reach" in out.splitlines()[0]
    assert out.splitlines()[2].split()[:2] == ["load", "ok/failed/open"]
    steps = re.findall(r"^\[(\d)\] c(\d+): \d+ tok/s$", err, flags=re.MULTILINE)
    assert [step for step, _ in steps] == ["1", "2"]


def test_a_missing_key_is_said_with_the_option_that_gives_it(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.whole(b'{"error":"Unauthorized"}', status=401, kind="application/json")

    assert run(serve(handle).url) == 1
    assert "needs an API key (401)" in (err := capsys.readouterr().err)
    assert "--api-key-env" in err


def test_the_presets_of_slos_are_listed_and_a_mistaken_one_names_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--list-slos") == 0
    # MLPerf's limits for the server scenario of Llama 3.1 8B: 2000 ms and 100 ms.
    listed = capsys.readouterr().out.splitlines()
    assert ["mlperf-llama-3.1-8b", "ttft_p99<=2000ms,tpot_p99<=100ms"] in [line.split() for line in listed]
    assert run("http://127.0.0.1:9", "--slo", "mlperf-llama") == 2
    assert "presets: mlperf-llama-3.1-8b, " in capsys.readouterr().err
    assert run("http://127.0.0.1:9", "--slo", "ttft=1s") == 2
    assert "try 'ttft_p95<=1s,tpot_p95<=60ms'" in capsys.readouterr().err
