"""The requests that decode, advanced together without being looped over. Pure.

A common clock counts the tokens all of them have gained; each keeps the difference between its own length and the
clock. A heap knows who ends at which clock, a histogram of positions within a block how many need a new block next.
"""

from __future__ import annotations

import heapq

from harness.forecast.sequence import Request


class DecodeSet:
    """Requests past their prompt. ``context`` is the sum of their cached tokens."""

    def __init__(self, block_size: int) -> None:
        self.count = 0
        self.clock = 0
        self.last_order = -1
        self._block = block_size
        self._base_sum = 0
        self._phases = [0] * block_size
        self._ends: list[tuple[int, int, Request]] = []

    @property
    def context(self) -> int:
        """Cached tokens, all requests together."""
        return self._base_sum + self.count * self.clock

    def computed(self, request: Request) -> int:
        """Cached tokens of one decoding request."""
        return request.base + self.clock

    def join(self, request: Request) -> None:
        """Start decoding with what the request has computed and generated so far."""
        request.steady = True
        request.base = request.computed - self.clock
        request.finish_clock = self.clock + request.output_tokens - request.generated
        heapq.heappush(self._ends, (request.finish_clock, request.order, request))
        self.count += 1
        self._base_sum += request.base
        self._phases[request.base % self._block] += 1
        self.last_order = max(self.last_order, request.order)

    def leave(self, request: Request) -> None:
        """Stop decoding, for whatever reason."""
        request.steady = False
        self.count -= 1
        self._base_sum -= request.base
        self._phases[request.base % self._block] -= 1

    def hold_back(self, request: Request, gained: int) -> None:
        """A decode that got no turn falls behind the clock by what that is about to advance."""
        self._phases[request.base % self._block] -= 1
        request.base -= gained
        self._base_sum -= gained
        self._phases[request.base % self._block] += 1
        request.finish_clock += gained
        heapq.heappush(self._ends, (request.finish_clock, request.order, request))

    def crossing(self, steps: int) -> int:
        """Blocks that ``steps`` more tokens of each will need."""
        cycles, rest = divmod(steps, self._block)
        return cycles * self.count + sum(self._phases[(-self.clock - i) % self._block] for i in range(rest))

    def steps_within(self, free: int) -> int:
        """Tokens each may gain before that many free blocks are used up."""
        cycles, free = divmod(free, self.count)
        steps = cycles * self._block
        for i in range(self._block):
            free -= self._phases[(-self.clock - i) % self._block]
            if free < 0:
                break
            steps += 1
        return steps

    def steps_until_end(self) -> int:
        """Tokens until the first request has all of its own; there must be one."""
        while True:
            clock, _, request = self._ends[0]
            if request.steady and request.finish_clock == clock:
                return clock - self.clock
            heapq.heappop(self._ends)

    def due(self) -> list[Request]:
        """Requests that have all their tokens by now; the caller makes them leave."""
        found = []
        while self._ends and self._ends[0][0] <= self.clock:
            clock, _, request = heapq.heappop(self._ends)
            if request.steady and request.finish_clock == clock:
                found.append(request)
        return found
