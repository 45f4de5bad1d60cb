"""Workload files: JSONL prompts, ShareGPT conversations, Mooncake traces. The one module here that reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.load.sse import integer
from harness.load.workload import Item

MS_PER_S = 1000.0
HUMAN = ("human", "user")


@dataclass(frozen=True, slots=True)
class PromptFile:
    """What a file asks for. ``times_s`` are a trace's arrival times from its start, None for prompts without times."""

    items: tuple[Item, ...]
    times_s: tuple[float, ...] | None = None


def read_prompt_file(path: Path) -> PromptFile:
    """A file of any of the three forms, told apart by their keys; ConfigError naming the place of what is wrong.

    A JSONL line has ``prompt`` or ``messages`` and perhaps ``output_tokens``. ShareGPT is a JSON list of
    ``conversations``, of which the first human turn is sent. A Mooncake line has ``timestamp`` (ms), ``input_length``,
    ``output_length`` and ``hash_ids``: blocks of 512 tokens that requests share.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"cannot read '{path}': {reason}") from error
    entries = list(_entries(path, text))
    if not entries:
        raise ConfigError(f"{path}: no prompts in it")
    if "input_length" in entries[0][1]:
        return _trace(path, entries)
    return PromptFile(tuple(_item(place, entry) for place, entry in entries))


def _entries(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each entry with its place, ``file:line`` or ``file[index]``."""
    if text.lstrip().startswith("["):
        try:
            listed = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"{path}: not JSON: {error}") from error
        for index, entry in enumerate(listed):
            # Conversations that the model began have nothing to send.
            if not isinstance(entry, dict) or "conversations" not in entry or _human_turn(entry) is not None:
                yield f"{path}[{index}]", _object(f"{path}[{index}]", entry)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: not JSON: {error}") from error
        yield f"{path}:{number}", _object(f"{path}:{number}", entry)


def _object(place: str, entry: object) -> Mapping[str, Any]:
    if not isinstance(entry, dict):
        raise ConfigError(f"{place}: not a JSON object")
    return entry


def _item(place: str, entry: Mapping[str, Any]) -> Item:
    output = entry.get("output_tokens", entry.get("max_tokens"))
    if output is not None and (integer(output) is None or output < 1):
        raise ConfigError(f"{place}: output_tokens is a number of 1 or more, not {output!r}")
    prompt = entry.get("prompt")
    if isinstance(prompt, str) and prompt:
        return Item(prompt, output)
    messages = entry.get("messages")
    if isinstance(messages, list) and messages and all(isinstance(m, dict) and "role" in m for m in messages):
        return Item(messages, output)
    turn = _human_turn(entry)
    if turn is not None:
        return Item(turn, output)
    raise ConfigError(f"{place}: has no 'prompt' text, no 'messages' and no human turn in 'conversations'")


def _human_turn(entry: Mapping[str, Any]) -> str | None:
    """The first turn of a conversation, if a human has it."""
    turns = entry.get("conversations")
    first = turns[0] if isinstance(turns, list) and turns else None
    if (
        not isinstance(first, dict)
        or first.get("from") not in HUMAN
        or not isinstance(first.get("value"), str)
    ):
        return None
    return first["value"] or None


def _trace(path: Path, entries: list[tuple[str, Mapping[str, Any]]]) -> PromptFile:
    items, times = [], []
    for place, entry in entries:
        lengths = integer(entry.get("input_length")), integer(entry.get("output_length"))
        stamp, blocks = entry.get("timestamp"), entry.get("hash_ids", [])
        if None in lengths or min(length or 0 for length in lengths) < 1:
            raise ConfigError(f"{place}: input_length and output_length are numbers of 1 or more")
        if not isinstance(stamp, int | float) or isinstance(stamp, bool) or not 0 <= stamp < float("inf"):
            raise ConfigError(f"{place}: timestamp is a number of milliseconds, not {stamp!r}")
        if not isinstance(blocks, list) or any(integer(block) is None or block < 0 for block in blocks):
            raise ConfigError(f"{place}: hash_ids is a list of numbers")
        items.append(Item(None, lengths[1], lengths[0], tuple(blocks)))
        times.append(stamp / MS_PER_S)
    begin = min(times)
    order = sorted(range(len(times)), key=times.__getitem__)
    return PromptFile(tuple(items[i] for i in order), tuple(times[i] - begin for i in order))
