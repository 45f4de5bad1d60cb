"""Connections kept alive and lent out: the last returned goes first, a dead one is replaced before the clock starts."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time

from harness.errors import UsageError
from harness.load.arrivals import ClosedLoop
from harness.load.connection import ConnectFailed, Connection, ConnectionLost
from harness.load.dial import open_connection
from harness.load.records import Outcome
from harness.load.response import NS_PER_S, Response, Room
from harness.load.stage import Stage
from harness.load.target import Target

# uvicorn closes after 5 s without a request; a connection this old is not trusted to outlive the next send.
IDLE_LIMIT_S = 4.0
# Standard streams, the event loop, imports in flight.
SPARE_FILES = 64


class Pool:
    """Connections to one target, as many as are asked for. ``opened`` counts them; ``close`` frees those at rest."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.opened = 0
        self._idle: list[Connection] = []
        self._room = Room()

    async def exchange(self, request: bytes, response: Response) -> None:
        """Send ``request`` on a kept or new connection and fill ``response``; failures are noted in it.

        A reused connection that turns out closed before any byte of a response is replaced by a new one, once, and
        ``sent`` is the time of the second try.
        """
        response.room = self._room
        connection = self._take()
        if connection is not None:
            try:
                await self._use(connection, request, response)
                return
            except ConnectionLost:
                response.reset()
        try:
            connection = await open_connection(self.target)
        except ConnectFailed as error:
            response.fail(error.outcome, str(error))
            return
        self.opened += 1
        response.connect_ns, response.tls_ns = connection.connect_ns, connection.tls_ns
        try:
            await self._use(connection, request, response)
        except ConnectionLost as error:
            response.fail(Outcome.TRUNCATED, f"{error} before a response")

    async def _use(self, connection: Connection, request: bytes, response: Response) -> None:
        await connection.exchange(request, response)
        if not connection.closed:
            self._idle.append(connection)

    async def warm(self, count: int) -> None:
        """Have up to ``count`` connections open and idle; one that cannot be opened is left to fail in its request."""
        missing = max(count - len(self._idle), 0)
        opened = await asyncio.gather(
            *(open_connection(self.target) for _ in range(missing)), return_exceptions=True
        )
        self._idle += [connection for connection in opened if isinstance(connection, Connection)]
        self.opened += missing - sum(isinstance(result, BaseException) for result in opened)

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.closed:
                continue
            if time.monotonic_ns() - connection.idle_since_ns < IDLE_LIMIT_S * NS_PER_S:
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """Close every idle connection; those in use close with their exchange."""
        while self._idle:
            self._idle.pop().close()


def check_open_files(stage: Stage, *, limit: int) -> None:
    """UsageError when a closed loop's connections cannot all be open under ``limit``."""
    users = stage.arrivals.concurrency if isinstance(stage.arrivals, ClosedLoop) else 0
    if users + SPARE_FILES > limit:
        raise UsageError(
            f"{users} users need {users + SPARE_FILES} open files, this system allows {limit}; raise 'ulimit -n'"
        )


def raise_open_file_limit() -> int:
    """Lift the soft limit on open files to the hard one, or as far as the system lets; returns the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1 << 20 if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
