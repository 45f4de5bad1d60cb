"""What an engine generates, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from harness.forecast.sequence import Request


class Mailbox:
    """Wakes one consumer; several wakes before it looks are one."""

    __slots__ = ("_signalled", "_waiter")

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None
        self._signalled = False

    def wake(self) -> None:
        """Let the consumer look again."""
        self._signalled = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def wait(self) -> None:
        """Return when there was a wake since the last return."""
        if not self._signalled:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._signalled = False


class Choices:
    """The sequences of one prompt, which end one by one. ``longest`` is their most tokens once none is left."""

    __slots__ = ("left", "longest", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.left = number
        self.longest = 0

    def end(self, length: int) -> None:
        """One more has ended by itself."""
        self.left -= 1
        self.longest = max(self.longest, length)


class Generation:
    """One sequence being generated. ``available`` tokens may be shown; ``finished`` says there will be no more.

    ``length`` is how many tokens it will have. The instants are the engine's clock: queued, admitted, first token.
    """

    __slots__ = (
        "admitted_s", "asked_tokens", "available", "choices", "ended_s", "finish_reason", "finished", "first_s", "ids",
        "length", "mailbox", "queued_s", "request", "stop_reason", "texts",
    )  # fmt: skip

    def __init__(
        self,
        *,
        prompt_tokens: int,
        texts: list[str],
        ids: list[int],
        finish_reason: str,
        stop_reason: str | None,
        asked_tokens: int,
        mailbox: Mailbox,
        hashes: Sequence[Hashable] = (),
        choices: Choices | None = None,
    ) -> None:
        self.choices = choices or Choices(1)
        self.texts = texts
        self.ids = ids
        self.length = len(ids)
        self.finish_reason = finish_reason
        self.stop_reason = stop_reason
        self.asked_tokens = asked_tokens
        self.mailbox = mailbox
        self.available = 0
        self.finished = False
        self.queued_s = 0.0
        self.admitted_s = 0.0
        self.first_s = 0.0
        self.ended_s = 0.0
        self.request = Request(prompt_tokens, len(ids), hashes=hashes, payload=self)


@dataclass(frozen=True, slots=True)
class Truth:
    """What the engine knows of a request that ended: instants on its clock, and counts."""

    queued_s: float
    first_s: float
    ended_s: float
    prompt_tokens: int
    output_tokens: int
    preemptions: int
    aborted: bool
