"""vLLM 1's scheduling rules, one iteration at a time. Pure: it knows tokens and blocks, not seconds.

Each iteration: running requests first, in the order they were admitted; when blocks run out the last admitted one is
preempted and will be computed again; then, if nothing was preempted, waiting requests first come first served, within
the token budget and ``max_num_seqs``, without looking past the first that does not fit. Prompt chunks and decodes share
the iteration. Requests that decode all advance alike, so they are never looped over: a common clock counts their
tokens, a heap knows who ends when, and a histogram of positions within blocks says how many need a new one.

Simplified: a request's generated blocks become findable when it ends, not as each fills up; with speculative decoding
every sequence accepts the same number of drafts in an iteration, so that the mean is right.
"""

from __future__ import annotations

import contextlib
from collections import deque

from harness.forecast.blocks import BlockPool
from harness.forecast.decodes import DecodeSet
from harness.forecast.sequence import Iteration, Request
from harness.forecast.settings import ResolvedSettings
from harness.forecast.step import Batch


class Scheduler:
    """The waiting queue, the running set and the blocks of one engine."""

    def __init__(self, settings: ResolvedSettings, *, blocks: int) -> None:
        self.pool = BlockPool(blocks, caching=settings.prefix_caching)
        self.waiting: deque[Request] = deque()
        self.running: dict[int, Request] = {}
        self.preemptions = 0
        self.iterations = 0
        self.queried_tokens = 0
        self.hit_tokens = 0
        self._settings = settings
        self._block = settings.block_size
        self._drafts = settings.speculation.tokens if settings.speculation else 0
        self._gain = settings.speculation.expected_tokens if settings.speculation else 1.0
        self._credit = 0.0
        self._filling: dict[int, Request] = {}
        self._decoding = DecodeSet(settings.block_size)
        self._serial = 0

    @property
    def is_idle(self) -> bool:
        """True when there is nothing to compute."""
        return not self.running and not self.waiting

    @property
    def decodes(self) -> int:
        """Running requests past their prompt."""
        return self._decoding.count

    @property
    def decode_context(self) -> int:
        """Cached tokens of the decoding requests, together."""
        return self._decoding.context

    @property
    def admits_arrivals(self) -> bool:
        """False when a new arrival would only wait: the running set is full, or others wait already."""
        return not self.waiting and len(self.running) < self._settings.max_num_seqs

    def generated(self, request: Request) -> int:
        """Tokens a request has so far."""
        if not request.steady:
            return request.generated
        return min(request.output_tokens, self._decoding.computed(request) - request.prompt_tokens + 1)

    def fits(self, request: Request) -> bool:
        """False for a request that the whole cache could not hold; it would wait for ever."""
        needed = -(-(request.prompt_tokens + request.output_tokens) // self._block)
        return needed <= self.pool.total

    def add(self, request: Request) -> None:
        """Queue a request."""
        self.waiting.append(request)

    def abort(self, request: Request) -> None:
        """Forget a request wherever it is; its blocks are free for the next iteration."""
        if self.running.get(request.order) is request:
            request.generated = self.generated(request)
            self._leave(request)
        else:
            with contextlib.suppress(ValueError):
                self.waiting.remove(request)

    def step(self) -> Iteration:
        """Schedule and complete one iteration. Empty when nothing could run."""
        self.iterations += 1
        gained = self._gain_now()
        chunks: list[tuple[Request, int]] = []
        preempted: list[Request] = []
        skipped: list[Request] = []
        budget = self._settings.max_num_batched_tokens
        if not self._schedule_running_at_once(budget, gained, chunks):
            self._schedule_running_one_by_one(budget, gained, chunks, preempted, skipped)
        decodes = self._decoding.count - len(skipped)
        budget -= decodes * (1 + self._drafts) + sum(size for _, size in chunks)
        decode_context = self.decode_context - sum(self._decoding.computed(request) for request in skipped)
        iteration = Iteration(Batch(0, 0), gained, preempted=preempted)
        if not preempted:
            self._admit(budget, chunks, iteration.admitted)
        iteration.batch = self._batch(decodes, decode_context, chunks)
        self._complete(gained, chunks, skipped, iteration)
        return iteration

    def leap_limit(self) -> int:
        """Iterations from here that only decode and change nothing but counts; the last may end requests."""
        if self._filling or not self._decoding.count or self._drafts:
            return 0
        if self._decoding.count > self._settings.max_num_batched_tokens or self._can_admit():
            return 0
        return min(self._decoding.steps_until_end(), self._decoding.steps_within(self.pool.free))

    def leap(self, steps: int) -> list[Request]:
        """Take that many iterations of ``leap_limit`` at once; returns the requests that ended."""
        self.pool.take(self._decoding.crossing(steps))
        self._decoding.clock += steps
        self.iterations += steps
        return self._end_due()

    def _gain_now(self) -> int:
        """Tokens each decode gains in this iteration; fractions are carried over."""
        if not self._drafts:
            return 1
        self._credit += self._gain
        gained = max(1, min(int(self._credit), 1 + self._drafts))
        self._credit -= gained
        return gained

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self._block)

    def _chunk(self, request: Request, budget: int) -> int:
        lacking = request.prompt_tokens + request.generated - request.computed
        threshold = self._settings.long_prefill_token_threshold
        return min(lacking, threshold, budget) if threshold else min(lacking, budget)

    def _schedule_running_at_once(self, budget: int, gained: int, chunks: list[tuple[Request, int]]) -> bool:
        """The usual case, without looking at each decode: budget and blocks suffice whatever the order."""
        left = budget - self._decoding.count * (1 + self._drafts)
        if left < 0:
            return False
        needed = self._decoding.crossing(gained)
        planned = []
        if self._filling:
            behind = next(iter(self._filling)) > self._decoding.last_order
            for request in self._filling.values():
                size = self._chunk(request, budget)
                if size > left:
                    if not behind:
                        return False
                    size = left
                if not size:
                    continue
                left -= size
                needed += self._blocks(request.computed + size) - request.held
                planned.append((request, size))
        if needed > self.pool.free:
            return False
        self.pool.take(self._decoding.crossing(gained))
        for request, size in planned:
            self._hold(request, size)
        chunks += planned
        return True

    def _schedule_running_one_by_one(
        self,
        budget: int,
        gained: int,
        chunks: list[tuple[Request, int]],
        preempted: list[Request],
        skipped: list[Request],
    ) -> None:
        """Running requests in order of admission, preempting from the end when blocks are short."""
        for request in list(self.running.values()):
            if request.order not in self.running:
                break
            computed = self._decoding.computed(request) if request.steady else request.computed
            size = 1 + self._drafts if request.steady else self._chunk(request, budget)
            if size > budget or not size:
                if request.steady:
                    skipped.append(request)
                continue
            grown = computed + (gained if request.steady else size)
            # A decode's own blocks follow from its length: the pool took them as its position crossed.
            needed = self._blocks(grown) - (self._blocks(computed) if request.steady else request.held)
            while needed > self.pool.free and request.order in self.running:
                victim = next(reversed(self.running.values()))
                self._preempt(victim)
                preempted.append(victim)
            if request.order not in self.running:
                break
            budget -= size
            if request.steady:
                self.pool.take(needed)
            else:
                self._hold(request, size)
                chunks.append((request, size))

    def _hold(self, request: Request, size: int) -> None:
        """Take the blocks of a prompt chunk; full prompt blocks become findable at once, as in vLLM."""
        grown = request.computed + size
        wanted = self._blocks(grown)
        self.pool.take(wanted - request.held)
        request.held = wanted
        if request.hashes:
            known = request.computed // self._block
            request.named += self.pool.name(request.hashes[known : grown // self._block])

    def _admit(self, budget: int, chunks: list[tuple[Request, int]], admitted: list[Request]) -> None:
        while self.waiting and budget > 0 and len(self.running) < self._settings.max_num_seqs:
            request = self.waiting[0]
            hits, size = self._admission(request, budget)
            if not size:
                return
            self.waiting.popleft()
            shared = list(request.hashes[:hits])
            self.pool.share(shared)
            request.named = shared
            request.held = hits
            request.computed = hits * self._block
            if not request.admitted:
                request.cached_tokens = request.computed
                self.queried_tokens += request.prompt_tokens
                self.hit_tokens += request.computed
                request.admitted = True
                admitted.append(request)
            self._serial += 1
            request.order = self._serial
            self.running[request.order] = request
            self._filling[request.order] = request
            self._hold(request, size)
            chunks.append((request, size))
            budget -= size

    def _admission(self, request: Request, budget: int) -> tuple[int, int]:
        """Cached blocks and first chunk of a waiting request; a chunk of 0 means it has to wait."""
        total = request.prompt_tokens + request.generated
        hits = self.pool.match(request.hashes, limit=(total - 1) // self._block) if request.hashes else 0
        size = total - hits * self._block
        threshold = self._settings.long_prefill_token_threshold
        if threshold:
            size = min(size, threshold)
        if size > budget and not self._settings.chunked_prefill:
            return 0, 0
        size = min(size, budget)
        needed = self._blocks(hits * self._block + size) - hits
        if hits:
            needed += self.pool.reviving(request.hashes[:hits])
        return (hits, size) if needed <= self.pool.free else (0, 0)

    def _can_admit(self) -> bool:
        if not self.waiting or len(self.running) >= self._settings.max_num_seqs:
            return False
        budget = self._settings.max_num_batched_tokens - self._decoding.count
        return budget > 0 and self._admission(self.waiting[0], budget)[1] > 0

    def _batch(self, decodes: int, decode_context: float, chunks: list[tuple[Request, int]]) -> Batch:
        tokens = samples = decodes * (1 + self._drafts)
        products = context = 0.0
        for request, size in chunks:
            start = request.computed
            tokens += size
            products += size * start + size * size / 2
            context += start
            if start + size == request.prompt_tokens + request.generated:
                samples += 1
        return Batch(tokens, samples, decodes, decode_context, products, context)

    def _complete(
        self, gained: int, chunks: list[tuple[Request, int]], skipped: list[Request], iteration: Iteration
    ) -> None:
        for request in skipped:
            self._decoding.hold_back(request, gained)
        self._decoding.clock += gained
        iteration.ended = self._end_due()
        for request, size in chunks:
            request.computed += size
            if request.computed < request.prompt_tokens + request.generated:
                continue
            request.generated += 1
            iteration.first.append(request)
            if request.generated >= request.output_tokens:
                self._leave(request)
                iteration.ended.append(request)
            else:
                del self._filling[request.order]
                self._decoding.join(request)

    def _end_due(self) -> list[Request]:
        ended = self._decoding.due()
        for request in ended:
            request.generated = request.output_tokens
            self._leave(request)
        return ended

    def _preempt(self, request: Request) -> None:
        request.generated = self.generated(request)
        self._leave(request)
        request.computed = 0
        request.preemptions += 1
        self.preemptions += 1
        self.waiting.appendleft(request)

    def _leave(self, request: Request) -> None:
        """Out of the running set; its blocks are released, findable as far as their content is known."""
        del self.running[request.order]
        held, computed, named_until = request.held, request.computed, request.computed // self._block
        if request.steady:
            computed = self._decoding.computed(request)
            held = self._blocks(computed)
            computed = min(computed, request.prompt_tokens + request.generated - 1)
            self._decoding.leave(request)
        else:
            del self._filling[request.order]
        if request.hashes:
            request.named += self.pool.name(request.hashes[named_until : computed // self._block])
        self.pool.release(request.named, unnamed=held - len(request.named))
        request.named = []
        request.held = 0
