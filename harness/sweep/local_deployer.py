"""A real ``vllm serve`` on this machine as the deployment of a cell: started, waited for, ended with its group.

The API key goes through the environment, never the command line. Every process the server starts is in its own
process group, which is what is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from harness.errors import ConfigError, EngineStartError, InvalidError
from harness.load.records import Endpoint
from harness.secret import Secret
from harness.sweep.classify import classify_log
from harness.sweep.deployers import Ready, Run, StateCallback
from harness.sweep.processes import (
    NAME_VARIABLE,
    find_by_environment,
    free_port,
    group_alive,
    signal_group,
    start_ticks,
    tail_of,
)
from harness.sweep.readiness import COMPLETION_TIMEOUT_S, NotAnswering, complete_once
from harness.sweep.running import log_differences

TERM_GRACE_S = 15.0


@dataclass(frozen=True, slots=True)
class LocalEngines:
    """Which command serves which engine version, what a model's name stands for on disk, extra environment."""

    commands: Mapping[str, str]
    model_paths: Mapping[str, str]
    environment: Mapping[str, str]
    ready_s: float = 600.0

    def command_for(self, version: str) -> str:
        """The vllm command of a version; ConfigError when there is none that can be run."""
        command = self.commands.get(version, "vllm")
        found = shutil.which(os.path.expanduser(command))
        if found is None:
            raise ConfigError(
                f"no vllm command for engine version {version}: {command!r} is not an executable; "
                f'name one under engines: {{"{version}": /path/to/vllm}}'
            )
        return found


@dataclass(slots=True)
class _Server:
    process: subprocess.Popen[bytes]
    url: str
    key: Secret
    log: Path
    started: float


class LocalVllmDeployer:
    """Keeps at most the servers it started; ids are ``pid:<process group>:<start time in clock ticks>``."""

    kind = "local"
    simulated = False

    def __init__(self, engines: LocalEngines, *, log_folder: Path) -> None:
        self._engines = engines
        self._log_folder = log_folder
        self._servers: dict[str, _Server] = {}

    async def create(self, run: Run) -> str:
        """Start the server; it has its own session so that a Ctrl-C reaches the harness alone."""
        try:
            command = self._engines.command_for(run.cell.engine_version)
        except ConfigError as error:
            raise InvalidError("start-engine", status=400, detail=str(error)) from error
        port, key = free_port(), Secret(secrets.token_urlsafe(24))
        self._log_folder.mkdir(parents=True, exist_ok=True)
        log = self._log_folder / f"{run.id}.engine.log"
        arguments = [command, "serve", self._engines.model_paths.get(run.cell.model, run.cell.model)]
        arguments += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", run.cell.model]
        arguments += run.cell.parameters
        process = self._start(arguments, name=run.name, key=key, log=log)
        identity = identity_of(process.pid)
        self._servers[identity] = _Server(process, f"http://127.0.0.1:{port}/v1", key, log, time.monotonic())
        return identity

    def _start(
        self, arguments: Sequence[str], *, name: str, key: Secret, log: Path
    ) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            **self._engines.environment,
            "VLLM_API_KEY": key.reveal(),
            NAME_VARIABLE: name,
        }
        with log.open("wb") as output:
            return subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    async def find(self, name: str) -> str | None:
        """The server whose environment carries the name: one that was started just before a crash, too."""
        pid = find_by_environment(name)
        return None if pid is None else identity_of(pid)

    async def wait_ready(self, run: Run, deployment_id: str, on_state: StateCallback) -> Ready:
        """Wait for /health, then for one real completion; EngineStartError with the log's cause otherwise."""
        server = self._servers[deployment_id]
        on_state("deploying")
        deadline = server.started + self._engines.ready_s
        async with httpx.AsyncClient(timeout=COMPLETION_TIMEOUT_S, trust_env=False) as client:
            while not await self._healthy(client, server):
                self._refuse_dead(run, server)
                if time.monotonic() > deadline:
                    raise self._failure(
                        run, server, "timeout", f"not ready after {self._engines.ready_s:.0f} s"
                    )
                await asyncio.sleep(0.25)
            await self._complete_once(client, run, server)
        self._refuse_otherwise(run, server)
        on_state("ready")
        endpoint = Endpoint(server.url, run.cell.model, server.key)
        return Ready(
            endpoint, time.monotonic() - server.started, {"running": self._non_default_arguments(server)}
        )

    @staticmethod
    async def _healthy(client: httpx.AsyncClient, server: _Server) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (await client.get(server.url.removesuffix("/v1") + "/health")).status_code == 200
        return False

    async def _complete_once(self, client: httpx.AsyncClient, run: Run, server: _Server) -> None:
        try:
            await complete_once(client, Endpoint(server.url, run.cell.model, server.key))
        except NotAnswering as error:
            self._refuse_dead(run, server)
            raise self._failure(run, server, "unknown", f"no first completion: {error}") from error

    def _refuse_dead(self, run: Run, server: _Server) -> None:
        code = server.process.poll()
        if code is not None:
            raise self._failure(run, server, None, f"vllm serve ended with status {code}")

    def _failure(self, run: Run, server: _Server, cause: str | None, what: str) -> EngineStartError:
        tail = tail_of(server.log)
        found = classify_log(tail)
        return EngineStartError(
            f"vLLM {run.cell.engine_version} did not start: {what}; {found.message}",
            cause=cause or found.cause,
            log_tail=tail[-20:],
            rule=found.rule,
        )

    def _refuse_otherwise(self, run: Run, server: _Server) -> None:
        otherwise = log_differences(run.cell, tail_of(server.log))
        if otherwise:
            raise self._failure(run, server, "not-as-asked", "; ".join(otherwise))

    @staticmethod
    def _non_default_arguments(server: _Server) -> str | None:
        for line in tail_of(server.log):
            _, found, arguments = line.partition("non-default args: ")
            if found:
                return arguments
        return None

    async def move(self, run: Run, deployment_id: str) -> None:
        """A process cannot change its arguments; a fresh one starts as fast."""
        raise InvalidError("move-engine", status=400, detail="a local engine is started anew for each run")

    async def scale(self, deployment_id: str, *, replicas: int) -> None:
        """Refused, as ``move`` is."""
        raise InvalidError("scale-engine", status=400, detail="a local engine costs nothing while it waits")

    async def check(self, run: Run, deployment_id: str) -> None:
        """The process is the one that was started, and lives."""
        self._refuse_dead(run, self._servers[deployment_id])

    async def logs(self, deployment_id: str) -> Sequence[str]:
        """The last lines of the server's output."""
        server = self._servers.get(deployment_id)
        return tail_of(server.log) if server else []

    async def delete(self, deployment_id: str) -> None:
        """End the process group: terminate, wait, kill what is left."""
        server = self._servers.get(deployment_id)
        group = int(deployment_id.split(":")[1])
        if server is None and start_ticks(group) != deployment_id.split(":")[2]:
            return  # that process is over; the number may belong to somebody else now
        signal_group(group, signal.SIGTERM)
        deadline = time.monotonic() + TERM_GRACE_S
        while group_alive(group) and time.monotonic() < deadline:
            if server is not None:
                server.process.poll()
            await asyncio.sleep(0.1)
        signal_group(group, signal.SIGKILL)
        if server is not None:
            await asyncio.to_thread(server.process.wait)

    async def is_gone(self, deployment_id: str) -> bool:
        """True when no process of the group is left."""
        server = self._servers.get(deployment_id)
        if server is not None:
            server.process.poll()
        _, group, ticks = deployment_id.split(":")
        if server is None and start_ticks(int(group)) != ticks:
            return True
        return not group_alive(int(group))


def identity_of(pid: int) -> str:
    """The deployment id of a local server."""
    return f"pid:{pid}:{start_ticks(pid)}"
