"""When a call is made again. What costs money is repeated only where it provably did not happen.

Reading and deleting may be repeated after 429, 5xx and network errors. Create, update and scale are repeated
after 429 and after a connection that was never made; after anything else their outcome is unknown
(``is_ambiguous``), and the caller has to look before trying again.
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_any, retry_if_exception, retry_if_result

from harness.errors import ApiError, NetworkError, PlatformError
from harness.exoscale.refusals import retry_after_s

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

NEVER_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often. Waits double from ``first_wait_s`` to ``longest_wait_s``, each shortened by up to
    half at random; no new try starts later than ``deadline_s`` after the first.

    ``unix_clock`` reads Retry-After dates, ``clock`` measures the deadline. ``on_retry`` is told, before each pause,
    what went wrong and how many seconds the pause takes.
    """

    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    deadline_s: float = 120.0
    clock: Clock = time.monotonic
    unix_clock: Clock = time.time
    sleep: Sleep = asyncio.sleep
    jitter: Callable[[], float] = field(default=random.random)
    on_retry: Callable[[str, float], None] | None = None

    def wait_s(self, attempt: int, *, asked_s: float | None) -> float:
        """The pause after the ``attempt``-th try (from 1): what the server asked for, or the backoff."""
        if asked_s is not None:
            return asked_s
        backoff = min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(attempt - 1, 30))
        return backoff * (1 - self.jitter() / 2)


def is_ambiguous(error: PlatformError) -> bool:
    """True when the call that raised it may have taken effect all the same: no answer, or a 5xx."""
    return isinstance(error, NetworkError) or (isinstance(error, ApiError) and error.status >= 500)


def is_permanent(error: BaseException | None) -> bool:
    """True for a connection that no repetition will make: a host without a name, a certificate not to be trusted."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
            return True
        error = error.__cause__ or error.__context__
    return False


async def send_repeatedly(
    send: Callable[[], Awaitable[httpx.Response]], *, policy: RetryPolicy, repeatable: bool
) -> httpx.Response:
    """The first answer worth keeping, or the last one within the deadline; raises the last httpx error."""
    started = policy.clock()

    def pause(state: RetryCallState) -> float:
        outcome = state.outcome
        asked = None
        if outcome is not None and not outcome.failed:
            asked = retry_after_s(outcome.result(), now=policy.unix_clock())
        return policy.wait_s(state.attempt_number, asked_s=asked)

    def out_of_time(state: RetryCallState) -> bool:
        return policy.clock() - started + state.upcoming_sleep > policy.deadline_s

    def worth_repeating(response: httpx.Response) -> bool:
        return response.status_code == 429 or (repeatable and response.status_code >= 500)

    def may_heal(error: BaseException) -> bool:
        kinds = (httpx.TransportError,) if repeatable else NEVER_CONNECTED
        return isinstance(error, kinds) and not is_permanent(error)

    retrying = AsyncRetrying(
        sleep=policy.sleep,
        wait=pause,
        stop=out_of_time,
        retry=retry_any(
            retry_if_result(worth_repeating),
            retry_if_exception(may_heal),
        ),
        before_sleep=_teller(policy),
        retry_error_callback=_last_outcome,
    )
    return cast(httpx.Response, await retrying(send))


def _teller(policy: RetryPolicy) -> Callable[[RetryCallState], None]:
    def tell(state: RetryCallState) -> None:
        if policy.on_retry is None or state.outcome is None:
            return
        error = state.outcome.exception()
        what = (
            str(state.outcome.result().status_code) if error is None else str(error) or type(error).__name__
        )
        policy.on_retry(what, state.upcoming_sleep)

    return tell


def _last_outcome(state: RetryCallState) -> httpx.Response:
    if state.outcome is None:
        raise RuntimeError("tenacity stopped before the first try")
    return cast(httpx.Response, state.outcome.result())
