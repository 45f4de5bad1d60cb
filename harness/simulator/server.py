"""The simulator as a server on loopback: ``python -m harness.simulator.server``, or ``run`` in this process.

Prints one JSON line on stdout when it listens and serves until it is told to stop: by SIGINT or SIGTERM, or,
when it is ``owned``, by the end of its standard input or of its parent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from harness.errors import HarnessError, UsageError
from harness.load.steady import steady_process
from harness.secret import Secret
from harness.simulator.api import Api
from harness.simulator.clock import SimulatedClock
from harness.simulator.cloud import Cloud, Settings
from harness.simulator.faults import FaultFile, FaultPlan, read_faults
from harness.simulator.gate import Gate
from harness.simulator.inventory import ZONE, Inventory
from harness.simulator.judge import packaged_documents
from harness.simulator.refusal import Dialect

HOST = "127.0.0.1"
BACKLOG = 4096
OWNER_CHECK_S = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """How to serve. ``port`` 0 takes a free one; ``time_scale`` is zone seconds per second of provisioning."""

    port: int = 0
    seed: int = 0
    time_scale: float = 60.0
    faults: Path | None = None
    dialect: Dialect = Dialect.SEED
    foreign: tuple[str, ...] = ()
    create_ends_served: bool = False
    owned: bool = False


def run(options: Options, *, announce: Callable[[str], None]) -> None:
    """Serves until told to stop; ``announce`` is given the one line. UsageError when the port is taken."""
    faults = read_faults(options.faults) if options.faults is not None else FaultFile()
    with (
        _listening_socket(options.port) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_serve(options, faults, listener=listener, announce=announce))


@contextmanager
def _listening_socket(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise UsageError(f"cannot listen on {HOST}:{port}: {error}; --port 0 takes a free one") from error
        yield listener


async def _serve(
    options: Options, faults: FaultFile, *, listener: socket.socket, announce: Callable[[str], None]
) -> None:
    base_url = f"http://{HOST}:{listener.getsockname()[1]}"
    key, secret = f"EXO{secrets.token_hex(12)}", Secret(secrets.token_urlsafe(32))
    cloud = make_cloud(options, faults, base_url=base_url)
    config = uvicorn.Config(
        make_application(cloud, keys={key: secret}),
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    line = {"endpoint": f"{base_url}/v2", "api_key": key, "api_secret": secret.reveal(), "zone": ZONE}
    server = _Server(config, on_listening=lambda: announce(json.dumps(line)))
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # before the announcement, which invites signals
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    watch = asyncio.create_task(_stop_when_told(server, told, owned=options.owned))
    try:
        await server.serve(sockets=[listener])
    finally:
        watch.cancel()
        await cloud.close()


def make_application(cloud: Cloud, *, keys: Mapping[str, Secret]) -> Gate:
    """Everything the zone answers: its API and, behind their URLs, its deployments."""
    api = Api(cloud, keys=keys)
    control = Starlette(
        routes=[*api.routes(), Route("/simulator/state", _state_of(api), methods=["GET"])],
        exception_handlers={404: _no_route, 405: _no_route},
    )
    return Gate(cloud, control)


def make_cloud(
    options: Options,
    faults: FaultFile,
    *,
    base_url: str,
    clock: Callable[[], float] = time.monotonic,
    make_id: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> Cloud:
    """A zone as the options and the fault file describe it; ``clock`` is what its seconds are made of."""
    inventory = Inventory()
    for name, family in inventory.families.items():
        quota, stock = faults.quotas.get(name, family.quota), faults.stock.get(name, family.stock)
        inventory.families[name] = replace(family, quota=quota, stock=stock)
    seed = options.seed if faults.seed is None else faults.seed
    zone_clock = SimulatedClock(options.time_scale, clock=clock)
    return Cloud(
        Settings(
            seed=options.seed,
            dialect=options.dialect,
            create_ends_served=options.create_ends_served,
            foreign=options.foreign,
        ),
        base_url=base_url,
        clock=zone_clock,
        documents=packaged_documents(),
        faults=FaultPlan(faults.faults, seed=seed, clock=zone_clock.now),
        inventory=inventory,
        make_id=make_id,
    )


def _state_of(api: Api) -> Callable[[Request], Any]:
    async def state(request: Request) -> Response:
        cloud = api.cloud
        alive = [record for record in cloud.deployments.values() if not record.foreign]
        foreign = [record for record in cloud.deployments.values() if record.foreign]
        return JSONResponse(
            {
                "simulated": True,
                "created": cloud.ledger.created,
                "deleted": cloud.ledger.deleted,
                "alive": [{"id": record.id, "name": record.name, "state": record.state} for record in alive],
                "foreign": [{"id": record.id, "name": record.name} for record in foreign],
                "requests": dict(api.seen),
                "refused": {str(status): count for status, count in api.refused.items()},
                "faults": dict(cloud.faults.injected),
                "gpus_in_use": {name: used for name, used in cloud.inventory.used.items() if used},
            }
        )

    return state


async def _no_route(request: Request, error: Exception) -> Response:
    return JSONResponse({"message": "no such resource"}, status_code=getattr(error, "status_code", 404))


class _Protocol(HttpToolsProtocol):
    """Hands the transport to the application, so that a fault can reset the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"transport": {"transport": self.transport}}


class _Server(uvicorn.Server):
    """Tells when it listens, and leaves the signals to ``_stop_when_told``."""

    def __init__(self, config: uvicorn.Config, *, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts, then announces."""
        await super().startup(sockets)
        if self.started:
            self._on_listening()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Installs nothing."""
        yield


async def _stop_when_told(server: uvicorn.Server, told: asyncio.Event, *, owned: bool) -> None:
    if owned:
        loop, owner = asyncio.get_running_loop(), os.getppid()
        loop.add_reader(sys.stdin.fileno(), _read_stdin, told)
        while not told.is_set() and os.getppid() == owner:
            try:
                await asyncio.wait_for(told.wait(), OWNER_CHECK_S)
            except TimeoutError:
                continue
        loop.remove_reader(sys.stdin.fileno())
    else:
        await told.wait()
    server.should_exit = True


def _read_stdin(told: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        told.set()


def parse_arguments(arguments: Sequence[str] | None = None) -> Options:
    """The options of ``python -m harness.simulator.server``."""
    parser = argparse.ArgumentParser(prog="harness.simulator.server", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-scale", type=float, default=60.0)
    parser.add_argument("--faults", type=Path)
    parser.add_argument("--dialect", type=Dialect, choices=list(Dialect), default=Dialect.SEED)
    parser.add_argument("--foreign", action="append", default=[], metavar="NAME")
    parser.add_argument("--create-ends-served", action="store_true")
    parser.add_argument("--owned", action="store_true", help="stop when standard input or the parent ends")
    given = vars(parser.parse_args(arguments))
    return Options(**{**given, "foreign": tuple(given["foreign"])})


def print_line(line: str) -> None:
    """The announcement, out at once even into a pipe."""
    print(line, flush=True)


def main() -> None:
    """Entry point of the module; an error of ours is one line and its exit code."""
    steady_process()
    try:
        run(parse_arguments(), announce=print_line)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
