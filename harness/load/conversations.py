"""Conversations of several turns: how many, how long a user thinks, what the next request carries. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError
from harness.load.lengths import Lengths, lengths_from_json, lengths_to_json, parse_lengths
from harness.load.request import Message
from harness.units import MS_PER_S, parse_duration

Prompt = str | Sequence[Message]

_TIME = r"(?:\d+(?:\.\d+)?(?:ms|min|s|m|h))+"
_THINK_TIME = re.compile(
    rf"{_TIME}(?:-{_TIME})?|normal:{_TIME},{_TIME}|lognormal:{_TIME},\d+(?:\.\d+)?|{_TIME}(?::[\d.]+)?(?:\|{_TIME}(?::[\d.]+)?)+"
)


@dataclass(frozen=True, slots=True)
class Conversations:
    """A user says something, reads the answer, thinks, says the next thing.

    ``turns`` is how many requests a conversation has; of given conversations it takes that many at most, None all.
    ``think_time_ms`` is the pause between an answer's end and the next turn, None for none.
    """

    turns: Lengths | None = None
    think_time_ms: Lengths | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; ``conversations_from_json`` reads them back."""
        return {
            "turns": None if self.turns is None else lengths_to_json(self.turns),
            "think_time_ms": None if self.think_time_ms is None else lengths_to_json(self.think_time_ms),
        }


def conversations_from_json(data: Mapping[str, Any]) -> Conversations:
    """What ``to_json`` described."""
    return Conversations(
        **{key: None if value is None else lengths_from_json(value) for key, value in data.items()}
    )


def parse_think_time(text: str) -> Lengths | None:
    """A distribution in milliseconds, None for no pause; UsageError when the text is none of these.

    ``2s`` · ``500ms-3s`` · ``normal:2s,500ms`` · ``lognormal:2s,0.5`` · ``1s|5s``; a number alone is seconds.
    """
    text = text.strip()
    timed = f"{text}s" if re.fullmatch(r"\d+(?:\.\d+)?", text) else text
    if _THINK_TIME.fullmatch(timed) is None:
        raise UsageError(f"not a think time: {text!r}; try 2s, 500ms-3s, normal:2s,500ms or lognormal:2s,0.5")
    in_ms = re.sub(_TIME, lambda time: str(round(parse_duration(time[0]) * MS_PER_S)), timed)
    return None if in_ms == "0" else parse_lengths(in_ms)


def continued(said: Prompt, answer: str, *, then: Prompt, api: str) -> Prompt:
    """The next request's prompt: all that was said, the answer that came, and ``then``.

    Messages on chat. On completions one text: the answer follows its prompt at once, ``then`` on a line of its own.
    """
    if api == "chat":
        return [*as_messages(said), {"role": "assistant", "content": answer}, *as_messages(then)]
    if not isinstance(said, str) or not isinstance(then, str):
        raise UsageError("messages need --api chat")
    return f"{said}{answer}\n{then}"


def as_messages(prompt: Prompt) -> list[Message]:
    """A text as one user message; messages as they are."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)


def turns_of(messages: Sequence[Message]) -> list[list[Message]]:
    """Messages of a whole conversation, cut where the assistant answered; its answers are left out.

    What the assistant says before the user has spoken stays in the first turn. Turns end with a message that is not
    the assistant's.
    """
    turns: list[list[Message]] = []
    now: list[Message] = []
    for message in messages:
        if message["role"] != "assistant":
            now.append(message)
        elif any(each["role"] in ("user", "tool") for each in now):
            turns.append(now)
            now = []
        elif not turns:
            now.append(message)
    if any(each["role"] in ("user", "tool") for each in now):
        turns.append(now)
    return turns
