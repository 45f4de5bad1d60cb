"""What a stage is measured in: a clock and a way to the server. The real ones, unless a virtual world stands in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from harness.load.pool import Pool
from harness.load.response import Response
from harness.load.target import Target


class Connections(Protocol):
    """Ways to one server: ``Pool`` over sockets, or an application held in memory."""

    @property
    def opened(self) -> int: ...
    async def exchange(self, request: bytes, response: Response) -> None: ...
    async def warm(self, count: int) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a stage's instants and answers come from.

    ``now_ns`` is monotonic and is what the running loop sleeps by, ``unix_s`` names its origin. In ``virtual``
    surroundings no time passes while the client works, so its own delays are not looked for.
    """

    now_ns: Callable[[], int] = time.monotonic_ns
    unix_s: Callable[[], float] = time.time
    connect: Callable[[Target], Connections] = Pool
    virtual: bool = False


REAL = Surroundings()
