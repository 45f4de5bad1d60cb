"""Our TTFT and ITL beside the histograms of a real vLLM on this machine's CPU, our token counts beside its counters.

Runs when HARNESS_ENGINE_0_15_1 or HARNESS_ENGINE_0_12_0 names that version's ``vllm`` command, two minutes each.
Requests come in waves of as many as there are users, and the server's ``/metrics`` are read around each wave, so that
both sides speak of the same requests. Engine and client share this machine's cores with whatever else it does: a wave
in which the client's own account says that it had to wait for its turn is not compared, only counted.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import uvloop

from harness.load.arrivals import ClosedLoop
from harness.load.columns import columns_of
from harness.load.driver import run_stage
from harness.load.lengths import FixedLength
from harness.load.metrics import summarise
from harness.load.probe import Probe, probe_endpoint
from harness.load.records import Endpoint, Outcome, StageResult
from harness.load.scrape import growth, read_metrics
from harness.load.stage import Stage
from harness.load.workload import Workload
from tests.real_engine import ENGINES, engine_command, real_engine

PROMPT, OUTPUT = 1500, 64
# Users, and how many waves of theirs are compared; a busy machine may need so many times as many until these are had.
LEVELS = {1: 12, 4: 8, 16: 4}
PATIENCE = 5
WITHIN = 0.05


@dataclass(frozen=True, slots=True)
class Wave:
    """Means over a wave's requests, seconds: ours and the server's. ``lag_s`` is how late our loop was (p99)."""

    ttft_s: float
    server_ttft_s: float
    itl_s: float
    server_itl_s: float
    e2e_s: float
    server_e2e_s: float
    lag_s: float

    @property
    def is_calm(self) -> bool:
        """True when a token read as late as our loop was moves no figure by more than it is allowed to differ."""
        decode_s = self.server_itl_s * (OUTPUT - 1) or self.server_ttft_s
        return self.lag_s <= WITHIN * min(self.server_ttft_s, decode_s)


@pytest.fixture(scope="module", params=sorted(ENGINES))
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, Endpoint]]:
    """A version and the endpoint of its engine."""
    with real_engine(engine_command(request.param), ["--max-model-len", "4096"]) as url:
        yield request.param, Endpoint(f"{url}/v1", "tiny")


def workload(output: int) -> Workload:
    return Workload(input_tokens=FixedLength(PROMPT), output_tokens=FixedLength(output), api="completions")


async def metrics_of(endpoint: Endpoint) -> dict[str, float]:
    """The server's metrics, once two looks at them are the same: a step is counted just after its tokens are sent."""
    found = await read_metrics(endpoint)
    while (again := await read_metrics(endpoint)) != found:
        found = again
    assert found is not None
    return found


async def wave(endpoint: Endpoint, probe: Probe, users: int, *, output: int, seed: int) -> Wave:
    """One request of each user; token counts are the server's in every wave, and nothing is seen before it happened."""
    before = await metrics_of(endpoint)
    stage = Stage(arrivals=ClosedLoop(users), requests=users)
    result = await run_stage(endpoint, stage, workload(output), probe=probe, seed=seed)
    grown = growth(before, await metrics_of(endpoint))
    assert grown is not None
    check_counts(result, grown, users)

    def mean(name: str) -> float:
        number = grown[f"vllm:{name}_count"]
        return grown[f"vllm:{name}_sum"] / number if number else 0.0

    ours = summarise(result)
    found = Wave(
        ttft_s=ours.ttft.mean or 0.0,
        server_ttft_s=mean("time_to_first_token_seconds"),
        itl_s=ours.itl.mean or 0.0,
        server_itl_s=mean("inter_token_latency_seconds"),
        e2e_s=ours.e2e.mean or 0.0,
        server_e2e_s=mean("e2e_request_latency_seconds"),
        lag_s=result.client.loop_lag_p99_s,
    )
    assert found.ttft_s > found.server_ttft_s
    assert found.e2e_s > found.server_e2e_s
    return found


def check_counts(result: StageResult, grown: dict[str, float], users: int) -> None:
    columns = columns_of(result.records)
    assert set(columns.outcomes) == {Outcome.SUCCEEDED.value}
    assert len(columns.outcomes) == users == grown["vllm:time_to_first_token_seconds_count"]
    assert columns.integers["prompt_tokens"].sum() == grown["vllm:prompt_tokens_total"]
    assert columns.integers["completion_tokens"].sum() == grown["vllm:generation_tokens_total"]
    assert columns.chunk_tokens.sum() == grown["vllm:generation_tokens_total"]


async def calm_waves(
    endpoint: Endpoint, probe: Probe, users: int, *, output: int, wanted: int
) -> tuple[list[Wave], int]:
    """As many calm waves as wanted, and how many there were in all."""
    calm: list[Wave] = []
    for number in range(PATIENCE * wanted):
        found = await wave(endpoint, probe, users, output=output, seed=1000 * users + number)
        calm += [found] if found.is_calm else []
        if len(calm) == wanted:
            return calm, number + 1
    raise AssertionError(
        f"the client had to wait for its turn in all but {len(calm)} of {PATIENCE * wanted} waves"
    )


def mean_of(waves: list[Wave], name: str) -> float:
    return float(np.mean([getattr(each, name) for each in waves]))


async def figures_agree(version: str, endpoint: Endpoint) -> list[str]:
    """A line for each level; AssertionError when TTFT or ITL are further apart than allowed."""
    probe = await probe_endpoint(endpoint, workload=workload(OUTPUT))
    assert probe.calibration.measured
    for number in range(3):
        await wave(endpoint, probe, 4, output=OUTPUT, seed=number)
    # Of a request of one token on an idle server, what the server does not see of it is network and front end.
    single, tried = await calm_waves(endpoint, probe, 1, output=1, wanted=15)
    front_s = statistics.median(each.e2e_s - each.server_e2e_s for each in single)
    lines = [f"vLLM {version}: network and front end {1000 * front_s:.1f} ms (15 of {tried} waves)"]
    for users, wanted in LEVELS.items():
        waves, tried = await calm_waves(endpoint, probe, users, output=OUTPUT, wanted=wanted)
        server_ttft_s, server_itl_s = mean_of(waves, "server_ttft_s"), mean_of(waves, "server_itl_s")
        ttft = (mean_of(waves, "ttft_s") - front_s) / server_ttft_s - 1
        itl = mean_of(waves, "itl_s") / server_itl_s - 1
        lines.append(
            f"  {users:2} users: TTFT {1000 * server_ttft_s:6.1f} ms, ours less front end {ttft:+.2%}; "
            f"ITL {1000 * server_itl_s:5.2f} ms, ours {itl:+.2%} ({wanted} of {tried} waves)"
        )
        assert (abs(ttft) <= WITHIN, abs(itl) <= WITHIN) == (True, True), "\n".join(lines)
    return lines


async def abandoned_leave_nothing(endpoint: Endpoint) -> None:
    """A window that ends with every user's request in flight, none of which it waits for."""
    long = Workload(input_tokens=FixedLength(20), output_tokens=FixedLength(3000), api="completions")
    probe = await probe_endpoint(endpoint, workload=long)
    before = await metrics_of(endpoint)
    stage = Stage(arrivals=ClosedLoop(8), duration_s=3.0, drain_s=0.0)
    result = await run_stage(endpoint, stage, long, probe=probe, seed=1)
    outcomes = [record.outcome for record in result.records]
    assert outcomes.count(Outcome.UNFINISHED) == 8
    async with asyncio.timeout(60):
        while (after := await metrics_of(endpoint))["vllm:num_requests_running"]:  # noqa: ASYNC110 -- only asking tells
            await asyncio.sleep(0.1)
    assert after["vllm:num_requests_waiting"] == 0
    assert after["vllm:kv_cache_usage_perc"] == 0
    grown = growth(before, after)
    assert grown is not None
    # What had arrived had been generated; those left behind count for no request that ended.
    assert (
        sum(int(record.chunk_tokens.sum()) for record in result.records)
        <= grown["vllm:generation_tokens_total"]
    )
    assert grown["vllm:request_success_total"] == len(outcomes) - 8


@pytest.mark.engine
def test_ttft_and_itl_are_the_servers_own_within_5_percent(
    served: tuple[str, Endpoint], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = uvloop.run(figures_agree(*served))
    assert len(lines) == 1 + len(LEVELS)
    with capsys.disabled():
        print("\n" + "\n".join(lines))


@pytest.mark.engine
def test_abandoned_requests_leave_none_running(served: tuple[str, Endpoint]) -> None:
    uvloop.run(abandoned_leave_nothing(served[1]))
