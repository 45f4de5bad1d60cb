"""Conversations of several turns: how many, how long a user thinks, what the next request carries. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError
from harness.load.lengths import (
    Lengths,
    LogNormalLength,
    NormalLength,
    lengths_from_json,
    lengths_to_json,
    parse_lengths,
    text_of,
)
from harness.load.request import Message
from harness.units import MS_PER_S, exact, parse_duration

Prompt = str | Sequence[Message]

_TIME = r"(?:\d+(?:\.\d+)?(?:ms|min|s|m|h))+"
_NUMBER = r"\d+(?:\.\d+)?(?:e-?\d+)?"
_WITHIN = rf"(?:,{_TIME}-{_TIME})?"
_SHAPED = rf"normal:{_TIME},{_TIME}{_WITHIN}|lognormal:{_TIME},{_NUMBER}{_WITHIN}"
_THINK_TIME = re.compile(
    rf"{_TIME}(?:-{_TIME})?|{_SHAPED}|{_TIME}(?::{_NUMBER})?(?:\|{_TIME}(?::{_NUMBER})?)+"
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

    ``2s`` · ``500ms-3s`` · ``normal:2s,500ms`` · ``lognormal:2s,0.5`` · ``lognormal:2s,0.5,100ms-9s`` (within limits)
    · ``1s|5s``; a number alone is seconds.
    """
    text = text.strip()
    timed = f"{text}s" if re.fullmatch(r"\d+(?:\.\d+)?", text) else text
    if _THINK_TIME.fullmatch(timed) is None:
        raise UsageError(f"not a think time: {text!r}; try 2s, 500ms-3s, normal:2s,500ms or lognormal:2s,0.5")
    # Only means, medians and deviations may be fractions of a millisecond.
    whole = re.fullmatch(_SHAPED, timed) is None
    in_ms = re.sub(_TIME, lambda time: _milliseconds(time[0], whole=whole), timed)
    return None if in_ms == "0" else parse_lengths(in_ms)


def _milliseconds(time: str, *, whole: bool) -> str:
    """A time as a number of milliseconds, digit for digit where it is given in them."""
    given = re.fullmatch(r"(\d+(?:\.\d+)?)ms", time)
    found = float(given[1]) if given else round(parse_duration(time) * MS_PER_S, 6)
    return str(round(found)) if whole else exact(found)


def think_time_text(lengths: Lengths) -> str:
    """The text that ``parse_think_time`` reads as these milliseconds."""
    if isinstance(lengths, NormalLength | LogNormalLength):
        kind, *figures = text_of(lengths).replace(":", ",").split(",")
        times = [f"{figure}ms" for figure in figures[:2]]
        if isinstance(lengths, LogNormalLength):
            times[1] = figures[1]  # sigma is of the logarithm, and no time
        limits = [figure.replace("-", "ms-") + "ms" for figure in figures[2:]]
        return f"{kind}:{','.join([*times, *limits])}"
    return re.sub(r"(^|[|-])(\d+)", r"\1\2ms", text_of(lengths))


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
