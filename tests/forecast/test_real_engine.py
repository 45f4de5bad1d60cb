"""The scheduler against a real vLLM on this machine's CPU: who starts and ends when, and who is preempted.

Runs when HARNESS_ENGINE_0_15_1 or HARNESS_ENGINE_0_12_0 names that version's ``vllm`` command; about half a minute per
engine start. Time is left out: what is compared is order and counts, so the machine's speed does not matter.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from harness.forecast.scheduler import Scheduler
from harness.forecast.sequence import Request
from harness.forecast.settings import EngineSettings
from harness.forecast.tables import gpu, model
from tests.real_engine import ENGINES, engine_command, real_engine

BLOCK = 16
SO_TIMESTAMPNS = 35
# One sequence per slot, all of one request, holds the engine while the others queue up behind in a known order.
HOLDER, LONG_HOLDER = (20, 600), (20, 1900)
# Prompt and output tokens. Those with one token end when they start, so they show the order of starts too.
QUEUED = ((30, 90), (300, 40), (17, 1), (200, 150), (5, 110), (64, 1), (33, 15), (500, 60), (90, 1), (40, 30))
CROWD = ((150, 200), (100, 250), (180, 160), (120, 240), (160, 180), (140, 220))
# The front end may hand over the holder's sequences in several iterations, and answers take time to be read.
APART = 12


@contextmanager
def engine(version: str, *arguments: str) -> Iterator[str]:
    """A real engine's URL, until the block ends."""
    given = ("--max-model-len", "2048", "--block-size", str(BLOCK), "--max-num-batched-tokens", "2048")
    with real_engine(engine_command(version), [*given, "--no-enable-prefix-caching", *arguments]) as url:
        yield url


class Client(threading.Thread):
    """One request of so many equal prompts, not streamed, so that reading costs nothing.

    Notes when its answer arrived by the kernel's clock: on a busy machine a thread may get its turn long after.
    """

    def __init__(self, url: str, prompt: int, output: int, *, copies: int = 1) -> None:
        super().__init__(daemon=True)
        prompts = [[7 + prompt % 50] * prompt] * copies
        self.url = url
        self.body = {
            "model": "tiny",
            "prompt": prompts,
            "max_tokens": output,
            "ignore_eos": True,
            "temperature": 0,
        }
        self.ended_s = 0.0

    def run(self) -> None:
        body = json.dumps(self.body).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/json\r\nConnection: close\r\n\r\n"
        port = int(self.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=300) as connection:
            connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            connection.sendall(head.encode() + body)
            answer = b""
            while True:
                data, ancillary, _, _ = connection.recvmsg(65536, 64)
                if not data:
                    break
                answer += data
                seconds, nanoseconds = struct.unpack_from("ll", ancillary[0][2])
                self.ended_s = seconds + nanoseconds * 1e-9
        assert answer.startswith(b"HTTP/1.1 200"), answer[:200]


def metric(url: str, name: str) -> float:
    page = httpx.get(f"{url}/metrics").text
    found = re.search(rf"^vllm:{name}{{[^}}]*}} (\S+)$", page, re.MULTILINE)
    assert found is not None
    return float(found[1])


def play(
    url: str, holders: int, queued: tuple[tuple[int, int], ...], *, shape: tuple[int, int]
) -> tuple[list[Client], float]:
    """Send the holder, then the queue, one after the other; returns the queue's clients and the most that waited."""
    holder = Client(url, *shape, copies=holders)
    holder.start()
    while metric(url, "num_requests_running") < holders:
        assert holder.is_alive()
    clients = []
    for prompt, output in queued:
        client = Client(url, prompt, output)
        client.start()
        clients.append(client)
        # The engine has it before the next one comes; asking it would take longer.
        time.sleep(0.15)
    waited = metric(url, "num_requests_waiting")
    assert holder.is_alive(), "the holder ended before all others were queued"
    while any(client.is_alive() for client in clients):
        assert metric(url, "num_requests_running") <= holders
        time.sleep(0.2)
    return clients, waited


def simulate(
    holders: int, queued: tuple[tuple[int, int], ...], *, shape: tuple[int, int], blocks: int
) -> tuple[list[int], int]:
    """Iteration of each queued request's last token, and preemptions, by our scheduler."""
    facts, card = model("llama3-8b"), gpu("gpua5000")
    assert facts is not None
    assert card is not None
    settings = EngineSettings(
        max_num_seqs=holders,
        max_num_batched_tokens=2048,
        block_size=BLOCK,
        prefix_caching=False,
        max_model_len=2048,
    ).resolve(facts, card)
    scheduler = Scheduler(settings, blocks=blocks)
    shapes = [shape] * holders + list(queued)
    last = [0] * len(shapes)
    for index, (prompt, output) in enumerate(shapes):
        scheduler.add(Request(prompt, output, payload=index))
    while not scheduler.is_idle:
        for request in scheduler.step().ended:
            assert isinstance(request.payload, int)
            last[request.payload] = scheduler.iterations
    return last[holders:], scheduler.preemptions


def inversions(iterations: list[int], times: list[float], *, apart: int) -> list[tuple[int, int]]:
    """Pairs that our scheduler puts at least ``apart`` iterations apart and the engine the other way round."""
    return [
        (a, b)
        for a in range(len(times))
        for b in range(len(times))
        if iterations[a] + apart <= iterations[b] and times[a] >= times[b]
    ]


@pytest.mark.engine
@pytest.mark.parametrize("sequences", [2, 4, 8])
@pytest.mark.parametrize("version", sorted(ENGINES))
def test_requests_start_and_end_in_our_schedulers_order(version: str, sequences: int) -> None:
    with engine(version, "--max-num-seqs", str(sequences)) as url:
        clients, waited = play(url, sequences, QUEUED, shape=LONG_HOLDER)
        preempted = metric(url, "num_preemptions_total")
    last, preemptions = simulate(sequences, QUEUED, shape=LONG_HOLDER, blocks=10_000)
    assert inversions(last, [client.ended_s for client in clients], apart=APART) == []
    assert waited == len(QUEUED)
    assert preempted == preemptions == 0


@pytest.mark.engine
@pytest.mark.parametrize("version", sorted(ENGINES))
def test_a_small_cache_preempts_as_often_as_our_scheduler_says(version: str) -> None:
    # 64 blocks of 16 tokens, one of them never given out: four sequences outgrow them again and again.
    with engine(version, "--max-num-seqs", "4", "--num-gpu-blocks-override", "64") as url:
        clients, _ = play(url, 4, CROWD, shape=HOLDER)
        preempted = metric(url, "num_preemptions_total")
    last, preemptions = simulate(4, CROWD, shape=HOLDER, blocks=63)
    assert preemptions == 12
    # When the holder's sequences are handed over an iteration apart, one preemption more or less follows.
    assert abs(preempted - preemptions) <= 1
    assert inversions(last, [client.ended_s for client in clients], apart=APART) == []
