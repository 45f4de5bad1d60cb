"""Sending the requests of a stage and keeping what became of them: single ones, and conversations turn by turn.

A response is read when it has ended; before that, by and by, where the next turn depends on it, and whenever much of it
has gathered: what waits to be read stays small. When requests go is the driver's to say; only the pause for thought
within a conversation is waited for here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from harness.load.alarm import Alarm
from harness.load.chores import Chores
from harness.load.log import RecordLog
from harness.load.monitor import Tally
from harness.load.outlook import Outlook
from harness.load.records import Outcome, RequestRecord
from harness.load.response import NS_PER_S, Reading, Response, completing
from harness.load.source import RequestSpec
from harness.load.stage import Stage
from harness.load.supply import Ready, Supply
from harness.load.surroundings import Connections

# How far the reading of a conversation's answers stays behind them.
READ_AHEAD_S = 0.02


class Talk:
    """The requests of one stage, and the log of those that were read.

    ``sent`` counts them all, ``queued`` those held back by the limit on requests in flight.
    """

    def __init__(
        self,
        stage: Stage,
        supply: Supply,
        pool: Connections,
        chores: Chores,
        *,
        streamed: bool,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.stage, self.supply, self.pool, self.chores = stage, supply, pool, chores
        self.streamed, self._now_ns = streamed, now_ns
        self.alarm = Alarm(now_ns)
        self.log = RecordLog()
        self.tally, self.outlook = Tally(), Outlook(stage)
        self.sent = self.queued = 0
        self.origin_ns = 0
        limit = None if stage.is_closed_loop else stage.max_in_flight
        self._ahead: dict[_Turn, None] = {}
        self._looking = False
        self._gate = None if limit is None else asyncio.Semaphore(limit)

    async def admit(self) -> None:
        """Wait for a place in flight, where they are limited; sending gives it back."""
        if self._gate is not None:
            self.queued += self._gate.locked()
            await self._gate.acquire()

    async def converse(self, scheduled_ns: int, *, warmup: bool, until_ns: int | None = None) -> bool:
        """Send the next request, already admitted, and the turns after it while they succeed; False for a failure.

        A turn is scheduled for the end of the answer before it plus the time to think. One that would come at
        ``until_ns`` or later is not sent: the conversation is left at that instant.
        """
        ready: Ready | None = self.supply.take(warmup=warmup)
        while ready is not None:
            spec, request = ready
            if spec.is_last:
                response = await self._send(spec, request, scheduled_ns)
                return not response.looks_failed
            turn = _Turn(spec, asyncio.get_running_loop().create_future())
            response = await self._send(spec, request, scheduled_ns, turn)
            ready = await turn.following
            if ready is None:
                break
            scheduled_ns = (response.ended_ns or 0) + round(ready[0].think_s * NS_PER_S)
            if until_ns is not None and scheduled_ns >= until_ns:
                await self.alarm.wait_until(until_ns)
                return True
            await self.alarm.wait_until(scheduled_ns)
            await self.admit()
        return False

    async def _send(
        self, spec: RequestSpec, request: bytes, scheduled_ns: int, turn: _Turn | None = None
    ) -> Response:
        """One request from its schedule to its response; the record is filled in when there is time."""
        record = RequestRecord(
            index=spec.index,
            scheduled_s=(scheduled_ns - self.origin_ns) / NS_PER_S,
            warmup=spec.warmup,
            input_tokens_asked=spec.input_tokens,
            output_tokens_asked=spec.output_tokens,
            conversation=spec.conversation,
            turn=spec.turn,
        )
        self.sent += 1
        response = Response()
        reading = Reading(response, origin_ns=self.origin_ns, answer=None if turn is None else turn.answer)
        response.on_many = partial(self._read_on, reading)
        if turn is not None:
            turn.reading = reading
            self._read_ahead_of(turn)
        self.tally.in_flight += 1
        try:
            async with asyncio.timeout(self.stage.timeout_s):
                await self.pool.exchange(request, response)
        except TimeoutError:
            response.fail(Outcome.TIMEOUT, f"not finished after {self.stage.timeout_s:g} s")
        except asyncio.CancelledError:
            response.fail(Outcome.UNFINISHED, "in flight when the stage ended")
            raise
        finally:
            response.on_many = None  # it refers to the response: a cycle that nobody here collects
            self.tally.in_flight -= 1
            if self._gate is not None:
                self._gate.release()
            if response.ended_ns is None:
                response.ended_ns = self._now_ns()
            if turn is None:
                self.chores.add(self._read(record, reading), holds_bytes=reading.claim())
            else:
                self._ahead.pop(turn)
                chore = self._read_and_follow(record, reading, turn)
                self.chores.add(chore, holds_bytes=reading.claim(), urgent=True)
        return response

    def _read_on(self, reading: Reading) -> None:
        """Much of a response has gathered: read it while it runs."""
        if self.streamed and reading.is_stream:
            self.chores.add(reading.catch_up(), holds_bytes=reading.claim())

    def _read(self, record: RequestRecord, reading: Reading) -> Iterator[None]:
        """What became of a request, read from its response; the response's bytes are then let go."""
        yield from completing(record, reading, streamed=self.streamed)
        self.tally.ended(record)
        self.outlook.heard(record)
        self.log.add(record)
        yield

    def _read_and_follow(self, record: RequestRecord, reading: Reading, turn: _Turn) -> Iterator[None]:
        """``_read``, then the conversation's next request, made while the user thinks; None after a failure."""
        yield from self._read(record, reading)
        if turn.following.done():  # cancelled with the stage
            return
        ready: Ready | None = None
        if record.outcome is Outcome.SUCCEEDED:
            said = turn.then or self.supply.next_turn(turn.spec)
            ready = self.supply.following(turn.spec, "".join(turn.answer), turn=said)
        turn.following.set_result(ready)

    # An answer that others wait for is read while it comes: at its end there is then little left to do.

    def _read_ahead_of(self, turn: _Turn) -> None:
        self._ahead[turn] = None
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(READ_AHEAD_S, self._look_ahead)

    def _look_ahead(self) -> None:
        self._looking = bool(self._ahead)
        if self._looking:
            self.chores.add(self._catch_up(list(self._ahead)))

    def _catch_up(self, turns: list[_Turn]) -> Iterator[None]:
        """What has come of these answers, read; what the user says after them, made. Then it is time to wait again."""
        for turn in turns:
            if turn.then is None:
                turn.then = self.supply.next_turn(turn.spec)
                yield
            if turn in self._ahead and self.streamed and turn.reading is not None and turn.reading.is_stream:
                for _ in turn.reading.catch_up():
                    yield
                    if turn not in self._ahead:
                        break
        asyncio.get_running_loop().call_later(READ_AHEAD_S, self._look_ahead)

    def close(self) -> None:
        """Free what the waiting took; the pool is its owner's to close."""
        self._ahead.clear()
        self.alarm.close()


@dataclass(slots=True, eq=False)
class _Turn:
    """A request that another follows: its answer as far as it was read, what comes ``then``, the request made of it."""

    spec: RequestSpec
    following: asyncio.Future[Ready | None]
    answer: list[str] = field(default_factory=list)
    reading: Reading | None = None
    then: RequestSpec | None = None
