"""A simulated cloud in a process of its own, and the ``harness`` command as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import main
from harness.results.journal import read_events
from harness.simulator.process import SimulatorProcess
from harness.simulator.server import Options
from tests.command import run_here

TIME_SCALE = 300.0
SWEEP = """\
name: small
model: Qwen/Qwen2.5-7B-Instruct
engine-version: "0.15.1"
parameters: [--max-model-len=4096]
matrix:
  gpu-type: [gpua5000]
  gpu-count: [1, 2]
workload: {input-tokens: 64, output-tokens: 8, api: completions}
load:
  - {concurrency: 2, requests: 6, warmup: 0s}
timeouts: {ready: 60s, operation: 30s, delete: 30s, request: 20s}
"""


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """The command in this process, without documents fetched on this machine: exit code, output, standard error."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


class Cloud:
    """A running simulator and what a client needs in its environment."""

    def __init__(self, simulator: SimulatorProcess) -> None:
        self.simulator = simulator
        found = simulator.credentials
        self.environment = {
            **os.environ,
            "EXOSCALE_API_KEY": found.key,
            "EXOSCALE_API_SECRET": found.secret.reveal(),
            "EXOSCALE_API_ENDPOINT": found.endpoint,
            "EXOSCALE_ZONE": found.zone,
            "HARNESS_TIME_SCALE": str(TIME_SCALE),
            "EXOSCALE_CONFIG": "",
        }

    def state(self) -> dict[str, Any]:
        return self.simulator.state()

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """The command from its beginning to its end, in this process."""
        return run_here(*arguments, environment=self.environment, given=given)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The command as a process, for signals."""
        return subprocess.Popen(
            [sys.executable, "-m", "harness", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def make_cloud(tmp_path: Path) -> Iterator[Callable[..., Cloud]]:
    started: list[SimulatorProcess] = []

    def make(faults: str | None = None, *, foreign: tuple[str, ...] = ()) -> Cloud:
        path = None
        if faults is not None:
            path = tmp_path / "faults.yaml"
            path.write_text(faults, encoding="utf-8")
        simulator = SimulatorProcess(Options(time_scale=TIME_SCALE, faults=path, foreign=foreign))
        simulator.start()
        started.append(simulator)
        return Cloud(simulator)

    yield make
    for simulator in started:
        simulator.stop()


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP, encoding="utf-8")
    return path


def wait_for_event(
    results: Path, kind: str, *, process: subprocess.Popen[str], timeout_s: float = 40.0
) -> None:
    """Until the sweep's journal holds an event of this kind; fails when the process ends before."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        journal = results / "journal.sqlite"
        if journal.exists() and any(event.kind == kind for event in read_events(journal)):
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"no {kind} within {timeout_s} s")


@pytest.fixture
def wait_for() -> Callable[..., None]:
    return wait_for_event
