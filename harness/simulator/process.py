"""The simulator in a process of its own, whose life ends with its owner's at the latest."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, Self

import httpx

from harness.errors import InternalError
from harness.exoscale.credentials import Credentials
from harness.secret import Secret
from harness.simulator.server import Options

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0


class SimulatorProcess:
    """Starts a simulator on entering (or by ``start``), ends it on leaving (or by ``stop``).

    ``credentials`` are good for any client of the API; ``state`` asks the simulator what it has seen.
    """

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._credentials: Credentials | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def credentials(self) -> Credentials:
        """Key, secret, zone and endpoint of the running simulator."""
        if self._credentials is None:
            raise InternalError("the simulator has not been started")
        return self._credentials

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self._process is None:
            raise InternalError("the simulator has not been started")
        return self._process.pid

    def start(self) -> Credentials:
        """Returns once it listens; InternalError with its own words when it does not within half a minute."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.simulator.server", *_arguments(self._options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )
        line = self._first_line()
        try:
            announced = json.loads(line)
        except ValueError:
            words = self._last_words()
            self.stop()
            raise InternalError(f"the simulator did not start: {words}") from None
        self._credentials = Credentials(
            key=announced["api_key"],
            secret=Secret(announced["api_secret"]),
            zone=announced["zone"],
            endpoint=announced["endpoint"],
        )
        return self._credentials

    def stop(self) -> None:
        """Ends it: closes its standard input, then, if it lingers, by signals. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                with suppress(ProcessLookupError):
                    process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
                break
        if self._errors is not None:
            self._errors.close()

    def state(self) -> dict[str, Any]:
        """What the simulator says of itself: deployments created, deleted and alive, requests, faults."""
        url = self.credentials.endpoint.removesuffix("/v2") + "/simulator/state"
        document: dict[str, Any] = httpx.get(url, timeout=10.0, trust_env=False).json()
        return document

    def _first_line(self) -> bytes:
        process = self._process
        if process is None or process.stdout is None:
            return b""
        line, deadline = b"", time.monotonic() + START_TIMEOUT_S
        descriptor = process.stdout.fileno()
        while not line.endswith(b"\n") and (left := deadline - time.monotonic()) > 0:
            if select.select([descriptor], [], [], left)[0]:
                piece = os.read(descriptor, 4096)
                if not piece:
                    break
                line += piece
        return line

    def _last_words(self) -> str:
        if self._errors is None:
            return "no message"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("error: ") if lines else "no message"


def _arguments(options: Options) -> list[str]:
    """The command line of an owned server with these options; holds no secret."""
    arguments = ["--owned", f"--port={options.port}", f"--seed={options.seed}"]
    arguments += [f"--time-scale={options.time_scale}", f"--dialect={options.dialect}"]
    arguments += [f"--foreign={name}" for name in options.foreign]
    if options.faults is not None:
        arguments.append(f"--faults={options.faults}")
    if options.create_ends_served:
        arguments.append("--create-ends-served")
    return arguments
