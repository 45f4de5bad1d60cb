"""The simulator's process: how it begins, what it prints, and that it never outlives its owner."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from harness.errors import InternalError
from harness.simulator.process import SimulatorProcess
from harness.simulator.server import Options


def is_alive(pid: int) -> bool:
    """False for a process that is gone or a zombie (Linux)."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_alive(pid)


def simulate(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "simulate", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def served() -> Iterator[subprocess.Popen[str]]:
    process = simulate("--time-scale", "1000")
    yield process
    process.kill()
    process.communicate()


def test_the_command_prints_one_json_line_and_ends_well_on_interrupt(served: subprocess.Popen[str]) -> None:
    assert served.stdout is not None
    line = json.loads(served.stdout.readline())
    assert set(line) == {"endpoint", "api_key", "api_secret", "zone"}
    assert httpx.get(f"{line['endpoint']}/zone").status_code == 200
    served.send_signal(signal.SIGINT)
    rest, errors = served.communicate(timeout=30)
    assert (served.returncode, rest, errors) == (0, "", "")


def test_the_announcement_can_be_lines_for_a_shell(tmp_path: Path) -> None:
    file = tmp_path / "zone.env"
    with file.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", "simulate", "--env", "--time-scale", "1000"], stdout=out
        )
    try:
        deadline = time.monotonic() + 60
        while not file.stat().st_size and time.monotonic() < deadline:
            time.sleep(0.05)
        script = f". {file} && {sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
        ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        found = json.loads(ran.stdout)
        assert httpx.get(f"{found['EXOSCALE_API_ENDPOINT']}/zone").status_code == 200
        assert found["EXOSCALE_API_KEY"].startswith("EXO")
        assert len(found["EXOSCALE_API_SECRET"]) >= 32
        assert (found["EXOSCALE_ZONE"], found["HARNESS_TIME_SCALE"]) == ("sim-loop-1", "1000")
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_sigterm_ends_it_too(served: subprocess.Popen[str]) -> None:
    assert served.stdout is not None
    served.stdout.readline()
    served.terminate()
    served.communicate(timeout=30)
    assert served.returncode == 0


def test_a_taken_port_is_one_line_and_wrong_usage() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = simulate("--port", str(taken.getsockname()[1]))
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (2, "")
    assert errors.startswith("error: cannot listen on 127.0.0.1:")
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("--time-scale", "0"), ("--dialect", "old"), ("--port", "70000")])
def test_unusable_options_are_wrong_usage(arguments: tuple[str, ...]) -> None:
    process = simulate(*arguments)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "Traceback" not in errors


def test_an_unusable_fault_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("faults: [{fault: no-dome}]")
    process = simulate("--faults", str(path))
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert len(errors.splitlines()) == 1
    with pytest.raises(InternalError, match="no fault 'no-dome'; did you mean 'no-done'"):
        SimulatorProcess(Options(faults=path)).start()


def test_leaving_the_block_ends_the_process() -> None:
    with SimulatorProcess(Options(time_scale=1000)) as simulator:
        pid = simulator.pid
        assert simulator.state()["simulated"] is True
    assert gone_within(pid, 0.0)


def test_the_secret_is_in_no_command_line() -> None:
    with SimulatorProcess() as simulator:
        line = Path(f"/proc/{simulator.pid}/cmdline").read_bytes().decode()
        assert simulator.credentials.secret.reveal() not in line
        assert simulator.credentials.secret.reveal() not in repr(simulator.credentials)


OWNER = """
import os, time
from harness.simulator.process import SimulatorProcess
simulator = SimulatorProcess()
simulator.start()
if {forks} and os.fork() == 0:
    time.sleep(60)  # a child that keeps the pipe to the simulator open
print(simulator.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("forks", [False, True], ids=["alone", "forked"])
def test_killing_the_owner_ends_the_simulator(forks: bool) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(forks=forks)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert owner.stdout is not None
    try:
        pid = int(owner.stdout.readline())
        assert is_alive(pid)
        owner.kill()
        owner.wait()
        assert gone_within(pid, 20.0)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(owner.pid, signal.SIGKILL)
        owner.stdout.close()
