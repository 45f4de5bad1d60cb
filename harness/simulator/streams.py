"""Faults in what a deployment's endpoint sends back: edits between the engine's application and the server.

Only event streams are edited; everything else passes as it is.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from harness.simulator.api import reset_connection
from harness.simulator.clock import SimulatedClock
from harness.simulator.faults import Fault, Rule

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]

STRIKES_AT = 3  # events before a fault in mid-stream: the role, the first token and one more
DONE = b"data: [DONE]\n\n"
ERROR_EVENT = (
    b'data: {"error":{"message":"EngineCore encountered an issue.","type":"InternalServerError",'
    b'"param":null,"code":500}}\n\n'
)
COMPLETION_TOKENS = re.compile(rb'"completion_tokens":\s*(\d+)')
WHOLE_ANSWERS = (Fault.HTML, Fault.EMPTY_STREAM, Fault.DEAD_REPLICA)


async def answer_instead(rule: Rule, send: Send) -> None:
    """A whole answer in the engine's place: an HTML page, a stream of nothing, or a 503."""
    status, kind, body = 503, b"text/plain", b"upstream connect error or disconnect/reset before headers"
    if rule.fault is Fault.HTML:
        status, kind, body = 200, b"text/html", b"<html><head><title>Welcome</title></head></html>"
    elif rule.fault is Fault.EMPTY_STREAM:
        status, kind, body = 200, b"text/event-stream; charset=utf-8", b""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", kind), (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})


class FaultyStream:
    """Stands between one request's application and ``send``; call it in the place of ``send``."""

    def __init__(self, rule: Rule, *, send: Send, scope: Scope, clock: SimulatedClock) -> None:
        self._rule = rule
        self._send = send
        self._scope = scope
        self._clock = clock
        self._is_stream = False
        self._messages = 0
        self._seen = 0
        self._ended = False
        self._held = b""

    async def __call__(self, message: Message) -> None:
        """Passes a message on, changed, delayed, doubled or not at all."""
        if self._ended:
            return
        if message["type"] == "http.response.start":
            kinds = [value for name, value in message.get("headers", []) if name == b"content-type"]
            self._is_stream = bool(kinds) and kinds[0].startswith(b"text/event-stream")
            await self._send(message)
        elif self._is_stream and message["type"] == "http.response.body":
            await self._body(message.get("body", b""), more=message.get("more_body", False))
        else:
            await self._send(message)

    async def _body(self, body: bytes, *, more: bool) -> None:
        self._messages += 1
        if self._rule.fault is Fault.SLOW_REPLICA:
            await self._clock.sleep(self._rule.seconds * len(_events(body)))
        passed = b""
        for event in _events(body):
            if self._seen == STRIKES_AT:
                await self._send({"type": "http.response.body", "body": passed, "more_body": True})
                passed = b""
                event = await self._strike(event)
                if self._ended:
                    return
            self._seen += 1
            passed += self._edited(event)
            if self._rule.fault is Fault.LATE_ROLE and self._seen == 1:
                await self._send({"type": "http.response.body", "body": passed, "more_body": True})
                passed = b""
                await self._clock.sleep(self._rule.seconds)
        if self._rule.fault is Fault.MERGED_CHUNKS and more:
            self._held += passed
            if self._messages % 2:
                return
            passed = b""
        passed, self._held = self._held + passed, b""
        await self._send({"type": "http.response.body", "body": passed, "more_body": more})

    async def _strike(self, event: bytes) -> bytes:
        """What happens in mid-stream; the event that is to be sent after it."""
        fault = self._rule.fault
        if fault is Fault.DISCONNECT:
            self._ended = True
            reset_connection(self._scope)
        elif fault is Fault.ERROR_EVENT:
            self._ended = True
            await self._send({"type": "http.response.body", "body": ERROR_EVENT + DONE})
        elif fault is Fault.TRUNCATED_JSON:
            return event[: len(event) // 2] + b"\n\n"
        elif fault is Fault.STALL:
            await self._clock.sleep(self._rule.seconds)
        return event

    def _edited(self, event: bytes) -> bytes:
        fault = self._rule.fault
        if fault is Fault.NO_DONE and event == DONE:
            return b""
        if fault is Fault.NO_USAGE and b'"choices":[]' in event.replace(b" ", b""):
            return b""
        if fault is Fault.WRONG_USAGE:
            return COMPLETION_TOKENS.sub(_seven_more, event)
        if fault is Fault.DUPLICATE_CHUNKS and event != DONE:
            return event * 2
        return event


def _seven_more(found: re.Match[bytes]) -> bytes:
    return b'"completion_tokens":' + str(int(found[1]) + 7).encode()


def _events(body: bytes) -> list[bytes]:
    """The body cut after each blank line."""
    return [event + b"\n\n" for event in body.split(b"\n\n") if event]
