"""Server-sent events of an OpenAI-style stream: from timed bytes to the instants of one response. Pure.

Works after the response ended, on ``(time, bytes)`` pairs: nothing here runs while tokens arrive. An event's time
is that of the read which brought its closing blank line.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

DONE = b"[DONE]"
# Two line ends in a row close an event. \r\n counts as one end, so \r\n alone must not match as two.
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n")
LONGEST_END = 4
LARGEST_COUNT = 2**31 - 1
_LINE_END = re.compile(rb"\r\n|\n|\r")
EVENTS_PER_STEP = 32
ABSENT = -1
TEXT_KEYS = ("content", "reasoning_content", "reasoning", "refusal")


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its data lines joined, and when its last byte was read."""

    time_s: float
    data: bytes


class EventSplitter:
    """Cuts timed reads into events, in time proportional to their bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._tail = b""

    @property
    def rest(self) -> bytes:
        """What is left of an unfinished event."""
        return b"".join(self._parts)

    def feed(self, time_s: float, data: bytes) -> Iterator[Event]:
        """The events that this read completes.

        Comments and ``event:``, ``id:``, ``retry:`` lines are dropped, as are events without data.
        """
        # A closing blank line may straddle reads: the last bytes before this one are looked at again.
        if self._parts and _EVENT_END.search(self._tail + data) is None:
            self._parts.append(data)
            self._tail = (self._tail + data)[-LONGEST_END + 1 :]
            return
        pending = self.rest
        buffer = pending + data
        position = 0
        for match in _EVENT_END.finditer(buffer, max(len(pending) - LONGEST_END + 1, 0)):
            payload = event_data(buffer[position : match.start()])
            position = match.end()
            if payload is not None:
                yield Event(time_s, payload)
        left = buffer[position:]
        self._parts = [left] if left else []
        self._tail = left[-LONGEST_END + 1 :]


def split_events(reads: Iterable[tuple[float, bytes]]) -> tuple[list[Event], bytes]:
    """Events of a stream of timed reads, and what is left of an unfinished one."""
    splitter = EventSplitter()
    events = [event for time_s, data in reads for event in splitter.feed(time_s, data)]
    return events, splitter.rest


def event_data(block: bytes) -> bytes | None:
    """The ``data:`` lines of one event joined by line feeds; None when it has none."""
    if block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block:
        return block[6:]
    lines = []
    for line in _LINE_END.split(block.removeprefix(b"\xef\xbb\xbf")):
        if line.startswith(b"data:"):
            lines.append(line[6:] if line[5:6] == b" " else line[5:])
    return b"\n".join(lines) if lines else None


@dataclass(slots=True)
class ParsedStream:
    """What a stream said. Times are on the reads' clock; None means it never happened.

    ``answer`` takes the pieces of the first choice's text, for a caller that puts a list there.
    """

    role_s: float | None = None
    first_token_s: float | None = None
    last_token_s: float | None = None
    done_s: float | None = None
    chunk_times_s: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    chunk_tokens: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    tokens_assumed: bool = True
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    finish_reason: str | None = None
    error: str | None = None
    malformed: str | None = None
    token_reads: int = 0
    coalesced_reads: int = 0
    answer: list[str] | None = None


class _Tally:
    """Chunks as they are met, before it is known how the server counts tokens; -1 where it gave no count."""

    __slots__ = ("has_text", "id_counts", "running", "times")

    def __init__(self) -> None:
        self.times = array("d")
        self.has_text = array("b")
        self.id_counts = array("i")
        self.running = array("i")


def parse_stream(reads: Iterable[tuple[float, bytes]]) -> ParsedStream:
    """Everything a streamed response told, from its body's timed reads."""
    parsed = ParsedStream()
    parser = StreamParser(parsed)
    for time_s, data in reads:
        for _ in parser.feed(time_s, data):
            pass
    parser.finish()
    return parsed


class StreamParser:
    """Reads a stream into ``parsed``, read by read as they come; what is counted is there after ``finish``."""

    def __init__(self, parsed: ParsedStream) -> None:
        self._parsed, self._tally, self._splitter = parsed, _Tally(), EventSplitter()
        self._number, self._last_s = 0, 0.0

    def feed(self, time_s: float, data: bytes) -> Iterator[None]:
        """Take one read, with a pause every few dozen events for a caller with other things to do."""
        for event in self._splitter.feed(time_s, data):
            self._number, self._last_s = self._number + 1, time_s
            _take_event(event, self._parsed, self._tally)
            if self._number % EVENTS_PER_STEP == 0:
                yield

    def finish(self) -> None:
        """No more reads: take a last ``[DONE]`` without its blank line, and count the tokens."""
        rest = self._splitter.rest
        if self._number and rest and event_data(rest.strip()) == DONE:
            _take_event(Event(self._last_s, DONE), self._parsed, self._tally)
        _count(self._parsed, self._tally)


def _take_event(event: Event, parsed: ParsedStream, tally: _Tally) -> None:
    """One event's share; nothing counts that comes after ``[DONE]``."""
    if parsed.done_s is not None:
        return
    if event.data == DONE:
        parsed.done_s = event.time_s
        return
    try:
        message = json.loads(event.data)
    except (ValueError, RecursionError):
        parsed.malformed = parsed.malformed or f"not JSON in an event: {excerpt(event.data)!r}"
        return
    if not isinstance(message, dict):
        parsed.malformed = parsed.malformed or f"not an object in an event: {excerpt(event.data)!r}"
    elif message.get("error") is not None:
        parsed.error = parsed.error or error_text(message)
    else:
        _take(message, event.time_s, parsed, tally)


def _take(message: dict[str, Any], time_s: float, parsed: ParsedStream, tally: _Tally) -> None:
    """One event's share: usage, finish reason, and a chunk when it has choices."""
    usage = message.get("usage")
    running = take_usage(usage, parsed) if isinstance(usage, dict) else None
    choices = message.get("choices")
    if not isinstance(choices, list) or not choices:
        return
    has_text = False
    id_count: int | None = None
    for choice in choices:
        if not isinstance(choice, dict):
            parsed.malformed = parsed.malformed or "a choice is not an object"
            continue
        has_text = has_text or choice_has_text(choice)
        token_ids = choice.get("token_ids")
        if isinstance(token_ids, list):
            id_count = (id_count or 0) + len(token_ids)
        take_finish(choice, parsed)
        take_answer(choice, parsed)
    if parsed.role_s is None and not has_text and not id_count and not tally.times:
        parsed.role_s = time_s
    tally.times.append(time_s)
    tally.has_text.append(has_text)
    tally.id_counts.append(ABSENT if id_count is None else id_count)
    tally.running.append(ABSENT if running is None else running)


def take_finish(choice: dict[str, Any], parsed: ParsedStream) -> None:
    """Keep a choice's finish reason, if it has one."""
    reason = choice.get("finish_reason")
    if isinstance(reason, str) and reason:
        parsed.finish_reason = reason


def take_answer(choice: dict[str, Any], parsed: ParsedStream) -> None:
    """Keep the text of the first choice where it is wanted: what the user is told, so without the reasoning."""
    if parsed.answer is None or choice.get("index", 0) != 0:
        return
    said = choice.get("delta") or choice.get("message")
    text = said.get("content") if isinstance(said, dict) else choice.get("text")
    if isinstance(text, str):
        parsed.answer.append(text)


def take_usage(usage: dict[str, Any], parsed: ParsedStream) -> int | None:
    """Keep a usage object's counts; returns its completion tokens."""
    completion = integer(usage.get("completion_tokens"))
    if completion is not None:
        parsed.completion_tokens = completion
    prompt = integer(usage.get("prompt_tokens"))
    if prompt is not None:
        parsed.prompt_tokens = prompt
    details = usage.get("prompt_tokens_details")
    if isinstance(details, dict):
        cached = integer(details.get("cached_tokens"))
        parsed.cached_tokens = cached if cached is not None else parsed.cached_tokens
    return completion


def choice_has_text(choice: dict[str, Any]) -> bool:
    """True when a choice carries content, reasoning or tool-call text, in chat or completions form."""
    if choice.get("text"):
        return True
    delta = choice.get("delta") or choice.get("message")
    if not isinstance(delta, dict):
        return False
    if any(delta.get(key) for key in TEXT_KEYS):
        return True
    calls = delta.get("tool_calls")
    functions = (
        [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    )
    functions.append(delta.get("function_call"))
    return any(f.get("name") or f.get("arguments") for f in functions if isinstance(f, dict))


def _count(parsed: ParsedStream, tally: _Tally) -> None:
    """Token counts per chunk: from token ids, else from running usage, else 1 for each chunk with text."""
    times = np.array(tally.times, np.float64)
    text, ids, running = (
        np.array(each, np.int64) for each in (tally.has_text, tally.id_counts, tally.running)
    )
    if (ids != ABSENT).any():
        counts = np.maximum(ids, 0)
        parsed.tokens_assumed = False
    elif (running != ABSENT).any():
        counts = np.diff(np.maximum.accumulate(np.maximum(running, 0)), prepend=0)
        parsed.tokens_assumed = False
    else:
        counts = text
    bearing = (text > 0) | (counts > 0)
    if not bearing.any():
        return
    parsed.chunk_times_s = times[bearing]
    parsed.chunk_tokens = counts[bearing].astype(np.int32)
    parsed.first_token_s = float(parsed.chunk_times_s[0])
    parsed.last_token_s = float(parsed.chunk_times_s[-1])
    _, events_per_read = np.unique(parsed.chunk_times_s, return_counts=True)
    parsed.token_reads = len(events_per_read)
    parsed.coalesced_reads = int((events_per_read > 1).sum())


def error_text(message: dict[str, Any]) -> str:
    """The words of any of the error shapes.

    ``{"error": text}``, ``{"error": {"message"}}``, ``{"detail"}``, ``{"message"}``.
    """
    error = message.get("error")
    if isinstance(error, dict):
        return str(error.get("message") or error.get("type") or error)
    return str(error if error is not None else message.get("detail") or message.get("message") or message)


def integer(value: object) -> int | None:
    """A count in JSON; None for anything else, and for what no count can be."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= LARGEST_COUNT else None


def excerpt(data: bytes, length: int = 80) -> str:
    """The beginning of some bytes as text, for an error message."""
    text = data[: length * 4].decode("utf-8", "replace")
    return text if len(text) <= length else text[:length] + "…"
