"""The few ASGI moves an endpoint needs, without a framework's cost per event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from harness.simulator.completion_body import compact
from harness.simulator.engine_refusal import Refused

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LONGEST_BODY = 64 << 20
JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"


async def send_part(send: Send, body: bytes) -> None:
    """Send a part of a body that goes on."""
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def read_body(receive: Receive) -> bytes | None:
    """The request's body; None when the client went away first, or sent more than anyone should."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LONGEST_BODY:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


async def refuse(send: Send, refusal: Refused) -> None:
    """Send the engine's refusal as it words it."""
    if isinstance(refusal.body, str):
        await answer(send, refusal.status, refusal.body.encode(), TEXT)
    else:
        await answer(send, refusal.status, compact(refusal.body).encode(), JSON)


async def answer(
    send: Send,
    status: int,
    body: bytes,
    content_type: bytes | None,
    *,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """Send a whole answer."""
    given = [(b"content-length", str(len(body)).encode()), *headers]
    if content_type is not None:
        given.append((b"content-type", content_type))
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: bytes) -> str:
    """The first header of that lower-case name, or an empty text."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return ""
