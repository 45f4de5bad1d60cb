"""The hand-made lists, bent: spliced, cut, swapped and mistyped at random. Part of the generator."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

LETTERS = "-=_.+ ,:{}[]\"'0123456789aAkKmMgGtTnNeEoO\t\n\\/é\u00a0\u2013٣"
MAX_ITEM = 400


def read_lists() -> tuple[tuple[str, ...], ...]:
    """The hand-made lists themselves."""
    lines = Path(__file__).with_name("handmade.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(tuple(json.loads(line)["argv"]) for line in lines)


class Mutator:
    """Bends lists out of ``lists``; ``flags`` are a version's spellings, ``rng`` makes every choice."""

    def __init__(self, lists: Sequence[Sequence[str]], flags: Sequence[str], rng: random.Random) -> None:
        self.lists = lists
        self.flags = flags
        self.rng = rng
        self.items = sorted({item for items in lists for item in items if len(item) < MAX_ITEM})

    def one(self) -> list[str]:
        """A list with up to three changes."""
        items = list(self.rng.choice(self.lists))
        for _ in range(self.rng.choice((0, 1, 1, 2, 3))):
            items = self.change(items)
        return items

    def change(self, items: list[str]) -> list[str]:
        """The list with one change."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.2 or not items:
            return items + list(rng.choice(self.lists))
        if draw < 0.3:
            return list(rng.choice(self.lists)) + items
        at = rng.randrange(len(items))
        if draw < 0.4:
            return [*items[:at], rng.choice(self.items), *items[at:]]
        if draw < 0.5:
            return [*items[:at], *items[at + 1 :]]
        if draw < 0.6:
            bent = rng.choice(self.flags) + rng.choice(("", "=", ".", "_", " ")) + rng.choice(self.items)
        elif draw < 0.65:
            return [*items[:at], rng.choice(("=", " ", "")).join(items[at : at + 2]), *items[at + 2 :]]
        elif draw < 0.7:
            flag = rng.choice(self.flags)
            bent = flag[: rng.randrange(1, len(flag) + 1)]
        else:
            bent = items[at]
            for _ in range(rng.choice((1, 1, 2, 4))):
                bent = self.mistype(bent)
        return [*items[:at], bent, *items[at + 1 :]]

    def mistype(self, text: str) -> str:
        """The text with a letter more, less or other, cut short, or with another item inside."""
        rng = self.rng
        at = rng.randrange(len(text) + 1)
        draw = rng.random()
        if draw < 0.3:
            return text[:at] + rng.choice(LETTERS) + text[at:]
        if draw < 0.55:
            return text[:at] + text[at + 1 :]
        if draw < 0.75:
            return text[:at] + rng.choice(LETTERS) + text[at + 1 :]
        if draw < 0.85:
            return text[:at]
        return text[:at] + rng.choice(self.items) + text[at:]
