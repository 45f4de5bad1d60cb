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
        self.context = 0
        self.last_order = -1
        self._block = block_size
        # How many need a new block for the token that follows a clock, by that clock's position in a block.
        self._phases = [0] * block_size
        self._ends: list[tuple[int, int, Request]] = []

    def computed(self, request: Request) -> int:
        """Cached tokens of one decoding request."""
        return request.base + self.clock

    def join(self, request: Request) -> None:
        """Start decoding with what the request has computed and generated so far."""
        request.steady = True
        request.base = base = request.computed - self.clock
        request.finish_clock = self.clock + request.output_tokens - request.generated
        heapq.heappush(self._ends, (request.finish_clock, request.order, request))
        self.count += 1
        self.context += request.computed
        self._phases[-base % self._block] += 1
        if request.order > self.last_order:
            self.last_order = request.order

    def leave(self, request: Request) -> int:
        """Stop decoding, for whatever reason. Returns the request's cached tokens."""
        computed = request.base + self.clock
        request.steady = False
        self.count -= 1
        self.context -= computed
        self._phases[-request.base % self._block] -= 1
        return computed

    def hold_back(self, request: Request, gained: int) -> None:
        """A decode that got no turn falls behind the clock by what that is about to advance."""
        self._phases[-request.base % self._block] -= 1
        request.base -= gained
        self.context -= gained
        self._phases[-request.base % self._block] += 1
        request.finish_clock += gained
        heapq.heappush(self._ends, (request.finish_clock, request.order, request))

    def advance(self, tokens: int) -> list[Request]:
        """Every request gains so many tokens. Returns those that have all of theirs; the caller makes them leave."""
        clock = self.clock = self.clock + tokens
        self.context += self.count * tokens
        ends, due = self._ends, []
        while ends and ends[0][0] <= clock:
            end, _, request = heapq.heappop(ends)
            if request.steady and request.finish_clock == end:
                due.append(request)
        return due

    def crossing(self, tokens: int) -> int:
        """Blocks that so many more tokens of each will need."""
        block = self._block
        first = self.clock % block
        if tokens == 1:
            return self._phases[first]
        last = first + tokens % block
        needed = sum(self._phases[first:last])
        if last > block:
            needed += sum(self._phases[: last - block])
        return needed + tokens // block * self.count

    def tokens_until_end(self) -> int:
        """Tokens until the first request has all of its own; there must be one."""
        ends = self._ends
        end, _, request = ends[0]
        while not request.steady or request.finish_clock != end:
            heapq.heappop(ends)
            end, _, request = ends[0]
        return end - self.clock

    def most_blocks(self, tokens: int) -> int:
        """No fewer blocks than so many more tokens of each will need, and quickly told."""
        return -(-tokens // self._block) * self.count

    def tokens_within(self, free: int) -> int:
        """Tokens each may gain before that many free blocks are used up."""
        cycles, free = divmod(free, self.count)
        tokens = cycles * self._block
        for i in range(self._block):
            free -= self._phases[(self.clock + i) % self._block]
            if free < 0:
                break
            tokens += 1
        return tokens
