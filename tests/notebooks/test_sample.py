"""The committed sample answers the questions that the notebooks and the README ask of it."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from harness.cli.main import command
from harness.results.frame import load

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "results" / "sample"


def test_the_sample_is_a_finished_simulated_sweep_with_a_refused_cell() -> None:
    run = load(SAMPLE)
    assert run.account.counts() == {"measured": 8, "refused": 1}
    assert run.account.finished
    assert run.resolved.simulated
    assert len(run.points) == 24


def test_every_deployment_of_the_sample_was_deleted() -> None:
    deleted = [run.deleted for run in load(SAMPLE).account.runs]
    assert deleted.count(True) == 8
    assert False not in deleted


def test_the_sample_says_what_to_rent() -> None:
    arguments = ["--rate", "20", "--prices", str(ROOT / "configs" / "prices.yaml")]
    result = CliRunner().invoke(command, ["capacity", str(SAMPLE), *arguments], standalone_mode=False)
    assert result.return_value == 0
    assert "For 20 requests/s within ttft_p95<=1s,tpot_p95<=60ms" in result.stdout
    assert "SIMULATED" in result.stdout


def test_reading_the_sample_changes_nothing_in_it() -> None:
    before = sorted(path.name for path in SAMPLE.iterdir())
    assert CliRunner().invoke(command, ["report", str(SAMPLE), "--json"]).exit_code == 0
    assert sorted(path.name for path in SAMPLE.iterdir()) == before
