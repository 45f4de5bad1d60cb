"""One HTTP response as it came off the wire, and its reading into a request's record. Pure.

Instants are nanoseconds on the monotonic clock while bytes arrive, seconds from the stage's origin in a record.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from harness.load.records import Outcome, RequestRecord
from harness.load.sse import (
    ParsedStream,
    StreamParser,
    choice_has_text,
    error_text,
    excerpt,
    take_answer,
    take_finish,
    take_usage,
)

NS_PER_S = 1_000_000_000
EVENT_STREAM = "text/event-stream"
# A response asks to be read so far after this many pieces; of what was read the last few are kept for a look at how it
# ends.
MANY_PIECES, TAIL_PIECES = 256, 3


class Room:
    """Counts the bytes that all responses in flight hold together: many floods at once are bounded too."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = 0


@dataclass(slots=True)
class Response:
    """What is known of an exchange so far: filled while it runs, whole when ``complete``.

    ``body`` holds ``(nanoseconds, bytes)`` for each piece that came and was not let go by a ``Reading``; ``on_many`` is
    called when many have gathered. ``read_bytes`` counts what came, headers and framing too; what of it is still held
    takes ``room``, which responses in flight share. ``outcome`` is set when the exchange failed below HTTP, with
    ``detail`` saying how. ``connect_ns`` and ``tls_ns`` are what opening the connection took, None on a reused one.
    """

    sent_ns: int | None = None
    connected_ns: int | None = None
    headers_ns: int | None = None
    ended_ns: int | None = None
    connect_ns: int | None = None
    tls_ns: int | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: list[tuple[int, bytes]] = field(default_factory=list)
    body_bytes: int = 0
    read_bytes: int = 0
    held_bytes: int = 0
    complete: bool = False
    outcome: Outcome | None = None
    detail: str = ""
    kernel_reads: int = 0
    user_reads: int = 0
    retries: int = 0
    room: Room = field(default_factory=Room)
    on_many: Callable[[], None] | None = None

    def came(self, count: int) -> None:
        """Count bytes off the wire, which are held until they are let go."""
        self.read_bytes += count
        self.held_bytes += count
        self.room.held += count

    def add(self, arrived_ns: int, data: bytes) -> None:
        """Keep a piece of the body."""
        self.body.append((arrived_ns, data))
        self.body_bytes += len(data)
        if self.on_many is not None and len(self.body) % MANY_PIECES == 0:
            self.on_many()

    def let_go(self, pieces: int) -> None:
        """Forget the first so many pieces of the body."""
        count = min(sum(len(data) for _, data in self.body[:pieces]), self.held_bytes)
        del self.body[:pieces]
        self.held_bytes -= count
        self.room.held -= count

    def leave_room(self) -> None:
        """Hold nothing of the room any more: the exchange is over, or its body was thrown away."""
        self.room.held -= self.held_bytes
        self.held_bytes = 0

    def fail(self, outcome: Outcome, detail: str) -> None:
        """Note the first thing that went wrong; later ones are its consequences."""
        if self.outcome is None:
            self.outcome, self.detail = outcome, detail

    def reset(self) -> None:
        """Forget a try on a connection that the server had closed, and count it."""
        kept = {"retries": self.retries + 1, "room": self.room, "on_many": self.on_many}
        self.__init__(**kept)  # type: ignore[misc]  # a dataclass of plain fields: the same as a new one

    @property
    def looks_failed(self) -> bool:
        """A guess without reading the body, for a client that must not hammer a broken server."""
        tail = b"".join(data for _, data in self.body[-TAIL_PIECES:])
        return self.outcome is not None or self.status != 200 or not self.complete or b'"error"' in tail

    @property
    def content(self) -> bytes:
        """The body, less what was let go."""
        return b"".join(data for _, data in self.body)

    @property
    def content_type(self) -> str:
        """The media type without its parameters, lower case; empty when the server named none."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


class Reading:
    """How far a response's stream has been read: it may begin while the response still comes in.

    What has been read is let go. ``answer``, if there is one, takes the answer's text in pieces.
    """

    def __init__(self, response: Response, *, origin_ns: int, answer: list[str] | None = None) -> None:
        self.parsed = ParsedStream(answer=answer)
        self.response, self.origin_ns = response, origin_ns
        self._parser = StreamParser(self.parsed)
        self._read = 0
        self._claimed_bytes = 0
        self._step: Iterator[None] = iter(())

    @property
    def is_stream(self) -> bool:
        """True once the response is known to be one that can be read as it comes."""
        return self.response.status == 200 and self.response.content_type == EVENT_STREAM

    def claim(self) -> int:
        """Bytes of the body that came since the last call: each is counted for one chore that will let it go."""
        count = self.response.body_bytes - self._claimed_bytes
        self._claimed_bytes = self.response.body_bytes
        return count

    def catch_up(self) -> Iterator[None]:
        """Read what has come so far, in steps; whoever gives up between two steps may go on with a new one."""
        while True:
            # Not "yield from": that would end the step with whoever gives up.
            for _ in self._step:
                yield
            body = self.response.body
            over = self._read >= len(body)
            if over or self._read >= MANY_PIECES:
                self._let_go()
            if over:
                return
            instant_ns, data = body[self._read]
            self._read += 1
            self._step = self._parser.feed((instant_ns - self.origin_ns) / NS_PER_S, data)

    def _let_go(self) -> None:
        if self._read > TAIL_PIECES:
            self.response.let_go(self._read - TAIL_PIECES)
            self._read = TAIL_PIECES

    def finish(self) -> Iterator[None]:
        """Read the rest of a response that is over."""
        yield from self.catch_up()
        self._parser.finish()


def complete_record(record: RequestRecord, response: Response, *, streamed: bool, origin_ns: int) -> None:
    """Fill ``record`` with all that ``response`` tells; its outcome is the one class that describes it."""
    for _ in completing(record, Reading(response, origin_ns=origin_ns), streamed=streamed):
        pass


def completing(record: RequestRecord, reading: Reading, *, streamed: bool) -> Iterator[None]:
    """``complete_record`` in steps of a fraction of a millisecond; the record is whole when they are over."""
    response, origin_ns, parsed = reading.response, reading.origin_ns, reading.parsed

    def seconds(instant_ns: int | None) -> float | None:
        return None if instant_ns is None else (instant_ns - origin_ns) / NS_PER_S

    record.sent_s = seconds(response.sent_ns)
    record.connected_s = seconds(response.connected_ns)
    record.headers_s = seconds(response.headers_ns)
    record.ended_s = seconds(response.ended_ns)
    record.connect_time_s = None if response.connect_ns is None else response.connect_ns / NS_PER_S
    record.tls_time_s = None if response.tls_ns is None else response.tls_ns / NS_PER_S
    record.status = response.status
    record.kernel_reads, record.user_reads = response.kernel_reads, response.user_reads
    record.retries = response.retries
    if streamed and reading.is_stream:
        yield from reading.finish()
    else:
        _parse_whole(response, parsed, origin_ns=origin_ns)
    _take_parsed(record, parsed)
    record.outcome, record.detail = _classify(response, parsed, streamed=streamed)


def _take_parsed(record: RequestRecord, parsed: ParsedStream) -> None:
    record.role_s = parsed.role_s
    record.first_token_s = parsed.first_token_s
    record.last_token_s = parsed.last_token_s
    record.done_s = parsed.done_s
    record.chunk_times_s = parsed.chunk_times_s
    record.chunk_tokens = parsed.chunk_tokens
    record.tokens_assumed = parsed.tokens_assumed
    record.prompt_tokens = parsed.prompt_tokens
    record.completion_tokens = parsed.completion_tokens
    record.cached_tokens = parsed.cached_tokens
    record.finish_reason = parsed.finish_reason
    record.coalesced_reads = parsed.coalesced_reads
    record.token_reads = parsed.token_reads


def _parse_whole(response: Response, parsed: ParsedStream, *, origin_ns: int) -> None:
    """An answer in one JSON body: usage, finish reason, error. It has no first token; its last is its last byte."""
    if not response.body or not response.complete:
        return
    try:
        message = json.loads(response.content)
    except (ValueError, RecursionError):
        parsed.malformed = f"not JSON: {excerpt(response.content)!r}"
        return
    if not isinstance(message, dict):
        parsed.malformed = f"not a JSON object: {excerpt(response.content)!r}"
        return
    if message.get("error") is not None or (response.status != 200 and message.get("detail") is not None):
        parsed.error = error_text(message)
    if isinstance(message.get("usage"), dict):
        take_usage(message["usage"], parsed)
    choices = message.get("choices")
    choices = [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    for choice in choices:
        take_finish(choice, parsed)
        take_answer(choice, parsed)
    if parsed.completion_tokens or any(choice_has_text(choice) for choice in choices):
        parsed.last_token_s = (response.body[-1][0] - origin_ns) / NS_PER_S


def _classify(response: Response, parsed: ParsedStream, *, streamed: bool) -> tuple[Outcome, str]:
    """The one outcome of a response and its particulars."""
    if response.outcome is not None:
        return response.outcome, response.detail
    if response.status is None:
        return Outcome.TRUNCATED, "the connection closed before a response"
    if response.status != 200:
        words = [parsed.error or excerpt(response.content)]
        if "retry-after" in response.headers:
            words.append(f"retry-after: {excerpt(response.headers['retry-after'].encode('latin-1'))}")
        return _status_outcome(response.status), "; ".join(filter(None, words))
    if parsed.error is not None:
        return Outcome.ERROR_EVENT, parsed.error
    if streamed and response.content_type != EVENT_STREAM:
        found = response.content_type or "no content type"
        return Outcome.MALFORMED, f"{found} instead of {EVENT_STREAM}: {excerpt(response.content)!r}"
    if parsed.malformed is not None:
        return Outcome.MALFORMED, parsed.malformed
    if not response.complete:
        return Outcome.TRUNCATED, "the body ended early"
    if not response.body_bytes:
        return Outcome.EMPTY, "an empty body"
    if streamed and parsed.done_s is None:
        return Outcome.TRUNCATED, "no [DONE]"
    if parsed.last_token_s is None:
        return Outcome.EMPTY, "no content"
    if parsed.finish_reason is None:
        return Outcome.TRUNCATED, "no finish_reason"
    return Outcome.SUCCEEDED, ""


def _status_outcome(status: int) -> Outcome:
    if status == 429:
        return Outcome.HTTP_429
    if 400 <= status < 500:
        return Outcome.HTTP_4XX
    return Outcome.HTTP_5XX if status >= 500 else Outcome.MALFORMED
