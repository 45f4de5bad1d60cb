"""Synthetic prompts of a wanted token count, without a tokenizer. Pure.

The endpoint itself says what each word of a small vocabulary costs (``harness.load.probe`` asks). Tokenizers that split
at spaces count a text word by word, so the cost of a prompt is the sum over its words plus a constant for the template.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Plain words of several lengths. The first opens every prompt: its count without a space before it is in the overhead.
VOCABULARY = (
    "river", "stone", "garden", "window", "summer", "market", "paper", "letter", "bridge", "forest", "silver",
    "number", "music", "travel", "winter", "island", "table", "animal", "doctor", "school", "engine", "flower",
    "mountain", "kitchen", "harbour", "evening", "weather", "village", "picture", "history", "machine", "morning",
    "the", "and", "with", "from", "over", "under", "after", "before",
)  # fmt: skip
GUESSED_TOKENS_PER_WORD = 1
GUESSED_OVERHEAD = 8
# Trials to meet a tokenizer that joins words; some ten are usual.
FITTING_STEPS = 200

# A tokenizer's count of a text, without special tokens.
CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What prompts cost at one endpoint: ``overhead_tokens`` for template and opening word, then ``costs`` per word.

    ``measured`` is False when the endpoint gave no usage and the figures are guesses.
    """

    overhead_tokens: int
    words: tuple[str, ...]
    costs: tuple[int, ...]
    measured: bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "overhead_tokens": self.overhead_tokens,
            "words": list(self.words),
            "costs": list(self.costs),
            "measured": self.measured,
        }


GUESS = Calibration(
    GUESSED_OVERHEAD, VOCABULARY, (GUESSED_TOKENS_PER_WORD,) * len(VOCABULARY), measured=False
)


def calibration_from_json(data: Mapping[str, Any]) -> Calibration:
    """The calibration ``to_json`` described."""
    return Calibration(
        int(data["overhead_tokens"]),
        tuple(data["words"]),
        tuple(data["costs"]),
        measured=bool(data["measured"]),
    )


def repeated(word: str, *, times: int) -> str:
    """The opening word followed by ``times`` times ``word``: what the endpoint is asked to count."""
    return " ".join([VOCABULARY[0], *[word] * times])


def calibrate(opening_tokens: int, counts: Mapping[str, int], *, times: int) -> Calibration | None:
    """Word costs from the endpoint's counts of ``repeated`` prompts; None when too few words cost a whole number.

    ``opening_tokens`` is its count of the opening word alone.
    """
    costs = {}
    for word, count in counts.items():
        cost, odd = divmod(count - opening_tokens, times)
        if odd == 0 and cost > 0:
            costs[word] = cost
    if len(costs) < min(4, len(counts)) or not costs:
        return None
    return Calibration(opening_tokens, tuple(costs), tuple(costs.values()))


def synthetic_words(calibration: Calibration, *, tokens: int, rng: np.random.Generator) -> list[str]:
    """Random words that cost ``tokens`` together, or as near below as the cheapest word allows."""
    costs = np.asarray(calibration.costs)
    if tokens < costs.min():
        return []
    drawn = rng.integers(0, len(costs), size=max(1, int(tokens // costs.min())))
    reached = np.cumsum(costs[drawn])
    fit = int(np.searchsorted(reached, tokens, side="right"))
    left = tokens - (int(reached[fit - 1]) if fit else 0)
    chosen = drawn[:fit].tolist()
    while left >= costs.min():
        filler = int(rng.choice(np.flatnonzero(costs <= left)))
        chosen.append(filler)
        left -= int(costs[filler])
    return [calibration.words[index] for index in chosen]


def join_prompt(parts: Sequence[Sequence[str]]) -> str:
    """The opening word and all parts' words, separated by single spaces."""
    return " ".join([VOCABULARY[0], *(word for part in parts for word in part)])


def fitted_prompt(
    calibration: Calibration,
    parts: Sequence[Sequence[str]],
    *,
    left: int,
    tokens: int,
    rng: np.random.Generator,
    count: CountTokens | None,
) -> str:
    """``parts`` followed by words for the tokens that are ``left`` of ``tokens``.

    With ``count`` words at the end are exchanged until the whole has exactly its tokens, or comes as near as the words
    were seen to allow. A tokenizer that joins words takes some steps of trial, any other none.
    """
    own = synthetic_words(calibration, tokens=left, rng=rng)
    if count is None:
        return join_prompt([*parts, own])
    template = calibration.overhead_tokens - count(VOCABULARY[0])
    nearest, best = "", math.inf
    for _ in range(FITTING_STEPS):
        prompt = join_prompt([*parts, own])
        missing = tokens - template - count(prompt)
        if abs(missing) < best:
            nearest, best = prompt, abs(missing)
        if missing == 0 or (missing < 0 and not own):
            break
        if missing > 0:
            own += synthetic_words(calibration, tokens=missing, rng=rng) or [_any_word(calibration, rng)]
        while missing < 0 and own:
            missing += max(1, count(f" {own.pop()}"))
    return nearest


def _any_word(calibration: Calibration, rng: np.random.Generator) -> str:
    return calibration.words[int(rng.integers(len(calibration.words)))]
