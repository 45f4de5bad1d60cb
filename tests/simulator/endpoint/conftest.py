"""A simulated endpoint behind a port of its own, for tests that speak HTTP to it."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
import uvloop

from harness.secret import Secret
from harness.simulator.endpoint import EndpointSpec, VllmEndpoint

MODEL = "Qwen/Qwen2.5-0.5B-Instruct"
KEY = {"authorization": "Bearer sekret"}


def spec(
    version: str = "0.15.1",
    replicas: int = 1,
    model: str = MODEL,
    gpu: str = "gpurtx6000pro",
    **arguments: object,
) -> EndpointSpec:
    given = argparse.Namespace(max_model_len=4096, **arguments)
    return EndpointSpec(version, model, gpu, 1, replicas, given, Secret("sekret"), 7)


@dataclass
class Served:
    """An endpoint behind a port, in a thread with a loop of its own."""

    spec: EndpointSpec
    url: str = ""
    endpoint: VllmEndpoint | None = None
    ready: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        # As vLLM and the simulator: asyncio would leave Nagle on for a socket handed over, and answers 40 ms late.
        uvloop.run(self.serve())

    async def serve(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            self.endpoint = VllmEndpoint(self.spec)
            await self.endpoint.start()
            config = uvicorn.Config(
                self.endpoint.app, log_level="error", http="httptools", interface="asgi3", lifespan="off"
            )
            self.server = uvicorn.Server(config)
            task = asyncio.ensure_future(self.server.serve(sockets=[listener]))
            while not self.server.started:  # noqa: ASYNC110 -- uvicorn offers nothing to wait for
                await asyncio.sleep(0.01)
            self.ready.set()
            await task
            await self.endpoint.stop()

    def post(self, path: str, **body: Any) -> httpx.Response:
        body.setdefault("ignore_eos", True)
        return httpx.post(f"{self.url}/v1/{path}", json=body, headers=KEY, timeout=20)

    def events(self, path: str, **body: Any) -> list[dict[str, Any]]:
        """The JSON events of a stream that ended as it should."""
        text = self.post(path, stream=True, **body).text
        parts = text.split("\n\n")
        assert parts[-2:] == ["data: [DONE]", ""]
        assert all(part.startswith("data: ") for part in parts[:-1])
        return [json.loads(part.removeprefix("data: ")) for part in parts[:-2]]

    def metric(self, name: str) -> float:
        page = httpx.get(f"{self.url}/metrics").text
        found = re.findall(rf"^vllm:{name}{{[^}}]*}} (\S+)$", page, re.MULTILINE)
        assert len(found) == 1, name
        return float(found[0])


@contextmanager
def serving(what: EndpointSpec) -> Iterator[Served]:
    served = Served(what)
    thread = threading.Thread(target=served.run)
    thread.start()
    assert served.ready.wait(10)
    yield served
    served.server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., Served]]:
    """Serve an endpoint until the module's tests are done: version, replicas and arguments as for ``spec``."""
    with ExitStack() as running:
        yield lambda *given, **arguments: running.enter_context(serving(spec(*given, **arguments)))


@pytest.fixture(scope="module")
def new(serve: Callable[..., Served]) -> Served:
    return serve(enable_prompt_tokens_details=True)


@pytest.fixture(scope="module")
def old(serve: Callable[..., Served]) -> Served:
    return serve("0.12.0")
