from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.capacity.fleet import Demand, recommend
from harness.capacity.measured import measured_points
from harness.capacity.table import COLUMNS
from harness.cli.main import command, main
from harness.errors import UsageError
from harness.forecast.load import Arrivals, Load
from harness.load.records import ClientStats, Outcome, RequestRecord, StageResult
from harness.load.slo import Slo
from harness.plan.cells import Cell
from harness.results.frame import join_repeats, load
from harness.results.resolved import Resolved
from harness.results.store import RunFolder, write_records
from harness.simulator.fleet import run_fleet

PRICES = Path(__file__).resolve().parents[2] / "configs" / "prices.yaml"
SAMPLE = str(Path(__file__).resolve().parents[2] / "results" / "sample")


def make_stage(concurrency: int, *, ttft_s: float, seconds: float) -> StageResult:
    """A closed loop whose requests last ``ttft_s`` + 0.1 s, for ``seconds``: 11 tokens, 10 ms apart."""
    client = ClientStats("kernel", 1.0, 0.1, 0.0, 10, 10, 0.0, 1)
    records: list[RequestRecord] = []
    for slot in range(concurrency):
        start = 0.0
        while start < seconds - 1e-3:
            first = start + ttft_s
            times = first + 0.01 * np.arange(11)
            records.append(
                RequestRecord(
                    index=len(records), scheduled_s=start, sent_s=start, first_token_s=first,
                    last_token_s=float(times[-1]), done_s=float(times[-1]), ended_s=float(times[-1]),
                    chunk_times_s=times, chunk_tokens=np.ones(11, np.int32), tokens_assumed=False,
                    completion_tokens=11, outcome=Outcome.SUCCEEDED, status=200, finish_reason="length",
                )
            )  # fmt: skip
            start = float(times[-1]) + 1e-9 * slot
    stage = {"kind": "closed-loop", "concurrency": concurrency}
    return StageResult(f"c{concurrency}", stage, records, 0.0, seconds + 1e-4, 1.79e9, client)


@pytest.fixture(name="folder", scope="module")
def folder_fixture(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One cell: at c4 TTFT is 0.1 s (20 requests/s), at c16 it is 0.7 s (20 requests/s, too late)."""
    cell = Cell("gpua5000", 1, 1, "0.15.1", "m", ())
    resolved = Resolved(
        name="x", started_at="2026-11-23T16:00:00Z", simulated=True, deployer="exoscale", cells=(cell,),
        slo="ttft_p95<=0.5s",
    )  # fmt: skip
    opened, journal = RunFolder.create(
        tmp_path_factory.mktemp("capacity") / "x", config=b"", resolved=resolved
    )
    run_id = f"{cell.id}-r0"
    for point, (concurrency, ttft_s) in enumerate(((4, 0.1), (16, 0.7))):
        metadata = {"run_id": run_id, "cell_id": cell.id, "repeat": 0, "point": point, "simulated": True}
        stage = make_stage(concurrency, ttft_s=ttft_s, seconds=8.0)
        write_records(opened.records_path(run_id, point), stage, metadata=metadata)
    journal.append("measured", run_id=run_id)
    journal.append("sweep-finished")
    journal.close()
    return str(opened.path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["capacity", *arguments], standalone_mode=False)


def test_the_answer_is_a_sentence_with_price_headroom_and_limit(folder: str) -> None:
    result = run(folder, "--rate", "30", "--prices", str(PRICES))
    assert result.return_value == 0
    # 20 requests/s at 80 %: 30/16 -> 2 replicas at 1.34
    assert "2 replicas of gpua5000×1 0.15.1 default: 2.68 EUR/h" in result.stdout
    assert "75% used" in result.stdout
    assert "ttft_p95 700 ms > 500 ms at c16" in result.stdout
    assert "SIMULATED" in result.stdout
    assert "not a quotation" in result.stdout


def test_json_names_the_runs_the_figures_come_from(folder: str) -> None:
    document = json.loads(run(folder, "--rate", "30", "--spare", "1", "--json").stdout)
    assert len(document["options"]) == 1
    option = document["options"][0]
    assert (option["replicas"], option["gpus"], option["price_per_h"]) == (3, 3, None)
    assert option["per_replica_req_s"] == pytest.approx(20.0, rel=0.02)
    assert option["run_ids"] == [f"{option['cell_id']}-r0"]


def test_tokens_of_a_fully_used_fleet_cost_its_price_over_tokens_per_second_here_and_in_the_report() -> None:
    found = load(SAMPLE)
    assert found.resolved.prices is not None
    slo = Slo.parse("ttft_p95<=1s,tpot_p95<=60ms")
    levels = found.cost(found.resolved.prices)
    points = measured_points(join_repeats(found.points_against(slo)), slo, simulated=True)
    rows = [row for _, row in levels.iterrows()]
    kept = [(point, row) for point, row in zip(points, rows, strict=True) if row["attainment"] == 1.0]
    assert len(kept) == 23  # of 24: one misses the SLO
    for point, row in kept:
        assert (point.cell_id, point.load) == (row["cell_id"], row["load"])
        demand = Demand(rate_req_s=point.rate_req_s, utilisation=1.0)
        option = recommend([point], demand, prices=found.resolved.prices).options[0]
        assert (option.replicas, option.used) == (1, pytest.approx(1.0))
        expected = row["price_per_h"] / (row["output_throughput_tok_s"] * 3600) * 1e6
        assert option.cost_per_mtok == pytest.approx(expected)
        assert row["cost_per_mtok"] == pytest.approx(expected)


def test_an_slo_that_nothing_meets_ends_with_one(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["capacity", folder, "--rate", "1", "--slo", "ttft_p95<=1ms"])
    assert ended.value.code == 1
    printed = capsys.readouterr().out
    assert "Nothing known serves 1 requests/s within ttft_p95<=1ms" in printed
    assert "ttft_p95 100 ms > 1 ms at c4" in printed


def test_break_even_says_when_tokens_are_cheaper(folder: str) -> None:
    # 1.34 an hour, 11 tokens a request; at 100 per 1M tokens: 1.34 / (100e-6 x 11 x 3600) = 0.34 requests/s
    assert (
        "from 0.34 requests/s"
        in run(folder, "--rate", "1", "--prices", str(PRICES), "--token-price", "100").stdout
    )
    assert (
        "tokens are cheaper"
        in run(folder, "--rate", "1", "--prices", str(PRICES), "--token-price", "0.1").stdout
    )


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ([], "either --rate R (requests per second) or --users N"),
        (["--rate", "1", "--users", "2"], "either --rate R"),
        (["--rate", "1", "--slo", "fast"], "fast"),
        (["--rate", "1", "--think-time", "long"], "not a duration"),
        (["--rate", "-1"], "above 0"),
    ],
)
def test_a_question_that_cannot_be_answered_is_a_usage_error(
    folder: str, extra: list[str], message: str
) -> None:
    result = run(folder, *extra)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


def test_a_sweep_file_is_answered_by_forecast_and_says_so(tmp_path: Path) -> None:
    config = tmp_path / "plan.yaml"
    config.write_text(
        "name: plan\nmodel: meta-llama/Llama-3.1-8B-Instruct\nengine-version: '0.15.1'\n"
        "matrix: {gpu-type: [gpurtx6000pro, gpu3080ti], gpu-count: [1]}\n"
        "workload: {input-tokens: 256, output-tokens: 64}\nload: [{concurrency: 4, duration: 5s}]\n"
        "slo: ttft_p95<=1s,tpot_p95<=60ms\n",
        encoding="utf-8",
    )
    result = run(str(config), "--rate", "5", "--prices", str(PRICES))
    assert result.return_value == 0
    assert result.stdout.startswith("FORECAST: nothing was measured")
    assert "1 replica of gpurtx6000pro×1 0.15.1 default: 2.15 EUR/h" in result.stdout
    assert "gpu3080ti×1 0.15.1 default: would not start" in result.stdout  # 16 GB of weights on a 12 GB card


@pytest.mark.parametrize(("rate", "utilisation"), [("90", "1"), ("100", "0.8"), ("150", "1")])
def test_the_fleet_recommended_from_the_sample_keeps_the_slo_and_one_replica_fewer_does_not(
    rate: str, utilisation: str
) -> None:
    arguments = ("--rate", rate, "--utilisation", utilisation, "--basis", "both", "--verify", "--json")
    best = json.loads(run(SAMPLE, *arguments).stdout)["options"][0]
    assert best["replicas"] > 1
    peak = float(rate) / float(utilisation)
    # Tried again here, twice as long and with arrivals of other seeds: what it says must not hang on one draw.
    cell = next(cell for cell in load(SAMPLE).resolved.cells if cell.id == best["cell_id"])
    lengths = Load(Arrivals.POISSON, peak, 256, 48, requests=int(120 * peak))
    for seed in (1, 2):
        kept = run_fleet(cell, lengths, replicas=best["replicas"], seed=seed)
        assert np.percentile(kept.ttft_s, 95) <= 1.0
        assert np.percentile(kept.tpot_s, 95) <= 0.06
        fewer = run_fleet(cell, lengths, replicas=best["replicas"] - 1, seed=seed)
        assert np.percentile(fewer.ttft_s, 95) > 1.0 or np.percentile(fewer.tpot_s, 95) > 0.06


def test_the_trials_are_printed_and_forecasts_are_told_from_measurements() -> None:
    printed = run(SAMPLE, "--rate", "100", "--basis", "both", "--verify", "--spare", "1").stdout
    assert "forecast at" in printed
    assert "simulated up to 31.52 at c24, the SLO kept" in printed
    assert "its 1 spare down: 2 replicas keep the SLO (ttft_p95" in printed
    assert "1 replica misses the SLO (ttft_p95" in printed


def test_a_split_at_random_that_the_plan_does_not_survive_asks_for_more_replicas() -> None:
    # At 25 ms a token this GPU keeps up with two requests at a time and hardly more: clumps miss it.
    arguments = (SAMPLE, "--rate", "15", "--slo", "ttft_p95<=500ms,tpot_p95<=25ms", "--json")
    planned, tried = (
        json.loads(run(*arguments, extra).stdout)["options"] for extra in ("--no-verify", "--verify")
    )
    by_cell = {option["cell_id"]: option for option in tried}
    tight = next(option for option in planned if option["label"] == "gpua5000×1 0.15.1 default")
    assert by_cell[tight["cell_id"]]["replicas"] > tight["replicas"]
    assert by_cell[tight["cell_id"]]["check"]["planned"] == tight["replicas"]
    assert by_cell[tight["cell_id"]]["check"]["fewer"]["miss"].startswith("tpot_p95")


TIGHT = (SAMPLE, "--rate", "15", "--slo", "ttft_p95<=500ms,tpot_p95<=25ms", "--prices", str(PRICES))


def test_unasked_the_answer_and_what_is_cheaper_as_planned_are_tried() -> None:
    document = json.loads(run(*TIGHT, "--json").stdout)
    best, *others = document["options"]
    assert best["check"]["kept"]["miss"] is None
    assert best["not_tried"] is None
    untried = [option for option in others if option["not_tried"] is not None]
    assert untried
    assert all(option["not_tried"] == "no cheaper as planned" for option in untried)
    assert all(option["price_per_h"] >= best["price_per_h"] for option in untried)
    everything = json.loads(run(*TIGHT, "--verify", "--json").stdout)
    assert everything["options"][0] == best
    assert len(everything["options"]) > 1
    assert all(option["check"] is not None for option in everything["options"])


def test_an_answer_that_was_not_tried_says_so_and_how_to_have_it_tried(folder: str) -> None:
    printed = run(*TIGHT, "--no-verify").stdout
    assert "NOT TRIED (--no-verify: leave it out to have the fleet tried)" in printed
    # This run has no lengths to make requests of.
    printed = run(folder, "--rate", "1").stdout
    assert "NOT TRIED (its workload states no lengths" in printed
    refused = run(folder, "--rate", "1", "--verify").exception
    assert isinstance(refused, UsageError)
    assert "leave --verify out" in str(refused)


def test_a_replica_fewer_that_keeps_the_slo_too_is_not_proposed_for_a_reason() -> None:
    # Measured to 31.52 requests/s a replica: 3 carry 94.55, and 90 of them are 95 %; 4 are planned for.
    printed = run(SAMPLE, "--rate", "90").stdout
    assert "4 replicas of gpurtx6000pro×1 0.15.1 default" in printed
    assert "3 replicas keep the SLO (" in printed
    assert (
        "Not proposed: they were simulated to carry 94.55 requests/s, of which 90.00 would be 95%, above the 80% "
        "planned for; a higher load measured, or --basis both, may show"
    ) in printed


def test_cells_nobody_measured_are_in_the_answer_as_forecasts(folder: str) -> None:
    document = json.loads(run(SAMPLE, "--rate", "5", "--basis", "forecast", "--json").stdout)
    assert len(document["options"]) == 8
    assert {option["source"] for option in document["options"]} == {"forecast"}
    assert document["excluded"][0]["reason"].startswith("would not start")
    result = run(folder, "--rate", "5", "--basis", "both")
    assert "no lengths to forecast with" in str(result.exception)


def test_a_sweep_file_has_no_measurements(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("name: plan\n", encoding="utf-8")
    assert "nothing was measured" in str(run(str(path), "--rate", "5", "--basis", "both").exception)


def test_an_answer_shows_itself_in_a_notebook_and_says_what_it_rests_on() -> None:
    found = load(SAMPLE)
    slo = Slo.parse("ttft_p95<=1s,tpot_p95<=60ms")
    points = measured_points(join_repeats(found.points_against(slo)), slo, simulated=True)
    answer = recommend(points, Demand(rate_req_s=20.0), prices=found.resolved.prices)
    shown = answer._repr_html_()
    assert "SIMULATED" in shown
    assert "1 × gpurtx6000pro×1 0.15.1 default" in shown
    assert tuple(answer.frame().columns) == COLUMNS
    assert len(answer.frame()) == 8
