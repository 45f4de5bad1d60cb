"""The scheduler against a plain one that keeps every block and looks at every request, and its invariants."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.forecast.scheduler import Scheduler
from harness.forecast.sequence import Request
from harness.forecast.settings import EngineSettings, ResolvedSettings, Speculation
from harness.forecast.tables import gpu, model

BLOCK = 4


def rules(**changes: object) -> ResolvedSettings:
    facts, card = model("llama3-8b"), gpu("gpua5000")
    assert facts is not None
    assert card is not None
    base: dict[str, object] = {"block_size": BLOCK, "max_num_seqs": 4, "max_num_batched_tokens": 16}
    return EngineSettings(**(base | changes)).resolve(facts, card)  # type: ignore[arg-type]  # test input


@dataclass(eq=False)
class Plain:
    """A request that keeps its own tokens and block numbers."""

    name: int
    prompt: int
    output: int
    contents: list[int]
    generated: int = 0
    computed: int = 0
    filling: bool = True
    named_until: int = 0
    blocks: list[int] = field(default_factory=list)


class PlainScheduler:
    """vLLM's rules written down one request and one block at a time."""

    def __init__(self, *, blocks: int, max_seqs: int, budget: int, chunked: bool, threshold: int) -> None:
        self.free = list(range(blocks))
        self.holders = dict.fromkeys(range(blocks), 0)
        self.content: dict[int, int] = {}
        self.max_seqs, self.budget, self.chunked, self.threshold = max_seqs, budget, chunked, threshold
        self.waiting: deque[Plain] = deque()
        self.running: list[Plain] = []

    def find(self, content: int) -> int | None:
        return next((block for block, known in self.content.items() if known == content), None)

    def give(self, request: Plain, size: int) -> bool:
        wanted = -(-(request.computed + size) // BLOCK) - len(request.blocks)
        if wanted > len(self.free):
            return False
        for _ in range(wanted):
            block = self.free.pop(0)
            self.content.pop(block, None)
            self.holders[block] = 1
            request.blocks.append(block)
        return True

    def remember(self, request: Plain, last: int) -> None:
        """Make content findable, once per block: what another request holds stays findable there."""
        first, request.named_until = request.named_until, last
        for index in range(first, min(last, len(request.contents))):
            known = self.find(request.contents[index])
            if known is not None and self.holders[known]:
                continue
            if known is not None:
                del self.content[known]
            self.content[request.blocks[index]] = request.contents[index]

    def release(self, request: Plain) -> None:
        # The pool under test gives up a request's nameless blocks before its named ones.
        nameless = [block for block in request.blocks if block not in self.content]
        named = [block for block in request.blocks if block in self.content]
        for block in [*nameless, *reversed(named)]:
            self.holders[block] -= 1
            if not self.holders[block]:
                self.free.append(block)
        request.blocks = []

    def cap(self, size: int) -> int:
        return min(size, self.threshold) if self.threshold else size

    def step(self) -> dict[str, object]:
        budget, done, preempted = self.budget, [], []
        for request in list(self.running):
            if request not in self.running:
                break
            size = min(self.cap(request.prompt + request.generated - request.computed), budget)
            if not size:
                continue
            while request in self.running and not self.give(request, size):
                victim = self.running.pop()
                self.leave(victim)
                victim.computed, victim.filling = 0, True
                preempted.append(victim.name)
                self.waiting.appendleft(victim)
            if request not in self.running:
                break
            budget -= size
            done.append((request, size))
            if request.filling:
                self.remember(request, (request.computed + size) // BLOCK)
        if not preempted:
            self.admit(budget, done)
        return self.finish(done, preempted)

    def admit(self, budget: int, done: list[tuple[Plain, int]]) -> None:
        while self.waiting and budget and len(self.running) < self.max_seqs:
            request = self.waiting[0]
            total = request.prompt + request.generated
            hits = []
            for content in request.contents[: (total - 1) // BLOCK]:
                block = self.find(content)
                if block is None:
                    break
                hits.append(block)
            size = self.cap(total - len(hits) * BLOCK)
            if size > budget and not self.chunked:
                return
            size = min(size, budget)
            fresh = -(-(len(hits) * BLOCK + size) // BLOCK) - len(hits)
            if fresh + sum(1 for block in hits if not self.holders[block]) > len(self.free):
                return
            self.waiting.popleft()
            for block in hits:
                if not self.holders[block]:
                    self.free.remove(block)
                self.holders[block] += 1
            request.blocks, request.computed, request.named_until = hits, len(hits) * BLOCK, len(hits)
            assert self.give(request, size)
            self.remember(request, (request.computed + size) // BLOCK)
            self.running.append(request)
            budget -= size
            done.append((request, size))

    def finish(self, done: list[tuple[Plain, int]], preempted: list[int]) -> dict[str, object]:
        first, ended = [], []
        tokens = sum(size for _, size in done)
        for request, size in done:
            request.computed += size
            if request.computed < request.prompt + request.generated:
                continue
            request.generated += 1
            if request.filling:
                first.append(request.name)
            request.filling = False
            if request.generated == request.output:
                ended.append(request)
        for request in [r for r in ended if r.name not in first] + [r for r in ended if r.name in first]:
            self.running.remove(request)
            self.leave(request)
        return {
            "tokens": tokens,
            "first": sorted(first),
            "ended": sorted(request.name for request in ended),
            "preempted": preempted,
            "free": len(self.free),
        }

    def leave(self, request: Plain) -> None:
        self.remember(request, request.computed // BLOCK)
        self.release(request)


def play(seed: int, *, shared: bool, chunked: bool, threshold: int, blocks: int) -> tuple[int, int]:
    """Run both schedulers through the same arrivals; compare every iteration. Returns iterations, preemptions."""
    rng = random.Random(seed)
    chosen = rules(chunked_prefill=chunked, long_prefill_token_threshold=threshold)
    budget = 16 if chunked else 64
    chosen = rules(
        chunked_prefill=chunked, long_prefill_token_threshold=threshold, max_num_batched_tokens=budget
    )
    fast = Scheduler(chosen, blocks=blocks)
    plain = PlainScheduler(blocks=blocks, max_seqs=4, budget=budget, chunked=chunked, threshold=threshold)
    names: dict[int, Request] = {}
    for step in range(4000):
        if step < 120 and rng.random() < 0.25:
            name = len(names)
            prompt, output = rng.randint(1, 40), rng.randint(1, 12)
            group = rng.randint(0, 2)
            contents = [
                (group * 1000 + i if (i + 1) * BLOCK <= 20 else 100_000 + name * 1000 + i)
                for i in range((prompt + output) // BLOCK)
            ]
            # The shared part must lie in the prompt: what two requests generate differs.
            contents = [
                100_000 + name * 1000 + i if (i + 1) * BLOCK > prompt else content
                for i, content in enumerate(contents)
            ]
            if not shared:
                contents = []
            names[name] = Request(prompt, output, hashes=contents, payload=name)
            fast.add(names[name])
            plain.waiting.append(Plain(name, prompt, output, contents))
        iteration = fast.step()
        expected = plain.step()
        fast.pool.check()
        found = {
            "tokens": iteration.batch.tokens,
            "first": sorted(request.payload for request in iteration.first),
            "ended": sorted(request.payload for request in iteration.ended),
            "preempted": [request.payload for request in iteration.preempted],
            "free": fast.pool.free,
        }
        assert found == expected, f"iteration {step}"
        if step > 120 and fast.is_idle:
            break
    assert fast.is_idle
    assert fast.pool.free == blocks
    assert len(names) > 10
    return step, fast.preemptions


@pytest.mark.parametrize("shared", [False, True], ids=["private", "shared"])
@pytest.mark.parametrize(("chunked", "threshold"), [(True, 0), (True, 5), (False, 0)])
@pytest.mark.parametrize("blocks", [14, 20, 200])
def test_every_iteration_agrees_with_the_plain_rules(
    shared: bool, chunked: bool, threshold: int, blocks: int
) -> None:
    for seed in range(12):
        play(seed, shared=shared, chunked=chunked, threshold=threshold, blocks=blocks)


def test_a_small_cache_preempts_and_still_finishes_everything() -> None:
    assert play(3, shared=False, chunked=True, threshold=0, blocks=14)[1] > 0


def test_the_last_admitted_is_preempted_first_and_returns_to_the_head_of_the_queue() -> None:
    # 6 blocks of 4: two prompts of 8 take 4; at 4 more tokens each the first needs the 5th and 6th block.
    scheduler = Scheduler(rules(prefix_caching=False), blocks=5)
    first, second = Request(8, 9), Request(8, 9)
    later = Request(4, 1)
    scheduler.add(first)
    scheduler.add(second)
    scheduler.step()
    scheduler.add(later)
    iteration = scheduler.step()
    assert iteration.preempted == [second]
    assert list(scheduler.waiting) == [second, later]
    assert second.generated == 1


def test_prompts_are_chunked_by_the_budget_and_decodes_come_first() -> None:
    # Budget 16: a decode takes 1, so the 40-token prompt advances by 15 a step: 15, 15, 10.
    scheduler = Scheduler(rules(), blocks=100)
    scheduler.add(Request(4, 10))
    scheduler.step()
    scheduler.add(Request(40, 2))
    sizes = [scheduler.step().batch.tokens for _ in range(4)]
    assert sizes == [16, 16, 11, 2]


def test_without_chunked_prefill_a_prompt_waits_for_a_whole_budget() -> None:
    scheduler = Scheduler(rules(chunked_prefill=False, max_num_batched_tokens=40), blocks=100)
    scheduler.add(Request(30, 10))
    scheduler.add(Request(39, 2))
    assert scheduler.step().batch.tokens == 30
    # One decode leaves 39 tokens: just enough.
    assert scheduler.step().batch.tokens == 40


def test_max_num_seqs_holds_the_fifth_request_back() -> None:
    scheduler = Scheduler(rules(), blocks=100)
    for _ in range(5):
        scheduler.add(Request(2, 3))
    scheduler.step()
    assert len(scheduler.running) == 4
    assert len(scheduler.waiting) == 1


def test_a_shared_prefix_is_computed_once() -> None:
    scheduler = Scheduler(rules(), blocks=100)
    prefix = ["a", "b", "c"]
    one, two = Request(13, 1, hashes=prefix), Request(13, 1, hashes=prefix)
    scheduler.add(one)
    assert scheduler.step().batch.tokens == 13
    scheduler.add(two)
    assert scheduler.step().batch.tokens == 1
    assert (one.cached_tokens, two.cached_tokens) == (0, 12)
    assert (scheduler.queried_tokens, scheduler.hit_tokens) == (26, 12)


def test_a_full_hit_still_computes_the_last_block() -> None:
    scheduler = Scheduler(rules(), blocks=100)
    for _ in range(2):
        scheduler.add(Request(8, 1, hashes=["a", "b"]))
        scheduler.step()
    assert scheduler.hit_tokens == 4


def test_an_aborted_request_leaves_no_block_behind() -> None:
    scheduler = Scheduler(rules(), blocks=100)
    running, waiting = Request(10, 50), Request(10, 50)
    scheduler.add(running)
    scheduler.step()
    scheduler.step()
    scheduler.add(waiting)
    scheduler.abort(running)
    scheduler.abort(waiting)
    assert scheduler.is_idle
    assert scheduler.pool.free == 100


def test_speculation_gains_the_expected_tokens_on_average() -> None:
    # Acceptance 0.5, three drafts: (1 - 0.5**4) / 0.5 = 1.875 tokens a step; 750 tokens take 400 steps.
    scheduler = Scheduler(rules(speculation=Speculation("ngram", 3, 0.5)), blocks=1000)
    scheduler.add(Request(4, 751))
    scheduler.step()
    steps = 0
    while not scheduler.is_idle:
        scheduler.step()
        steps += 1
    assert steps == 400


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 40)), min_size=1, max_size=12),
    st.integers(26, 120),
)
def test_leaps_end_where_single_steps_do(shapes: list[tuple[int, int]], blocks: int) -> None:
    def run(leaps: bool) -> tuple[list[int], int, int]:
        scheduler = Scheduler(rules(max_num_batched_tokens=32), blocks=blocks)
        for index, (prompt, output) in enumerate(shapes):
            scheduler.add(Request(prompt, output, payload=index))
        order: list[int] = []
        while not scheduler.is_idle:
            limit = scheduler.leap_limit() if leaps else 0
            ended = scheduler.leap(limit) if limit else scheduler.step().ended
            order += sorted(request.payload for request in ended if isinstance(request.payload, int))
            scheduler.pool.check()
        assert scheduler.pool.free == blocks
        return order, scheduler.iterations, scheduler.preemptions

    assert run(True) == run(False)
