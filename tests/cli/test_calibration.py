"""``--calibration`` on plan, sweep and capacity: an earlier sweep's constants change the figures, and are named."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.cli.main import command
from harness.forecast.calibration import Calibration, Calibrations
from harness.forecast.step import Constants

SWEEP = """\
name: planned
model: Qwen/Qwen2.5-7B-Instruct
engine-version: "0.15.1"
parameters: [--max-model-len=4096]
matrix:
  gpu-type: [gpua5000, gpu3]
  gpu-count: [1]
workload: {input-tokens: 128, output-tokens: 64, api: completions}
load:
  - {concurrency: 1, requests: 30}
slo: ttft_p95<=1s,tpot_p95<=60ms
"""
# Half the bandwidth: a token takes about twice as long.
SLOW = Calibration(
    family="gpua5000",
    engine_version="0.15.1",
    constants=Constants(memory_share=Constants().memory_share / 2),
    source="autumn",
    fitted_at="2026-10-01T00:00:00Z",
    simulated=True,
    fitted_on=("a at c1", "a at c8"),
    rows=4,
    error_before=0.5,
    error_after=0.01,
    held_out=8,
    held_out_error_before=0.5,
    held_out_error=0.02,
    interval=0.12,
    several_gpus=False,
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


@pytest.fixture(name="sweep")
def sweep_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "planned.yaml"
    path.write_text(SWEEP, encoding="utf-8")
    return path


@pytest.fixture(name="constants")
def constants_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(Calibrations((SLOW,)).to_json()), encoding="utf-8")
    return path


def forecasts(*arguments: str) -> dict[str, dict[str, Any]]:
    ran = run("plan", *arguments, "--json")
    assert ran.exit_code == 0, ran.output
    return {cell["label"]: cell["forecast"] for cell in json.loads(ran.stdout)["accepted"]}


def test_a_plan_forecasts_the_calibrated_family_by_its_own_constants(sweep: Path, constants: Path) -> None:
    shipped, fitted = forecasts(str(sweep)), forecasts(str(sweep), "--calibration", str(constants))
    mine, other = "gpua5000×1 0.15.1 default", "gpu3×1 0.15.1 default"
    assert fitted[other] == shipped[other]
    assert (shipped[mine]["interval"], shipped[mine]["calibration"]) == (0.25, None)
    assert fitted[mine]["interval"] == 0.12
    assert fitted[mine]["calibration"] == "calibrated on autumn (SIMULATED), 2026-10-01"
    slower = fitted[mine]["levels"][0]["tpot_ms"] / shipped[mine]["levels"][0]["tpot_ms"]
    assert slower == pytest.approx(2.0, rel=0.1)
    text = run("plan", str(sweep), "--calibration", str(constants)).output
    assert "\n±12%: calibrated on autumn (SIMULATED), 2026-10-01\n" in text
    [calibrated], [plain] = (
        [line for line in text.splitlines() if line.startswith(cell)] for cell in (mine, other)
    )
    assert re.search(r" ±12% +bandwidth ", calibrated)
    assert " ±25% " in plain


def test_pruning_goes_by_them(sweep: Path, constants: Path) -> None:
    def kept(*options: str) -> list[str]:
        ran = run("plan", str(sweep), "--prune", "within=1.5", "--json", *options)
        return [cell["label"] for cell in json.loads(ran.stdout)["accepted"]]

    # With a link twenty times slower the second GPU is not worth its price.
    text = SWEEP.replace("gpu-count: [1]", "gpu-count: [1, 2]").replace("[gpua5000, gpu3]", "[gpua5000]")
    text = text.replace("input-tokens: 128", "input-tokens: 1024").replace(
        "concurrency: 1,", "concurrency: 32,"
    )
    sweep.write_text(text.partition("slo:")[0], encoding="utf-8")
    shipped = kept()
    slow = replace(SLOW, constants=Constants(link_share=0.051), several_gpus=True)
    constants.write_text(json.dumps(Calibrations((slow,)).to_json()), encoding="utf-8")
    assert "gpua5000×2 0.15.1 default" in shipped
    assert "gpua5000×2 0.15.1 default" not in kept("--calibration", str(constants))


def test_capacity_answers_by_them_and_says_so(sweep: Path, constants: Path) -> None:
    def carried(*options: str) -> float:
        ran = run("capacity", str(sweep), "--rate", "4", "--slo", "tpot_p95<=50ms", "--json", *options)
        answer = json.loads(ran.stdout)
        rates = {one["label"]: one["per_replica_req_s"] for one in answer["options"]}
        return float(rates.get("gpua5000×1 0.15.1 default", 0.0))

    assert 0 < carried("--calibration", str(constants)) < 0.7 * carried()
    text = run("capacity", str(sweep), "--rate", "4", "--calibration", str(constants)).output
    assert (
        "gpua5000, vLLM 0.15.1: calibrated on autumn (SIMULATED), 2026-10-01; expect 12% either way" in text
    )
    assert "way, 25% on several GPUs" in text


def test_what_holds_no_calibration_is_refused_in_one_line(sweep: Path, tmp_path: Path) -> None:
    for name in ("plan", "capacity"):
        rate = ["--rate", "1"] if name == "capacity" else []
        ran = run(name, str(sweep), *rate, "--calibration", str(tmp_path))
        assert ran.exit_code != 0
        assert "no calibration at" in str(ran.exception or ran.output)


def test_a_sweep_in_virtual_time_gives_the_constants_it_was_made_with(
    make_cloud: Any, tmp_path: Path
) -> None:
    """The simulator runs on the shipped constants; the fit finds them again, and a later plan takes them up."""
    path, results = tmp_path / "site.yaml", tmp_path / "out"
    levels = "load:\n  - {concurrency: [1, 8, 32], requests: 100, warmup: 1s}\n"
    lengths = "input-tokens: {distribution: lognormal, mean: 400, stddev: 100}, output-tokens: 48"
    text = SWEEP.replace("load:\n  - {concurrency: 1, requests: 30}\n", levels).replace(
        "slo: ttft_p95<=1s,tpot_p95<=60ms\n", ""
    )
    path.write_text(text.replace("input-tokens: 128, output-tokens: 64", lengths), encoding="utf-8")
    ran = make_cloud().run("sweep", str(path), "--simulate", "--virtual", "--results", str(results))
    assert ran.returncode == 0, ran.stderr
    kept = json.loads((results / "calibration.json").read_text(encoding="utf-8"))
    assert [one["family"] for one in kept["calibrations"]] == ["gpua5000", "gpu3"]
    for one in kept["calibrations"]:
        assert one["simulated"]
        assert one["constants"]["memory_share"] == pytest.approx(Constants().memory_share, rel=0.03)
        assert one["constants"]["compute_share"] == pytest.approx(Constants().compute_share, rel=0.1)
        assert one["interval"] == 0.25  # one cell a family
    found = forecasts(str(path), "--calibration", str(results))
    assert "calibrated on planned (SIMULATED)" in str(found["gpu3×1 0.15.1 default"]["calibration"])
