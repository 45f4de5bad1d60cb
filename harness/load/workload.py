"""What a stage sends, as a value: lengths, prompts, conversations, isolation from the prefix cache. Pure.

Also its JSON form, for files and pipes. ``harness.load.source`` makes the requests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.errors import UsageError
from harness.load.conversations import Conversations, Prompt, conversations_from_json
from harness.load.lengths import FixedLength, Lengths, lengths_from_json, lengths_to_json
from harness.load.request import PATHS

CACHE_MODES = ("isolated", "cold", "warm")
USUAL_INPUT, USUAL_OUTPUT = FixedLength(256), FixedLength(128)


@dataclass(frozen=True, slots=True)
class SharedPrefixes:
    """Every prompt begins with one of ``groups`` texts of ``tokens`` tokens; each is as likely."""

    groups: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt given by the user: a text or chat messages, and the answer's length if it is wanted exactly.

    ``later`` is what the user says in the turns after the first. Without a prompt, one of ``input_tokens`` tokens is
    made, whose first blocks of 512 tokens are those that ``blocks`` number: requests with the same numbers share them.
    """

    prompt: Prompt | None
    output_tokens: int | None = None
    input_tokens: int | None = None
    blocks: tuple[int, ...] = ()
    later: tuple[Prompt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The requests of a stage.

    ``cache``: ``isolated`` gives the stage a prefix cache of its own (one salt for all its requests), ``cold`` a salt
    per request, ``warm`` none. ``exact_output`` asks the server not to stop before the wanted length. With ``items``
    the prompts are those, in an order drawn from the seed (``in_order``: in their own), again from the first when
    they run out; else they are synthetic. With ``conversations`` a user has several turns, and the lengths are those of
    each turn. ``tokenizer`` is the path of a ``tokenizer.json`` that makes synthetic prompts exact. ``extra`` is
    merged into every request's body.
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
    conversations: Conversations | None = None
    tokenizer: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.api not in PATHS:
            raise UsageError(f"unknown api {self.api!r}; one of: {', '.join(PATHS)}")
        if self.cache not in CACHE_MODES:
            raise UsageError(f"unknown cache mode {self.cache!r}; one of: {', '.join(CACHE_MODES)}")
        prefixes = self.shared_prefixes
        if prefixes is not None and (prefixes.groups < 1 or prefixes.tokens < 1):
            raise UsageError("shared prefixes need at least 1 group and 1 token")
        if self.conversations is not None and self.conversations.turns is None and not self.items:
            raise UsageError("conversations need a number of turns, or prompts that bring their turns")
        if self.api != "chat" and any(not isinstance(said, str) for i in self.items for said in _said(i)):
            raise UsageError(f"prompts given as messages need api 'chat', not {self.api!r}")

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
            "conversations": None if self.conversations is None else self.conversations.to_json(),
            "tokenizer": self.tokenizer,
            "extra": dict(self.extra),
        }

    def described(self) -> dict[str, Any]:
        """``to_json`` for provenance: of given prompts only how many, their hash, and whether they share blocks."""
        plain = self.to_json()
        items = plain["items"]
        return {
            **plain,
            "items": len(items),
            "items_sha256": hashlib.sha256(json.dumps(items).encode()).hexdigest() if items else None,
            "shared_blocks": any(item.blocks for item in self.items),
        }


def _said(item: Item) -> tuple[Prompt, ...]:
    """All that is given of an item's texts and messages."""
    return item.later if item.prompt is None else (item.prompt, *item.later)


def _plain(item: Item) -> dict[str, Any]:
    prompt, *later = [_plain_prompt(said) for said in (item.prompt, *item.later)]
    return {**asdict(item), "prompt": prompt, "later": later, "blocks": list(item.blocks)}


def _plain_prompt(prompt: Prompt | None) -> str | list[dict[str, Any]] | None:
    return prompt if prompt is None or isinstance(prompt, str) else [dict(message) for message in prompt]


def workload_from_json(data: Mapping[str, Any]) -> Workload:
    """The workload ``to_json`` described; missing keys take their defaults, UsageError for what cannot be used."""
    figures = dict(data)
    for key in ("input_tokens", "output_tokens"):
        if key in figures:
            figures[key] = lengths_from_json(figures[key])
    if figures.get("shared_prefixes") is not None:
        figures["shared_prefixes"] = SharedPrefixes(**figures["shared_prefixes"])
    try:
        if figures.get("conversations") is not None:
            figures["conversations"] = conversations_from_json(figures["conversations"])
        figures["items"] = tuple(_item(item) for item in figures.get("items") or ())
        return Workload(**figures)
    except TypeError as error:
        raise UsageError(f"not a workload: {error}") from error


def _item(data: Mapping[str, Any]) -> Item:
    return Item(**{**data, **{name: tuple(data.get(name, ())) for name in ("blocks", "later")}})
