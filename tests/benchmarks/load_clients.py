"""One client, one level, in a process of its own: prints what it saw as JSON.

usage: load_clients.py CLIENT URL STREAMS SECONDS. Clients: harness, harness-x2, httpx, aiohttp. A client stamps tokens
as it gets them and reads the server's stamps out of them afterwards; each runs on uvloop and sends the same request.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import uvloop

from harness.load import talk
from harness.load.arrivals import ClosedLoop
from harness.load.job import LoadJob
from harness.load.lengths import FixedLength
from harness.load.metrics import summarise
from harness.load.probe import Probe
from harness.load.prompts import GUESS
from harness.load.records import Endpoint
from harness.load.response import Response, completing
from harness.load.session import measure, measure_in_process
from harness.load.stage import Stage
from harness.load.workload import Workload

STAMP = re.compile(rb'"t":(\d+)}')
BODY = {
    "model": "ref",
    "messages": [{"role": "user", "content": "river " * 50}],
    "max_tokens": 64,
    "stream": True,
}
Reads = list[tuple[int, bytes]]


def stamps_of(responses: list[Reads]) -> tuple[Any, Any]:
    """Arrival and send times of all tokens, and of each response's first one, in nanoseconds."""
    pairs, firsts = [], []
    for reads in responses:
        # A token cut in two by a read boundary belongs to the read with its end.
        rest, found = b"", []
        for arrived, data in reads:
            buffer = rest + data
            matches = list(STAMP.finditer(buffer))
            found += [(arrived, int(match[1])) for match in matches]
            rest = buffer[matches[-1].end() :] if matches else buffer
        pairs += found
        firsts += found[:1]
    return np.array(pairs, np.int64).reshape(-1, 2), np.array(firsts, np.int64).reshape(-1, 2)


def job_for(url: str, streams: int, seconds: float) -> LoadJob:
    """The level as the load client's own job."""
    probe = Probe("ref", None, True, True, False, True, "ignore_eos", False, None, GUESS)
    stage = Stage(arrivals=ClosedLoop(streams), duration_s=seconds, drain_s=3.0)
    workload = Workload(input_tokens=FixedLength(60), output_tokens=FixedLength(64))
    return LoadJob(endpoint=Endpoint(url, "ref"), stage=stage, workload=workload, probe=probe)


def run_two_processes(url: str, streams: int, seconds: float) -> dict[str, Any]:
    """The load client in two processes: throughput and tokens, no stamps."""
    result = asyncio.run(measure_in_process(replace(job_for(url, streams, seconds), processes=2)))
    metrics = summarise(result)
    chunks = sum(int(record.chunk_tokens.sum()) for record in result.records)
    return {
        "clock": result.client.clock,
        "tok_s": metrics.output_throughput_tok_s,
        "tokens_counted": chunks,
        "tokens_stamped": metrics.output_tokens,
        "cpu_us_per_token": result.client.cpu_s / max(chunks, 1) * 1e6,
        "late_p50_ms": None,
        "late_p99_ms": None,
        "ttft_error_p99_ms": ttft_error(metrics.ttft.p99),
    }


def run_harness(url: str, streams: int, seconds: float) -> dict[str, Any]:
    """The load client itself, through the same call the child process makes. What it lets go of is kept here."""
    responses: list[Reads] = []
    parts: dict[int, Reads] = {}
    let_go = Response.let_go

    def keep_part(response: Response, pieces: int) -> None:
        parts.setdefault(id(response), []).extend(response.body[:pieces])
        let_go(response, pieces)

    def keep(record: Any, reading: Any, **options: Any) -> Iterator[None]:
        yield from completing(record, reading, **options)
        responses.append(parts.pop(id(reading.response), []) + reading.response.body)

    Response.let_go = keep_part  # type: ignore[method-assign]  # a client of this benchmark alone
    talk.completing = keep
    result = measure(job_for(url, streams, seconds))
    metrics = summarise(result)
    counted = sum(int(record.chunk_tokens.sum()) for record in result.records)
    return {
        **told(responses, cpu_s=result.client.cpu_s, counted=counted),
        "tok_s": metrics.output_throughput_tok_s,
        "clock": result.client.clock,
        "coalesced": result.client.coalesced_read_share,
        "verdict": metrics.verdict.state,
        "ttft_error_p99_ms": ttft_error(metrics.ttft.p99),
    }


def ttft_error(p99_s: float | None) -> float | None:
    """The 99th percentile of TTFT less the server's 100 ms."""
    return None if p99_s is None else (p99_s - 0.1) * 1000


async def closed_loop(
    streams: int, seconds: float, one: Callable[[], Awaitable[tuple[int, Reads]]]
) -> dict[str, Any]:
    """``streams`` users for ``seconds``; ``one`` sends a request and returns when it was sent and what was read."""
    responses: list[Reads] = []
    ttfts: list[float] = []
    end = time.monotonic() + seconds

    async def user() -> None:
        while time.monotonic() < end:
            sent, reads = await one()
            responses.append(reads)
            first = next(arrived for arrived, data in reads if b'"t":' in data)
            ttfts.append((first - sent) / 1e9)

    began_cpu, end_ns = time.process_time(), time.monotonic_ns() + int(seconds * 1e9)
    await asyncio.gather(*(user() for _ in range(streams)))
    cpu_s = time.process_time() - began_cpu
    tokens_in_time = sum(
        len(STAMP.findall(data)) for reads in responses for arrived, data in reads if arrived <= end_ns
    )
    counted = sum(len(STAMP.findall(b"".join(data for _, data in reads))) for reads in responses)
    return {
        **told(responses, cpu_s=cpu_s, counted=counted),
        "tok_s": tokens_in_time / seconds,
        "clock": "user",
        "ttft_error_p99_ms": ttft_error(float(np.percentile(ttfts, 99))),
    }


def told(responses: list[Reads], *, cpu_s: float, counted: int) -> dict[str, Any]:
    """Lateness of every token and what it cost."""
    tokens, _ = stamps_of(responses)
    late_ms = (tokens[:, 0] - tokens[:, 1]) / 1e6
    p50, p99 = np.percentile(late_ms, [50, 99]).tolist()
    return {
        "late_p50_ms": p50,
        "late_p99_ms": p99,
        "late_max_ms": float(late_ms.max()),
        "cpu_us_per_token": cpu_s / len(tokens) * 1e6,
        "tokens_stamped": len(tokens),
        "tokens_counted": counted,
    }


async def run_httpx(url: str, streams: int, seconds: float) -> dict[str, Any]:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as client:

        async def one() -> tuple[int, Reads]:
            sent, reads = time.monotonic_ns(), []
            async with client.stream("POST", f"{url}/chat/completions", json=BODY) as response:
                async for data in response.aiter_bytes():
                    reads.append((time.monotonic_ns(), data))
            return sent, reads

        return await closed_loop(streams, seconds, one)


async def run_aiohttp(url: str, streams: int, seconds: float) -> dict[str, Any]:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as client:

        async def one() -> tuple[int, Reads]:
            sent, reads = time.monotonic_ns(), []
            async with client.post(f"{url}/chat/completions", json=BODY) as response:
                async for data in response.content.iter_any():
                    reads.append((time.monotonic_ns(), data))
            return sent, reads

        return await closed_loop(streams, seconds, one)


def main() -> None:
    client, url, streams, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    if client == "harness":
        found = run_harness(url, streams, seconds)
    elif client == "harness-x2":
        found = run_two_processes(url, streams, seconds)
    else:
        found = uvloop.run({"httpx": run_httpx, "aiohttp": run_aiohttp}[client](url, streams, seconds))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
