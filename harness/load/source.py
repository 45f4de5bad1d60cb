"""Makes the requests of a stage: any of them, in any order. Pure.

A request's lengths and words depend on the seed and its number alone, not on when it is sent: two runs with one seed
send the same requests in the same order.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from harness.load.conversations import Prompt, as_messages
from harness.load.lengths import sample
from harness.load.prompts import Calibration, CountTokens, fitted_prompt, synthetic_words
from harness.load.workload import Item, Workload

# Streams of randomness: a request's lengths, its words, its warm-up twin and its prefix are independent.
LENGTHS, WORDS, PREFIXES, BLOCKS, TURNS, THINKING, WARMUP = 1, 2, 3, 4, 5, 6, 1 << 40
# What one number of a Mooncake trace stands for.
BLOCK_TOKENS = 512
# Turns are drawn for so many conversations at a time.
DRAWN_AT_ONCE = 64
GUESSED_CHARACTERS_PER_TOKEN = 4
MS_PER_S = 1000.0


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """One request to send. Lengths are what is asked for; None where the prompt's is not known.

    ``index`` counts the requests of the workload. In a conversation (its number in ``conversation``) ``turn`` counts
    from 1 to ``turns``, and ``think_s`` passes between the answer before it and this request.
    """

    index: int
    prompt: Prompt
    input_tokens: int | None
    output_tokens: int
    cache_salt: str | None
    warmup: bool = False
    conversation: int | None = None
    turn: int | None = None
    turns: int = 1
    think_s: float = 0.0

    @property
    def is_last(self) -> bool:
        """True when no turn follows."""
        return self.turn is None or self.turn >= self.turns


@dataclass(frozen=True, slots=True)
class RequestSource:
    """The requests of one workload at one endpoint.

    Without ``salted`` (the endpoint drops ``cache_salt``) the salt changes the words instead, so that no two stages
    share a prompt. ``count`` is a tokenizer's count of a text, which makes synthetic prompts exact. Warm-up requests
    count by themselves and share no prompt with the others: the twin of a given prompt is made-up words, as many as
    it has about tokens.
    """

    workload: Workload
    calibration: Calibration
    seed: int
    salt: str
    salted: bool = True
    count: CountTokens | None = None
    _orders: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict, compare=False, repr=False)
    _starts: dict[bool, list[int]] = field(
        default_factory=lambda: {False: [0], True: [0]}, compare=False, repr=False
    )

    def request(self, number: int, *, warmup: bool = False) -> RequestSpec:
        """The ``number``-th request; where there are conversations the first one of the ``number``-th."""
        if self.workload.conversations is None:
            return self._turn(number, place=number, turn=0, warmup=warmup)
        start, turns = self._span(number, warmup=warmup)
        return self._turn(start, place=number, turn=0, warmup=warmup, turns=turns)

    def next_turn(self, spec: RequestSpec) -> RequestSpec:
        """The request after ``spec`` in its conversation; its prompt is only what the user says in that turn."""
        assert spec.conversation is not None
        assert spec.turn is not None
        return self._turn(
            spec.index + 1, place=spec.conversation, turn=spec.turn, warmup=spec.warmup, turns=spec.turns
        )

    def _turn(self, index: int, *, place: int, turn: int, warmup: bool, turns: int = 1) -> RequestSpec:
        """Request ``index``: ``turn`` (from 0) of conversation ``place``, or the only one of its place."""
        number = index + WARMUP if warmup else index
        lengths = self._rng(LENGTHS, number)
        output = int(sample(self.workload.output_tokens, rng=lengths)[0])
        item: Item | None = None
        prompt: Prompt
        asked: int | None
        if self.workload.items:
            item = self.workload.items[self._place_of(place + WARMUP if warmup else place)]
            output = output if item.output_tokens is None else item.output_tokens
        if item is None:
            wanted = int(sample(self.workload.input_tokens, rng=lengths)[0])
            prompt, asked = self._synthetic(number, tokens=wanted, lengths=lengths, prefixed=turn == 0)
        elif item.prompt is None:
            prompt, asked = self._in_blocks(item, number)
        else:
            said = item.later[turn - 1] if turn else item.prompt
            prompt, asked = (self._twin(said, number) if warmup else said), None
        talking = self.workload.conversations is not None
        return RequestSpec(
            index,
            prompt,
            asked if turn == 0 else None,
            output,
            self._salt_of(number),
            warmup,
            conversation=place if talking else None,
            turn=turn + 1 if talking else None,
            turns=turns,
            think_s=self._think_s(number) if turn else 0.0,
        )

    def _think_s(self, number: int) -> float:
        conversations = self.workload.conversations
        if conversations is None or conversations.think_time_ms is None:
            return 0.0
        return float(sample(conversations.think_time_ms, rng=self._rng(THINKING, number))[0]) / MS_PER_S

    def _span(self, conversation: int, *, warmup: bool) -> tuple[int, int]:
        """The index of a conversation's first request, and how many turns it has."""
        starts = self._starts[warmup]
        while len(starts) <= conversation + 1:
            for turns in self._turn_counts(len(starts) - 1, warmup=warmup):
                starts.append(starts[-1] + turns)
        return starts[conversation], starts[conversation + 1] - starts[conversation]

    def _turn_counts(self, begin: int, *, warmup: bool) -> list[int]:
        """Turns of the conversations from ``begin`` on, a block of them."""
        offset = WARMUP if warmup else 0
        conversations = self.workload.conversations
        wanted = None if conversations is None else conversations.turns
        drawn: list[int] = (
            []
            if wanted is None
            else sample(wanted, rng=self._rng(TURNS, begin + offset), count=DRAWN_AT_ONCE).tolist()
        )
        if not self.workload.items:
            return drawn
        places = (self._place_of(begin + offset + i) for i in range(DRAWN_AT_ONCE))
        given = [1 + len(self.workload.items[place].later) for place in places]
        return [min(pair) for pair in zip(given, drawn, strict=True)] if drawn else given

    def _synthetic(
        self, number: int, *, tokens: int, lengths: np.random.Generator, prefixed: bool
    ) -> tuple[str, int]:
        """A prompt and the count asked for: never less than the template, its opening word and the prefix."""
        prefixes = self.workload.shared_prefixes if prefixed else None
        words = self._rng(WORDS, number, salted=True)
        free = tokens - self.calibration.overhead_tokens
        parts: list[list[str]] = []
        if prefixes is not None:
            group = int(lengths.integers(prefixes.groups))
            rng = self._rng(PREFIXES, group, salted=True)
            parts.append(
                synthetic_words(self.calibration, tokens=min(prefixes.tokens, max(free, 0)), rng=rng)
            )
            free -= prefixes.tokens
        return self._finished(parts, left=free, tokens=tokens, rng=words)

    def _in_blocks(self, item: Item, number: int) -> tuple[str, int]:
        """A prompt made of numbered blocks and, after them, words of its own. A warm-up has blocks of its own."""
        tokens = item.input_tokens or 1
        left = max(tokens - self.calibration.overhead_tokens, 0)
        parts: list[list[str]] = []
        for block in item.blocks:
            rng = self._rng(BLOCKS, block + WARMUP if number >= WARMUP else block, salted=True)
            parts.append(synthetic_words(self.calibration, tokens=min(BLOCK_TOKENS, left), rng=rng))
            left = max(left - BLOCK_TOKENS, 0)
        return self._finished(parts, left=left, tokens=tokens, rng=self._rng(WORDS, number, salted=True))

    def _finished(
        self, parts: list[list[str]], *, left: int, tokens: int, rng: np.random.Generator
    ) -> tuple[str, int]:
        """``parts`` and, for the tokens that are ``left``, words of the request's own; with it the count asked for."""
        prompt = fitted_prompt(
            self.calibration, parts, left=max(left, 0), tokens=tokens, rng=rng, count=self.count
        )
        return prompt, max(tokens, self.calibration.overhead_tokens)

    def _twin(self, said: Prompt, number: int) -> str:
        """Made-up words in place of a given prompt, for the warm-up."""
        contents = (message.get("content") for message in as_messages(said))
        characters = sum(len(content) for content in contents if isinstance(content, str))
        left = max(1, characters // GUESSED_CHARACTERS_PER_TOKEN)
        words = self._rng(WORDS, number, salted=True)
        return self._finished([], left=left, tokens=left + self.calibration.overhead_tokens, rng=words)[0]

    def _place_of(self, number: int) -> int:
        """Which item a request takes: a fresh permutation of all items each time round, or their own order."""
        lap, place = divmod(number, len(self.workload.items))
        return place if self.workload.in_order else int(self._order(lap)[place])

    def _order(self, lap: int) -> npt.NDArray[np.int64]:
        """The order of one round; the last two are kept, as warm-up and measured requests alternate."""
        order = self._orders.get(lap)
        if order is None:
            while len(self._orders) >= 2:
                del self._orders[next(iter(self._orders))]
            order = self._orders[lap] = self._rng(WORDS, lap).permutation(len(self.workload.items))
        return order

    def _salt_of(self, number: int) -> str | None:
        if self.workload.cache == "warm" or not self.salted:
            return None
        return f"{self.salt}-{number}" if self.workload.cache == "cold" else self.salt

    def _rng(self, stream: int, number: int, *, salted: bool = False) -> np.random.Generator:
        entropy = [self.seed, stream, number]
        if salted and not self.salted and self.workload.cache != "warm":
            entropy.append(int.from_bytes(hashlib.sha256(self.salt.encode()).digest()[:8], "big"))
        return np.random.Generator(np.random.PCG64(entropy))
