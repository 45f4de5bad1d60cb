"""Quotas: GPUs of a family are never held beyond the limit, and what can never fit is told at once."""

from __future__ import annotations

import asyncio

from harness.sweep.pool import GpuPool


def test_no_more_gpus_are_held_than_the_family_allows() -> None:
    async def run() -> int:
        pool, held, most = GpuPool({"gpua5000": 4}), 0, 0

        async def use(gpus: int) -> None:
            nonlocal held, most
            async with pool.hold("gpua5000", gpus):
                held += gpus
                most = max(most, held)
                await asyncio.sleep(0.001)
                held -= gpus

        await asyncio.gather(*(use(gpus) for gpus in (2, 2, 1, 4, 3, 1, 1)))
        return most

    assert asyncio.run(run()) == 4


def test_a_family_without_a_limit_is_not_held_back() -> None:
    async def run() -> None:
        pool = GpuPool({"gpua5000": 1})
        async with pool.hold("gpu3", 8), pool.hold("gpu3", 8):
            return

    asyncio.run(run())


def test_what_never_fits_says_so() -> None:
    pool = GpuPool({"gpua5000": 4})
    assert pool.never_fits("gpua5000", 4) is None
    assert pool.never_fits("gpua5000", 8) == "it needs 8 GPUs of gpua5000, the quota leaves 4"
    assert pool.never_fits("gpu3", 8) is None
