"""A real vLLM on this machine's CPU, serving a tiny model of random weights, for tests that are marked ``engine``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

MODEL = Path(__file__).resolve().parent.parent / "configs" / "models" / "tiny-llama"
# The variable that names a version's vllm command.
ENGINES = {"0.15.1": "HARNESS_ENGINE_0_15_1", "0.12.0": "HARNESS_ENGINE_0_12_0"}
READY_S = 300.0
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "CUDA_VISIBLE_DEVICES": "", "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1", "TORCHDYNAMO_DISABLE": "1",
    "VLLM_HOST_IP": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo",
}  # fmt: skip


def engine_command(version: str) -> str:
    """The command of a version's real vLLM; where nothing names one, the test that asks is skipped."""
    command = os.environ.get(ENGINES[version])
    if not command:
        pytest.skip(f"{ENGINES[version]} names no vllm command, so there is no real engine to ask")
    return command


@contextmanager
def real_engine(command: str, arguments: Sequence[str] = (), *, key: str | None = None) -> Iterator[str]:
    """The engine's URL, without ``/v1``, until the block ends; it serves as ``tiny``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | ENVIRONMENT | ({"VLLM_API_KEY": key} if key else {})
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [command, "serve", str(MODEL), "--host", "127.0.0.1", "--port", str(port), "--load-format", "dummy",
             "--dtype", "bfloat16", "--enforce-eager", "--served-model-name", "tiny", *arguments],
            env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        try:
            if not _healthy(process, url):
                log.seek(0)
                raise RuntimeError(f"the engine did not start: {log.read()[-3000:].decode(errors='replace')}")
            yield url
        finally:
            _end(process)


def _healthy(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health", trust_env=False).status_code == 200:
                return True
        except httpx.TransportError:
            time.sleep(0.3)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End everything it started: the engine's core is a process of its own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)
