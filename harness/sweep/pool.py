"""GPUs of each family shared by concurrent runs, within the quotas. First come, first served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager


class GpuPool:
    """``limits`` maps a GPU family to how many of its GPUs this sweep may hold; a family not in it has no limit."""

    def __init__(self, limits: Mapping[str, int] | None = None) -> None:
        self._limits = dict(limits or {})
        self._held: dict[str, int] = {}
        self._changed = asyncio.Condition()

    def never_fits(self, family: str, gpus: int) -> str | None:
        """Why so many GPUs can never be held at once; None when they can."""
        limit = self._limits.get(family)
        if limit is None or gpus <= limit:
            return None
        return f"it needs {gpus} GPUs of {family}, the quota leaves {limit}"

    @asynccontextmanager
    async def hold(self, family: str, gpus: int) -> AsyncIterator[None]:
        """Waits until the GPUs are free, holds them for the life of the block."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._fits(family, gpus))
            self._held[family] = self._held.get(family, 0) + gpus
        try:
            yield
        finally:
            async with self._changed:
                self._held[family] -= gpus
                self._changed.notify_all()

    def _fits(self, family: str, gpus: int) -> bool:
        limit = self._limits.get(family)
        return limit is None or self._held.get(family, 0) + gpus <= limit
