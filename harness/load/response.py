"""One HTTP response as it came off the wire, and its reading into a request's record. Pure.

Instants are nanoseconds on the monotonic clock while bytes arrive, seconds from the stage's origin in a record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
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


@dataclass(slots=True)
class Response:
    """What is known of an exchange so far: filled while it runs, whole when ``complete``.

    ``body`` holds ``(nanoseconds, bytes)`` for each piece as read. ``outcome`` is set when the exchange failed below
    HTTP, with ``detail`` saying how. ``connect_ns`` and ``tls_ns`` are what opening the connection took, None on
    a reused one.
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
    read_bytes: int = 0
    complete: bool = False
    outcome: Outcome | None = None
    detail: str = ""
    kernel_reads: int = 0
    user_reads: int = 0
    retries: int = 0

    def fail(self, outcome: Outcome, detail: str) -> None:
        """Note the first thing that went wrong; later ones are its consequences."""
        if self.outcome is None:
            self.outcome, self.detail = outcome, detail

    def reset(self) -> None:
        """Forget a try on a connection that the server had closed, and count it."""
        retries = self.retries + 1
        self.__init__()  # type: ignore[misc]  # a dataclass of plain fields: the same as a new one
        self.retries = retries

    @property
    def looks_failed(self) -> bool:
        """A guess without reading the body, for a client that must not hammer a broken server."""
        tail = b"".join(data for _, data in self.body[-3:])
        return self.outcome is not None or self.status != 200 or not self.complete or b'"error"' in tail

    @property
    def content(self) -> bytes:
        """The whole body."""
        return b"".join(data for _, data in self.body)

    @property
    def content_type(self) -> str:
        """The media type without its parameters, lower case; empty when the server named none."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


class Reading:
    """How far a response's stream has been read: it may begin while the response still comes in.

    ``answer``, if there is one, takes the answer's text in pieces.
    """

    def __init__(self, response: Response, *, origin_ns: int, answer: list[str] | None = None) -> None:
        self.parsed = ParsedStream(answer=answer)
        self._response, self._origin_ns = response, origin_ns
        self._parser = StreamParser(self.parsed)
        self._read = 0
        self._step: Iterator[None] = iter(())

    @property
    def is_stream(self) -> bool:
        """True once the response is known to be one that can be read as it comes."""
        return self._response.status == 200 and self._response.content_type == EVENT_STREAM

    def catch_up(self) -> Iterator[None]:
        """Read what has come so far, in steps; whoever gives up between two steps may go on with a new one."""
        while True:
            # Not "yield from": that would end the step with whoever gives up.
            for _ in self._step:
                yield
            if self._read == len(self._response.body):
                return
            instant_ns, data = self._response.body[self._read]
            self._read += 1
            self._step = self._parser.feed((instant_ns - self._origin_ns) / NS_PER_S, data)

    def finish(self) -> Iterator[None]:
        """Read the rest of a response that is over."""
        yield from self.catch_up()
        self._parser.finish()


def complete_record(record: RequestRecord, response: Response, *, streamed: bool, origin_ns: int) -> None:
    """Fill ``record`` with all that ``response`` tells; its outcome is the one class that describes it."""
    for _ in completing(record, response, streamed=streamed, origin_ns=origin_ns):
        pass


def completing(
    record: RequestRecord,
    response: Response,
    *,
    streamed: bool,
    origin_ns: int,
    reading: Reading | None = None,
) -> Iterator[None]:
    """``complete_record`` in steps of a fraction of a millisecond; the record is whole when they are over.

    ``reading`` is one of this response that has begun.
    """

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
    reading = reading or Reading(response, origin_ns=origin_ns)
    parsed = reading.parsed
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
    if not response.content:
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
