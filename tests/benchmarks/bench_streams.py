"""A thousand streams of 30 tokens a second from one simulated server in real time: does its ticker keep up?

The server has a process of its own, the client reads without parsing. Every step of the engine takes a thirtieth of a
second, whatever is in it. What counts is when all streams run, some seconds after they opened.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import time
from multiprocessing.connection import Connection
from typing import cast

import numpy as np
import uvicorn
import uvloop

from harness.forecast.step import Batch, StepModel
from harness.load.steady import steady_process
from harness.secret import Secret
from harness.simulator.endpoint import EndpointSpec, VllmEndpoint
from harness.simulator.engine import Engine
from harness.simulator.openmetrics import EngineMetrics
from harness.simulator.startup import plan_engine

STREAMS = 1000
RATE_TOK_S = 30
TOKENS = 540
RAMP_S = 0.5
SETTLE_S = 4.0
CROWD_SHARE = 0.95
MODEL = "Qwen/Qwen2.5-0.5B-Instruct"


class _EvenSteps(StepModel):
    """Steps of one length."""

    def __init__(self) -> None:
        pass

    def seconds(self, batch: Batch) -> float:
        """A thirtieth of a second."""
        return 1 / RATE_TOK_S


def _endpoint() -> VllmEndpoint:
    """A server whose engine has even steps."""
    endpoint = VllmEndpoint(_spec())
    plan = plan_engine(_spec())
    settings = plan.settings.resolve(plan.model, plan.gpu)
    metrics = EngineMetrics("0.12.0", max_model_len=2048)
    endpoint.engines = [Engine(_EvenSteps(), settings, blocks=plan.memory.blocks, metrics=metrics)]
    return endpoint


def _spec() -> EndpointSpec:
    arguments = argparse.Namespace(max_model_len=2048, max_num_seqs=STREAMS)
    return EndpointSpec("0.12.0", MODEL, "gpu3080ti", 1, 1, arguments, Secret("key"), 1)


def _serve(listener: socket.socket, results: Connection) -> None:
    """The server's process: serve until told to stop, then say how late the ticker was."""

    async def run() -> None:
        endpoint = _endpoint()
        steady_process()
        await endpoint.start()
        config = uvicorn.Config(
            endpoint.app, log_level="error", http="httptools", interface="asgi3", lifespan="off", backlog=2048
        )
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        late, share = await _watch_crowd(endpoint.engines[0])
        await asyncio.get_running_loop().run_in_executor(None, results.recv)
        server.should_exit = True
        await serving
        await endpoint.stop()
        results.send((late, share))

    uvloop.run(run())


async def _watch_crowd(engine: Engine) -> tuple[list[float], float]:
    """The ticker's lateness and the process's CPU share while nearly all streams run, until the first ones end."""
    crowd = CROWD_SHARE * STREAMS
    # The engine has no event for these.
    while len(engine.scheduler.running) < crowd and not engine.truths:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await asyncio.sleep(SETTLE_S)
    engine.lateness_s.clear()
    cpu, wall = time.process_time(), time.monotonic()
    while len(engine.scheduler.running) >= crowd:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    share = (time.process_time() - cpu) / (time.monotonic() - wall)
    return list(engine.lateness_s), share


class _Reader(asyncio.Protocol):
    """Sends one request and counts the events of its answer."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.events = 0
        self.first = self.last = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not descend from asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.events += data.count(b"\ndata: ")
        if data.endswith(b"0\r\n\r\n"):
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def _request() -> bytes:
    body = json.dumps({"prompt": [7] * 64, "max_tokens": TOKENS, "ignore_eos": True, "stream": True}).encode()
    head = (
        "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer key\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _read_all(port: int, control: Connection) -> list[_Reader]:
    loop = asyncio.get_running_loop()
    readers = []
    for _ in range(STREAMS):
        _, reader = await loop.create_connection(lambda: _Reader(_request()), "127.0.0.1", port)
        readers.append(reader)
        await asyncio.sleep(RAMP_S / STREAMS)
    await asyncio.gather(*(reader.done for reader in readers))
    control.send("all done")
    return readers


def main() -> None:
    """Run it and print one line per figure."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        port = listener.getsockname()[1]
        server = context.Process(target=_serve, args=(listener, theirs), daemon=True)
        server.start()
    started = time.monotonic()
    readers = uvloop.run(_read_all(port, ours))
    wall = time.monotonic() - started
    lateness, share = ours.recv()
    server.join(10)
    events = sum(reader.events for reader in readers)
    steady = sorted(lateness)
    speed = np.median([(TOKENS - 1) / (reader.last - reader.first) for reader in readers])
    print(f"simulator: {STREAMS} streams of {TOKENS} tokens in {wall:.1f} s, {events / wall:,.0f} events/s")
    print(f"  tokens per second and stream, median     {speed:.2f} (asked for: {RATE_TOK_S})")
    print(f"  events received of {STREAMS * TOKENS} tokens       {events}")
    if len(steady) < 100:
        print("  the streams never ran all together for long: this machine has other work, try again")
        return
    print(
        f"  ticker lateness p50 / p99 / max          {np.percentile(steady, 50) * 1e3:.2f} / "
        f"{np.percentile(steady, 99) * 1e3:.2f} / {steady[-1] * 1e3:.2f} ms (bar: p99 <= 20 ms; {len(steady)} steps)"
    )
    print(f"  server CPU                               {share:.0%} of one core")
    print(f"  load average on {os.cpu_count()} cores, ours included  {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
