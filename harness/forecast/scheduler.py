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
from harness.forecast.kv_cache import KvCache
from harness.forecast.sequence import Iteration, Request
from harness.forecast.settings import ResolvedSettings
from harness.forecast.step import Batch


class Scheduler:
    """The waiting queue, the running set and the blocks of one engine."""

    def __init__(self, settings: ResolvedSettings, *, blocks: int) -> None:
        self.pool = BlockPool(blocks, caching=settings.prefix_caching)
        self.waiting: deque[Request] = deque()
        self.running: dict[int, Request] = {}
        self.decoding = DecodeSet(settings.block_size)
        self.preemptions = 0
        self.iterations = 0
        self.queried_tokens = 0
        self.hit_tokens = 0
        self._cache = KvCache(self.pool, block_size=settings.block_size)
        self._block_size = settings.block_size
        self._token_budget = settings.max_num_batched_tokens
        self._most_running = settings.max_num_seqs
        self._threshold = settings.long_prefill_token_threshold
        self._chunked_prefill = settings.chunked_prefill
        self._drafts = settings.speculation.tokens if settings.speculation else 0
        self._gain = settings.speculation.expected_tokens if settings.speculation else 1.0
        self._credit = 0.0
        self._filling: dict[int, Request] = {}
        self._serial = 0

    @property
    def is_idle(self) -> bool:
        """True when there is nothing to compute."""
        return not self.running and not self.waiting

    @property
    def admits_arrivals(self) -> bool:
        """False when a new arrival would only wait: the running set is full, or others wait already."""
        return not self.waiting and len(self.running) < self._most_running

    def generated(self, request: Request) -> int:
        """Tokens a request has so far."""
        if not request.steady:
            return request.generated
        return min(request.output_tokens, self.decoding.computed(request) - request.prompt_tokens + 1)

    def fits(self, request: Request) -> bool:
        """False for a request that the whole cache could not hold; it would wait for ever."""
        return request.prompt_tokens + request.output_tokens <= self.pool.total * self._block_size

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
        iteration = Iteration(self._gain_now() if self._drafts else 1)
        budget = self._schedule_running_at_once(iteration)
        if budget is None:
            budget = self._schedule_running_one_by_one(iteration)
        decoding = self.decoding
        decodes, context = decoding.count, decoding.context
        for request in iteration.skipped:
            decodes -= 1
            context -= decoding.computed(request)
            decoding.hold_back(request, iteration.gained)
        if self.waiting and not iteration.preempted:
            self._admit(budget, iteration)
        iteration.ended = decoding.advance(iteration.gained)
        self._end(iteration.ended)
        self._compute(iteration, decodes, context)
        return iteration

    def leap_limit(self) -> int:
        """Iterations from here that only decode and change nothing but counts; the last may end requests."""
        decoding = self.decoding
        if self._filling or not decoding.count or self._drafts or decoding.count > self._token_budget:
            return 0
        if self.waiting and self._can_admit():
            return 0
        until_end = decoding.tokens_until_end()
        if self.pool.spares(decoding.most_blocks(until_end)):
            return until_end
        return min(until_end, decoding.tokens_within(self.pool.free))

    def leap(self, steps: int) -> list[Request]:
        """Take that many iterations of ``leap_limit`` at once; returns the requests that ended."""
        self.pool.take(self.decoding.crossing(steps))
        self.iterations += steps
        ended = self.decoding.advance(steps)
        self._end(ended)
        return ended

    def _gain_now(self) -> int:
        """Tokens each decode gains in this iteration; fractions are carried over."""
        self._credit += self._gain
        gained = max(1, min(int(self._credit), 1 + self._drafts))
        self._credit -= gained
        return gained

    def _chunk(self, request: Request, budget: int) -> int:
        lacking = request.prompt_tokens + request.generated - request.computed
        if self._threshold and lacking > self._threshold:
            lacking = self._threshold
        return lacking if lacking < budget else budget

    def _schedule_running_at_once(self, iteration: Iteration) -> int | None:
        """The usual case, without looking at each decode: budget and blocks suffice whatever the order.

        Returns the budget that is left, or None, with nothing done, where the order matters.
        """
        decoding = self.decoding
        left = self._token_budget - decoding.count * (1 + self._drafts)
        if left < 0:
            return None
        crossing = needed = decoding.crossing(iteration.gained)
        planned = []
        if self._filling:
            behind = next(iter(self._filling)) > decoding.last_order
            for request in self._filling.values():
                size = self._chunk(request, self._token_budget)
                if size > left:
                    if not behind:
                        return None
                    size = left
                if not size:
                    continue
                left -= size
                needed += self._cache.lacking(request, size)
                planned.append((request, size))
        if not self.pool.spares(needed):
            return None
        self.pool.take(crossing)
        for request, size in planned:
            self._cache.hold(request, size)
        iteration.chunks = planned
        return left

    def _schedule_running_one_by_one(self, iteration: Iteration) -> int:
        """Running requests in order of admission, preempting from the end when blocks are short.

        Returns the budget that is left.
        """
        cache, budget = self._cache, self._token_budget
        preempted: list[Request] = []
        skipped: list[Request] = []
        for request in list(self.running.values()):
            if request.order not in self.running:
                break
            size = 1 + self._drafts if request.steady else self._chunk(request, budget)
            if size > budget or not size:
                if request.steady:
                    skipped.append(request)
                continue
            if request.steady:
                # A decode's own blocks follow from its length: the pool took them as its position crossed.
                computed = self.decoding.computed(request)
                needed = cache.blocks(computed + iteration.gained) - cache.blocks(computed)
            else:
                needed = cache.lacking(request, size)
            preempted += self._make_room(needed, request)
            if request.order not in self.running:
                break
            budget -= size
            if request.steady:
                self.pool.take(needed)
            else:
                cache.hold(request, size)
                iteration.chunks.append((request, size))
        iteration.preempted, iteration.skipped = preempted, skipped
        return budget

    def _make_room(self, needed: int, request: Request) -> list[Request]:
        """Preempt from the end until so many blocks are free, or ``request`` itself had to go."""
        preempted: list[Request] = []
        while not self.pool.spares(needed) and request.order in self.running:
            victim = next(reversed(self.running.values()))
            self._preempt(victim)
            preempted.append(victim)
        return preempted

    def _admit(self, budget: int, iteration: Iteration) -> None:
        while self.waiting and budget > 0 and len(self.running) < self._most_running:
            request = self.waiting[0]
            hits, size = self._admission(request, budget)
            if not size:
                return
            self.waiting.popleft()
            if hits:
                self._cache.share(request, hits)
            if not request.admitted:
                request.cached_tokens = request.computed
                self.queried_tokens += request.prompt_tokens
                self.hit_tokens += request.computed
                request.admitted = True
                iteration.admitted.append(request)
            order = request.order = self._serial = self._serial + 1
            self.running[order] = self._filling[order] = request
            self._cache.hold(request, size)
            iteration.chunks.append((request, size))
            budget -= size

    def _admission(self, request: Request, budget: int) -> tuple[int, int]:
        """Cached blocks and first chunk of a waiting request; a chunk of 0 means it has to wait."""
        hits = self._cache.cached(request) if request.hashes else 0
        size = request.prompt_tokens + request.generated - hits * self._block_size
        if self._threshold and size > self._threshold:
            size = self._threshold
        if size > budget:
            if not self._chunked_prefill:
                return 0, 0
            size = budget
        return (hits, size) if self._cache.has_room(request, hits=hits, size=size) else (0, 0)

    def _can_admit(self) -> bool:
        budget = self._token_budget - self.decoding.count
        if budget <= 0 or len(self.running) >= self._most_running:
            return False
        return self._admission(self.waiting[0], budget)[1] > 0

    def _compute(self, iteration: Iteration, decodes: int, decode_context: int) -> None:
        """Complete the prompt chunks, and note what the iteration was made of."""
        tokens = samples = decodes * (1 + self._drafts)
        products = context = 0.0
        for request, size in iteration.chunks:
            start = request.computed
            request.computed = start + size
            tokens += size
            products += size * start + size * size / 2
            context += start
            if request.computed == request.prompt_tokens + request.generated:
                samples += 1
                self._end_prompt(request, iteration)
        iteration.batch = Batch(tokens, samples, decodes, decode_context, products, context)

    def _end_prompt(self, request: Request, iteration: Iteration) -> None:
        """Its last chunk gives a request a token; with it, it ends or begins to decode."""
        request.generated += 1
        iteration.first.append(request)
        if request.generated >= request.output_tokens:
            self._leave(request)
            iteration.ended.append(request)
        else:
            del self._filling[request.order]
            self.decoding.join(request)

    def _end(self, requests: list[Request]) -> None:
        for request in requests:
            request.generated = request.output_tokens
            self._leave(request)

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
        if request.steady:
            computed = self.decoding.leave(request)
            # Of what it generated the last token is not cached yet.
            known = request.prompt_tokens + request.generated - 1
            self._cache.release(request, held=self._cache.blocks(computed), known=known)
        else:
            del self._filling[request.order]
            self._cache.release(request, held=request.held, known=request.computed)
