"""One request's answer, sent as its tokens come; a client that goes away aborts it."""

from __future__ import annotations

import asyncio
from typing import Any

from harness.simulator.asgi import JSON, Receive, Send, answer, send_part
from harness.simulator.completion_body import DONE, AnswerWriter
from harness.simulator.completion_request import Asked
from harness.simulator.engine import Engine
from harness.simulator.sequences import Generation, Mailbox

EVENTS = b"text/event-stream; charset=utf-8"


async def send_answer(
    writer: AnswerWriter,
    asked: Asked,
    generations: list[Generation],
    *,
    engine: Engine,
    mailbox: Mailbox,
    receive: Receive,
    send: Send,
) -> None:
    """Have the engine generate and send what it gives, in events or at the end; returns when nothing of it runs."""
    for generation in generations:
        engine.submit(generation)
    consumer = asyncio.current_task()
    watcher = asyncio.get_running_loop().create_task(_watch(receive, consumer))
    try:
        if asked.stream:
            await _stream(writer, asked, generations, mailbox, send)
        else:
            while not all(generation.finished for generation in generations):
                await mailbox.wait()
            await answer(send, 200, writer.document(generations), JSON)
    except asyncio.CancelledError:
        # The watcher cancels this task when the client goes away; anyone else's wish has to be obeyed.
        if consumer is None or not watcher.done() or watcher.cancelled():
            raise
        consumer.uncancel()
    finally:
        watcher.cancel()
        for generation in generations:
            engine.abort(generation)


async def _stream(
    writer: AnswerWriter, asked: Asked, generations: list[Generation], mailbox: Mailbox, send: Send
) -> None:
    """Events as tokens come; several tokens that came since the last look share one."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", EVENTS)]})
    shown = [0] * len(generations)
    opened = not asked.chat
    open_choices = len(generations)
    while open_choices:
        await mailbox.wait()
        for index, generation in enumerate(generations):
            first, last = shown[index], generation.available
            if last == first:
                continue
            if not opened:
                opened = True
                await send_part(send, writer.roles(len(generations)))
            shown[index] = last
            await send_part(send, writer.tokens(index, generation, first, last))
            if last == generation.length:
                open_choices -= 1
    ending = writer.usage_event(generations) if writer.wants_usage_event else b""
    await send({"type": "http.response.body", "body": ending + DONE, "more_body": False})


async def _watch(receive: Receive, consumer: asyncio.Task[Any] | None) -> None:
    """Cancels the consumer when the client goes away."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
    if consumer is not None and not consumer.done():
        consumer.cancel()
