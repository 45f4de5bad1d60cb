"""Prompt lengths and conversations as a real vLLM on this machine's CPU counts them.

Runs when HARNESS_ENGINE_0_15_1 or HARNESS_ENGINE_0_12_0 names that version's ``vllm`` command, a minute each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from harness.load.arrivals import ClosedLoop, PoissonRate
from harness.load.conversations import Conversations
from harness.load.driver import run_stage
from harness.load.lengths import FixedLength, UniformLength
from harness.load.metrics import summarise
from harness.load.probe import Probe, probe_endpoint
from harness.load.records import Endpoint, Outcome, StageResult
from harness.load.stage import Stage
from harness.load.workload import SharedPrefixes, Workload
from harness.plan.cells import Cell
from harness.plan.config import load_config
from harness.sweep.deployers import Run
from harness.sweep.local_deployer import LocalEngines, LocalVllmDeployer
from tests.real_engine import ENGINES, engine_command

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
MODEL = CONFIGS / "models" / "tiny-llama"
PARAMETERS = (
    "--load-format=dummy", "--dtype=bfloat16", "--enforce-eager", "--max-model-len=2048",
    "--enable-prefix-caching", "--enable-prompt-tokens-details", "--block-size=16",
)  # fmt: skip


@asynccontextmanager
async def engine(version: str, log_folder: Path) -> AsyncIterator[Endpoint]:
    """A real engine's endpoint, until the block ends."""
    environment = load_config(str(CONFIGS / "local-tiny.yaml")).engine_environment
    engines = LocalEngines(
        {version: engine_command(version)}, {"tiny": str(MODEL)}, environment, ready_s=240.0
    )
    deployer = LocalVllmDeployer(engines, log_folder=log_folder)
    run = Run(Cell("cpu", 1, 1, version, "tiny", PARAMETERS), 0, "test")
    identity = await deployer.create(run)
    try:
        yield (await deployer.wait_ready(run, identity, lambda state: None)).endpoint
    finally:
        await deployer.delete(identity)
        assert await deployer.is_gone(identity)


async def load(endpoint: Endpoint, probe: Probe, workload: Workload, stage: Stage) -> StageResult:
    result = await run_stage(endpoint, stage, workload, probe=probe, seed=4)
    assert {record.outcome for record in result.records} == {Outcome.SUCCEEDED}
    return result


def misses(result: StageResult) -> list[float]:
    """Each first request's relative error of length, as the engine counts it."""
    return [
        (record.prompt_tokens or 0) / record.input_tokens_asked - 1
        for record in result.records
        if record.input_tokens_asked is not None
    ]


async def lengths_hold(endpoint: Endpoint, api: str) -> None:
    """Within 2 % without a tokenizer, to the token with it, shared prefixes or none."""
    base = Workload(input_tokens=UniformLength(60, 900), output_tokens=FixedLength(2), api=api)
    probe = await probe_endpoint(endpoint, workload=base)
    assert probe.calibration.measured
    stage = Stage(arrivals=ClosedLoop(4), requests=40)
    plain = await load(endpoint, probe, base, stage)
    assert len(misses(plain)) == 40
    assert max(map(abs, misses(plain))) <= 0.02
    for prefixes in (None, SharedPrefixes(2, 50)):
        exact = Workload(
            input_tokens=UniformLength(60, 900), output_tokens=FixedLength(2), api=api,
            tokenizer=str(MODEL), shared_prefixes=prefixes,
        )  # fmt: skip
        assert misses(await load(endpoint, probe, exact, stage)) == [0.0] * 40


async def conversations_hold(endpoint: Endpoint, api: str) -> None:
    """Each turn finds the ones before it cached, and nothing else; nobody is late for having thought."""
    workload = Workload(
        input_tokens=FixedLength(120), output_tokens=FixedLength(20), api=api,
        conversations=Conversations(FixedLength(4), FixedLength(50)),
    )  # fmt: skip
    probe = await probe_endpoint(endpoint, workload=workload)
    for stage in (
        Stage(arrivals=ClosedLoop(3), requests=9),
        Stage(arrivals=PoissonRate(4.0), requests=9),
    ):
        result = await load(endpoint, probe, workload, stage)
        assert len(result.records) == 36
        for record in result.records:
            assert record.turn is not None
            assert record.prompt_tokens is not None
            cached = record.cached_tokens or 0
            if record.turn == 1:
                assert (record.prompt_tokens, cached < 16) == (120, True)
            else:
                # What was said before is 120 tokens and 20 of answer a turn; retold, the answer's tokens may be
                # others, so that the cache ends somewhere within it.
                assert cached >= (record.turn - 1) * 120 - 16
                assert record.prompt_tokens > record.turn * 120
        metrics = summarise(result)
        assert sorted(metrics.ttft_by_turn) == [1, 2, 3, 4]
        assert metrics.cached_share is not None
        assert metrics.cached_share > 0.3
        assert not any("prefix cache" in reason for reason in metrics.verdict.reasons)


@pytest.mark.engine
@pytest.mark.parametrize("version", sorted(ENGINES))
def test_lengths_and_conversations_are_as_the_engine_counts_them(version: str, tmp_path: Path) -> None:
    async def ask() -> None:
        async with engine(version, tmp_path) as endpoint:
            for api in ("chat", "completions"):
                await lengths_hold(endpoint, api)
                await conversations_hold(endpoint, api)

    asyncio.run(ask())
