"""Planted secrets: no file, no line of output and no report of a passing or a failing sweep holds one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from harness.errors import HarnessError
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.retries import RetryPolicy
from harness.results.journal import read_events
from harness.secret import Secret
from harness.simulator.process import SimulatorProcess
from harness.simulator.server import Options
from harness.sweep.exoscale_ready import without_keys

TOKEN = "hf_plantedInTheEnvironment0123456789"
PARAMETER = "hf_plantedInAParameterabcdefghijklm"
TIME_SCALE = 100.0
SWEEP = """\
name: planted
model: Qwen/Qwen2.5-0.5B
engine-version: "0.15.1"
parameters: [--max-model-len=2048]
matrix: {gpu-type: [gpua5000], gpu-count: [1, 2]}
workload: {input-tokens: 64, output-tokens: 8, api: completions}
load:
  - {concurrency: 2, requests: 6, warmup: 0s}
timeouts: {ready: 60s, operation: 30s, delete: 30s, request: 20s}
"""
FAILS = """\
faults:
  - {fault: deployment-error, subject: "*-r0", times: 1, message: "401 Client Error: the token is not valid"}
  - {fault: server-error, operation: reveal-deployment-api-key, times: 2, status: 500}
  - {fault: html, subject: "*-r0", skip: 6, times: 2}
  - {fault: forbidden, operation: delete-deployment, times: 1}
"""


class Zone:
    """A simulator, a sweep run against it as a process, and every secret that exists meanwhile."""

    def __init__(self, simulator: SimulatorProcess) -> None:
        self.simulator = simulator
        found = simulator.credentials
        self.secrets = {found.secret.reveal(), found.key, TOKEN}
        self.endpoint_keys: set[str] = set()
        self.arguments: set[bytes] = set()
        self.environment = {
            **os.environ,
            "EXOSCALE_API_KEY": found.key,
            "EXOSCALE_API_SECRET": found.secret.reveal(),
            "EXOSCALE_API_ENDPOINT": found.endpoint,
            "EXOSCALE_ZONE": found.zone,
            "EXOSCALE_CONFIG": "",
            "HARNESS_TIME_SCALE": str(TIME_SCALE),
            "HF_TOKEN": TOKEN,
        }

    def sweep(
        self, config: Path, results: Path, *, program: Sequence[str] = ("-m", "harness")
    ) -> tuple[int, str]:
        """Exit code and all that was printed; the endpoints' keys are collected while it runs."""
        command = [sys.executable, *program, "sweep", str(config), "--yes", "--results", str(results)]
        with subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            asyncio.run(self._watch(process))
            printed, _ = process.communicate(timeout=120)
        return process.returncode, printed

    async def _watch(self, process: subprocess.Popen[str]) -> None:
        policy = RetryPolicy(first_wait_s=0.01, deadline_s=5.0)
        async with ExoscaleClient(self.simulator.credentials, policy=policy) as client:
            while process.poll() is None:
                self.arguments |= arguments_of_all()
                try:
                    for deployment in await client.list_deployments():
                        key = await client.reveal_deployment_api_key(str(deployment.id))
                        self.endpoint_keys.add(key.reveal())
                except HarnessError:
                    pass  # gone already, not there yet, or a fault meant for the sweep
                await asyncio.sleep(0.05)

    def leaks(self, results: Path, printed: str) -> list[str]:
        """Where a secret was found."""
        files = [path for path in results.rglob("*") if path.is_file()]
        assert len(files) > 3
        assert any(b"sweep" in line for line in self.arguments)
        texts = {str(path): path.read_bytes() for path in files} | {"output": printed.encode()}
        for path in results.rglob("*.parquet"):  # what the file holds about itself, out of its encoding
            schema = pq.read_schema(path)
            texts[f"metadata of {path}"] = repr((pq.read_metadata(path).metadata, schema.metadata)).encode()
        texts |= {f"arguments {line!r}": line for line in self.arguments}
        planted = self.secrets | self.endpoint_keys
        return [name for name, text in texts.items() if any(each.encode() in text for each in planted)]


def arguments_of_all() -> set[bytes]:
    """The command lines of all processes that may be looked at, as any user of this machine sees them."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.add(path.read_bytes())
    return found


@pytest.fixture
def zone(tmp_path: Path) -> Iterator[Callable[[str], Zone]]:
    running: list[SimulatorProcess] = []

    def start(faults: str) -> Zone:
        path = tmp_path / "faults.yaml"
        path.write_text(faults, encoding="utf-8")
        simulator = SimulatorProcess(Options(time_scale=TIME_SCALE, faults=path))
        simulator.start()
        running.append(simulator)
        return Zone(simulator)

    yield start
    for simulator in running:
        simulator.stop()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "planted.yaml"
    path.write_text(SWEEP, encoding="utf-8")
    return path


def test_a_passing_sweep_leaks_no_secret(zone: Callable[[str], Zone], config: Path, tmp_path: Path) -> None:
    cloud, results = zone("faults: []\n"), tmp_path / "out"
    code, printed = cloud.sweep(config, results)
    assert code == 0, printed
    assert len(cloud.endpoint_keys) == 2
    assert (results / "report.html").is_file()
    assert cloud.leaks(results, printed) == []


def test_a_failing_sweep_leaks_no_secret(zone: Callable[[str], Zone], config: Path, tmp_path: Path) -> None:
    cloud, results = zone(FAILS), tmp_path / "out"
    code, printed = cloud.sweep(config, results)
    assert code in (1, 3), printed
    kinds = [event.kind for event in read_events(results / "journal.sqlite")]
    assert "failed" in kinds
    assert "Traceback" not in printed
    assert cloud.leaks(results, printed) == []


DEFECT = """\
import sys
from harness.cli.main import main
from harness.sweep.measure import Measurer

async def broken(self, run, ready):
    key = ready.endpoint.key.reveal()
    raise ZeroDivisionError("a defect")

Measurer.__call__ = broken
main(sys.argv[1:])
"""


def test_the_traceback_of_a_defect_shows_no_secret(
    zone: Callable[[str], Zone], config: Path, tmp_path: Path
) -> None:
    cloud, results = zone("faults: []\n"), tmp_path / "out"
    cloud.environment["HARNESS_DEBUG"] = "1"
    script = tmp_path / "defect.py"
    script.write_text(DEFECT, encoding="utf-8")
    code, printed = cloud.sweep(config, results, program=(str(script),))
    assert code == 1, printed
    assert "Traceback" in printed
    assert "ZeroDivisionError: a defect" in printed
    assert cloud.endpoint_keys
    assert cloud.leaks(results, printed) == []
    assert cloud.simulator.state()["alive"] == []


def test_a_key_that_an_engine_prints_is_kept_out_of_its_log() -> None:
    lines = [
        "non-default args: {'model': 'm', 'api_key': ['sk-planted'], 'hf_token': 'hf_planted', 'seed': 3}",
        "the key is sk-known, as it were",
    ]
    kept = "\n".join(without_keys(line, [Secret("sk-known")]) for line in lines)
    assert "planted" not in kept
    assert "sk-known" not in kept
    assert "'api_key': '***', 'hf_token': '***', 'seed': 3}" in kept


def test_a_secret_in_a_parameter_ends_the_sweep_before_anything_is_written_or_created(
    zone: Callable[[str], Zone], config: Path, tmp_path: Path
) -> None:
    cloud, results = zone("faults: []\n"), tmp_path / "out"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("=2048", f"=2048, --hf-token={PARAMETER}"), encoding="utf-8")
    code, printed = cloud.sweep(config, results)
    assert code == 2, printed
    assert "HF_TOKEN" in printed
    assert PARAMETER not in printed
    assert not results.exists()
    assert cloud.simulator.state()["created"] == []


def test_the_linter_shows_the_line_of_a_secret_with_stars_over_it(config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("=2048", f"=2048, --hf-token={PARAMETER}"), encoding="utf-8")
    command = [sys.executable, "-m", "harness", "lint", str(config), "--fail-on", "warning"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "secret-in-parameters" in ran.stdout
    assert "--hf-token=" + "*" * len(PARAMETER) in ran.stdout
    assert PARAMETER not in ran.stdout + ran.stderr
