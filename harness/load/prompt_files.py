"""Workload files: JSONL prompts, ShareGPT conversations, Mooncake traces, counts of tokens. They are read here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, UsageError
from harness.load.conversations import Prompt, turns_of
from harness.load.lengths import EmpiricalLength, checked
from harness.load.sse import integer
from harness.load.workload import Item

MS_PER_S = 1000.0
HUMAN = ("human", "user")


@dataclass(frozen=True, slots=True)
class PromptFile:
    """What a file asks for. ``times_s`` are a trace's arrival times from its start, None for prompts without times."""

    items: tuple[Item, ...]
    times_s: tuple[float, ...] | None = None

    @property
    def has_turns(self) -> bool:
        """True when some item is a conversation of several turns."""
        return any(item.later for item in self.items)


def read_prompt_file(path: Path, *, in_turns: bool = False) -> PromptFile:
    """A file of any of the three forms, told apart by their keys; ConfigError naming the place of what is wrong.

    A JSONL line has ``prompt``, ``messages`` or ``turns`` (texts of one user) and perhaps ``output_tokens``. ShareGPT
    is a JSON list of ``conversations``. ``in_turns`` makes conversations of messages and of ShareGPT's: what the user
    says in each turn, the answers left out; without it messages are one request, and of ShareGPT the first human turn.
    A Mooncake line has ``timestamp`` (ms), ``input_length``, ``output_length`` and ``hash_ids``: blocks of 512 tokens
    that requests share.
    """
    entries = list(_entries(path, _text(path)))
    if not entries:
        raise ConfigError(f"{path}: no prompts in it")
    if "input_length" in entries[0][1]:
        return _trace(path, entries)
    return PromptFile(tuple(_item(place, entry, in_turns=in_turns) for place, entry in entries))


def read_length_file(path: Path) -> EmpiricalLength:
    """Counts of tokens, one a line, each perhaps with a weight; ConfigError naming the place of what is wrong."""
    values: list[int] = []
    weights: list[float] = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        try:
            value, weight = (words[0], "1") if len(words) == 1 else words
            values.append(int(value))
            weights.append(float(weight))
        except ValueError as error:
            raise ConfigError(
                f"{path}:{number}: not a count of tokens, nor one and a weight: {line!r}"
            ) from error
    found = EmpiricalLength(tuple(values), () if set(weights) == {1.0} else tuple(weights))
    try:
        checked(found)
    except UsageError as error:
        raise ConfigError(f"{path}: has no counts of tokens that can be used") from error
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"cannot read '{path}': {reason}") from error


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


def _item(place: str, entry: Mapping[str, Any], *, in_turns: bool) -> Item:
    output = entry.get("output_tokens", entry.get("max_tokens"))
    if output is not None and (integer(output) is None or output < 1):
        raise ConfigError(f"{place}: output_tokens is a number of 1 or more, not {output!r}")
    prompts = _prompts(entry, in_turns=in_turns)
    if prompts:
        return Item(prompts[0], output, later=tuple(prompts[1:]))
    raise ConfigError(
        f"{place}: has no 'prompt' text, no 'messages', no 'turns' and no human turn in 'conversations'"
    )


def _prompts(entry: Mapping[str, Any], *, in_turns: bool) -> Sequence[Prompt]:
    """What an entry's user says, turn by turn; empty when the entry is none."""
    prompt, turns, messages = entry.get("prompt"), entry.get("turns"), entry.get("messages")
    if isinstance(prompt, str) and prompt:
        return [prompt]
    if isinstance(turns, list) and turns and all(isinstance(turn, str) and turn for turn in turns):
        return turns
    if isinstance(messages, list) and messages and all(isinstance(m, dict) and "role" in m for m in messages):
        return turns_of(messages) if in_turns else [messages]
    first = _human_turn(entry)
    if first is None:
        return []
    return _human_turns(entry) if in_turns else [first]


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


def _human_turns(entry: Mapping[str, Any]) -> list[str]:
    """The human turns of a conversation; two in a row are one."""
    turns: list[str] = []
    answered = True
    for said in entry["conversations"]:
        if not isinstance(said, dict) or not isinstance(said.get("value"), str) or not said["value"]:
            continue
        if said.get("from") not in HUMAN:
            answered = True
        elif answered:
            turns.append(said["value"])
            answered = False
        else:
            turns[-1] += f"\n{said['value']}"
    return turns


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
