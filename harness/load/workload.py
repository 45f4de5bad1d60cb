"""What is sent: lengths, prompts, shared prefixes, isolation from the prefix cache. Pure.

A request's lengths and words depend on the seed and its number alone, not on when it is sent: two runs with one seed
send the same requests in the same order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.load.lengths import FixedLength, Lengths, lengths_from_json, lengths_to_json, sample
from harness.load.prompts import Calibration, join_prompt, synthetic_words
from harness.load.request import PATHS, Message

CACHE_MODES = ("isolated", "cold", "warm")
USUAL_INPUT, USUAL_OUTPUT = FixedLength(256), FixedLength(128)
# Streams of randomness: a request's lengths, its words, its warm-up twin and its prefix are independent.
LENGTHS, WORDS, PREFIXES, BLOCKS, WARMUP = 1, 2, 3, 4, 1 << 40
# What one number of a Mooncake trace stands for.
BLOCK_TOKENS = 512


@dataclass(frozen=True, slots=True)
class SharedPrefixes:
    """Every prompt begins with one of ``groups`` texts of ``tokens`` tokens; each is as likely."""

    groups: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt given by the user: a text or chat messages, and the answer's length if it is wanted exactly.

    Without a prompt, one of ``input_tokens`` tokens is made, whose first blocks of 512 tokens are those that ``blocks``
    number: requests with the same numbers share them.
    """

    prompt: str | Sequence[Message] | None
    output_tokens: int | None = None
    input_tokens: int | None = None
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The requests of a stage.

    ``cache``: ``isolated`` gives the stage a prefix cache of its own (one salt for all its requests), ``cold`` a salt
    per request, ``warm`` none. ``exact_output`` asks the server not to stop before the wanted length. With ``items``
    the prompts are those, in an order drawn from the seed (``in_order``: in their own), again from the first when
    they run out; else they are synthetic. ``extra`` is merged into every request's body.
    """

    input_tokens: Lengths = USUAL_INPUT
    output_tokens: Lengths = USUAL_OUTPUT
    api: str = "chat"
    streamed: bool = True
    cache: str = "isolated"
    exact_output: bool = True
    shared_prefixes: SharedPrefixes | None = None
    items: tuple[Item, ...] = ()
    in_order: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.api not in PATHS:
            raise UsageError(f"unknown api {self.api!r}; one of: {', '.join(PATHS)}")
        if self.cache not in CACHE_MODES:
            raise UsageError(f"unknown cache mode {self.cache!r}; one of: {', '.join(CACHE_MODES)}")
        prefixes = self.shared_prefixes
        if prefixes is not None and (prefixes.groups < 1 or prefixes.tokens < 1):
            raise UsageError("shared prefixes need at least 1 group and 1 token")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; ``workload_from_json`` reads them back."""
        return {
            "input_tokens": lengths_to_json(self.input_tokens),
            "output_tokens": lengths_to_json(self.output_tokens),
            "api": self.api,
            "streamed": self.streamed,
            "cache": self.cache,
            "exact_output": self.exact_output,
            "shared_prefixes": None if self.shared_prefixes is None else asdict(self.shared_prefixes),
            "items": [_plain(item) for item in self.items],
            "in_order": self.in_order,
            "extra": dict(self.extra),
        }

    def described(self) -> dict[str, Any]:
        """``to_json`` without the prompts themselves, for provenance."""
        return {**self.to_json(), "items": len(self.items)}


def _plain(item: Item) -> dict[str, Any]:
    prompt = item.prompt
    plain = prompt if prompt is None or isinstance(prompt, str) else [dict(message) for message in prompt]
    return {**asdict(item), "prompt": plain, "blocks": list(item.blocks)}


def workload_from_json(data: Mapping[str, Any]) -> Workload:
    """The workload ``to_json`` described; missing keys take their defaults, UsageError for what cannot be used."""
    figures = dict(data)
    for key in ("input_tokens", "output_tokens"):
        if key in figures:
            figures[key] = lengths_from_json(figures[key])
    if figures.get("shared_prefixes") is not None:
        figures["shared_prefixes"] = SharedPrefixes(**figures["shared_prefixes"])
    try:
        items = figures.get("items") or ()
        figures["items"] = tuple(Item(**{**item, "blocks": tuple(item.get("blocks", ()))}) for item in items)
        return Workload(**figures)
    except TypeError as error:
        raise UsageError(f"not a workload: {error}") from error


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """One request to send. Lengths are what is asked for; None where the prompt's is not known."""

    index: int
    prompt: str | Sequence[Message]
    input_tokens: int | None
    output_tokens: int
    cache_salt: str | None
    warmup: bool = False


@dataclass(frozen=True, slots=True)
class RequestSource:
    """Makes the requests of one stage, any of them, in any order.

    Without ``salted`` (the endpoint drops ``cache_salt``) the salt changes the words instead, so that no two stages
    share a prompt.
    """

    workload: Workload
    calibration: Calibration
    seed: int
    salt: str
    salted: bool = True
    _orders: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict, compare=False, repr=False)

    def request(self, index: int, *, warmup: bool = False) -> RequestSpec:
        """The ``index``-th request; warm-up requests count by themselves and share no prompt with the others."""
        number = index + WARMUP if warmup else index
        workload = self.workload
        lengths = self._rng(LENGTHS, number)
        output = int(sample(workload.output_tokens, rng=lengths)[0])
        if workload.items:
            item = workload.items[self._place_of(number)]
            wanted = item.output_tokens if item.output_tokens is not None else output
            if item.prompt is not None:
                return RequestSpec(index, item.prompt, None, wanted, self._salt_of(number), warmup)
            made, count = self._in_blocks(item, number)
            return RequestSpec(index, made, count, wanted, self._salt_of(number), warmup)
        wanted_input = int(sample(workload.input_tokens, rng=lengths)[0])
        prompt, tokens = self._synthetic(number, tokens=wanted_input, lengths=lengths)
        return RequestSpec(index, prompt, tokens, output, self._salt_of(number), warmup)

    def _synthetic(self, number: int, *, tokens: int, lengths: np.random.Generator) -> tuple[str, int]:
        """A prompt and the count asked for: never less than the template, its opening word and the prefix."""
        prefixes = self.workload.shared_prefixes
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
        parts.append(synthetic_words(self.calibration, tokens=max(free, 0), rng=words))
        return join_prompt(parts), max(tokens, self.calibration.overhead_tokens)

    def _in_blocks(self, item: Item, number: int) -> tuple[str, int]:
        """A prompt made of numbered blocks and, after them, words of its own."""
        tokens = item.input_tokens or 1
        left = max(tokens - self.calibration.overhead_tokens, 0)
        parts: list[list[str]] = []
        for block in item.blocks:
            rng = self._rng(BLOCKS, block, salted=True)
            parts.append(synthetic_words(self.calibration, tokens=min(BLOCK_TOKENS, left), rng=rng))
            left = max(left - BLOCK_TOKENS, 0)
        own = self._rng(WORDS, number, salted=True)
        parts.append(synthetic_words(self.calibration, tokens=left, rng=own))
        return join_prompt(parts), max(tokens, self.calibration.overhead_tokens)

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
        if self.workload.cache == "cold":
            return f"{self.salt}-{number}"
        # Given prompts are the same in the warm-up; only another salt keeps them out of the measured requests' cache.
        return f"{self.salt}-warmup" if self.workload.items and number >= WARMUP else self.salt

    def _rng(self, stream: int, number: int, *, salted: bool = False) -> np.random.Generator:
        entropy = [self.seed, stream, number]
        if salted and not self.salted and self.workload.cache != "warm":
            entropy.append(int.from_bytes(hashlib.sha256(self.salt.encode()).digest()[:8], "big"))
        return np.random.Generator(np.random.PCG64(entropy))
