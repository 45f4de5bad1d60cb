"""Work that may wait: it is done in slices, and what it holds does not grow without end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from harness.load.chores import MOST_HELD_BYTES, Chores


def chore(done: list[int], number: int, *, steps: int = 1, step_s: float = 0.0) -> Iterator[None]:
    for _ in range(steps):
        time.sleep(step_s)
        yield
    done.append(number)


def test_chores_are_done_in_order_and_in_slices() -> None:
    async def run() -> tuple[list[int], int]:
        chores, done, turns = Chores(), [], 0
        for number in range(3):
            chores.add(chore(done, number, steps=4, step_s=0.001))
        while len(done) < 3:
            await asyncio.sleep(0)
            turns += 1
        return done, turns

    done, turns = asyncio.run(run())
    assert done == [0, 1, 2]
    # A step of 1 ms fills a slice of half a millisecond: the loop had its turn between steps.
    assert turns >= 6


def test_a_client_that_falls_behind_reads_before_it_goes_on() -> None:
    async def run() -> list[int]:
        chores, done = Chores(), []
        for number in range(8):
            chores.add(chore(done, number, step_s=0.002), holds_bytes=MOST_HELD_BYTES // 4)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return list(done)

    # Eight quarters of what may be held: four have to go before anything else is done, whatever time that takes.
    assert asyncio.run(run())[:4] == [0, 1, 2, 3]


def test_a_chore_that_breaks_is_not_done_again() -> None:
    tries = []

    def broken() -> Iterator[None]:
        tries.append(1)
        raise ZeroDivisionError
        yield

    async def run() -> list[int]:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        chores, done = Chores(), []
        chores.add(broken())
        await asyncio.sleep(0.01)
        chores.add(chore(done, 7))
        chores.finish()
        return done

    assert asyncio.run(run()) == [7]
    assert tries == [1]
