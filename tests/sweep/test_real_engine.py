"""The main job against a real vLLM on this machine's CPU: our token counts are the engine's own.

Runs when HARNESS_ENGINE_0_15_1 or HARNESS_ENGINE_0_12_0 names that version's ``vllm`` command; takes about two
minutes a version.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.load.records import Outcome
from harness.results.store import RunFolder, read_records
from tests.real_engine import ENGINES, engine_command

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIG = ROOT / "configs" / "local-tiny.yaml"
OTHER = {"0.15.1": "0.12.0", "0.12.0": "0.15.1"}


def config_for(version: str, folder: Path) -> Path:
    """The shipped sweep, narrowed to one engine version."""
    path = folder / "local.yaml"
    text = CONFIG.read_text(encoding="utf-8").replace('["0.15.1", "0.12.0"]', f'["{version}"]')
    assert OTHER[version] not in text.partition("matrix:")[2]
    path.write_text(
        text.replace("models/tiny-llama", str(CONFIG.parent / "models/tiny-llama")), encoding="utf-8"
    )
    return path


@pytest.mark.engine
@pytest.mark.parametrize("version", sorted(ENGINES))
def test_our_token_counts_equal_the_engines_own(version: str, tmp_path: Path) -> None:
    command, results = engine_command(version), tmp_path / "results"
    ran = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "harness",
                "sweep",
                str(config_for(version, tmp_path)),
                "--local",
                "--json",
            ),
            *("--results", str(results), "--engine", f"{version}={command}"),
        ],
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout)
    assert (summary["measured"], summary["failed"], summary["left_running"]) == (2, 0, [])
    folder = RunFolder.open(results)
    files = folder.record_files()
    assert len(files) == 4  # two values of max-num-seqs, two levels of concurrency
    for file in files:
        point = read_records(file)
        grown = point.meta.server_metrics
        assert grown is not None
        assert set(point.columns.outcomes) == {Outcome.SUCCEEDED.value}
        assert len(point.columns.outcomes) >= 48
        assert point.columns.integers["completion_tokens"].sum() == grown["vllm:generation_tokens_total"]
        assert point.columns.integers["prompt_tokens"].sum() == grown["vllm:prompt_tokens_total"]
    assert (results / "report.html").stat().st_size > 0
