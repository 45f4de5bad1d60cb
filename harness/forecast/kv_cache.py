"""Requests and the blocks they hold, from the first chunk of a prompt to the last token. Pure.

While a prompt is computed its blocks are counted one by one (``Request.held``); those of a decode follow from its
length, for the scheduler took them as its position crossed from block to block.
"""

from __future__ import annotations

from harness.forecast.blocks import BlockPool
from harness.forecast.sequence import Request


class KvCache:
    """A pool of blocks as requests use it. It never checks for room: the scheduler asked before."""

    def __init__(self, pool: BlockPool, *, block_size: int) -> None:
        self._pool = pool
        self._block = block_size

    def blocks(self, tokens: int) -> int:
        """Blocks that so many tokens fill, the last one perhaps in part."""
        return -(-tokens // self._block)

    def lacking(self, request: Request, size: int) -> int:
        """Blocks that a chunk of ``size`` tokens needs beyond those held."""
        return -(-(request.computed + size) // self._block) - request.held

    def hold(self, request: Request, size: int) -> None:
        """Take the blocks of a prompt chunk; full prompt blocks become findable at once, as in vLLM."""
        grown = request.computed + size
        wanted = -(-grown // self._block)
        self._pool.take(wanted - request.held)
        request.held = wanted
        if request.hashes:
            known = request.computed // self._block
            request.named += self._pool.name(request.hashes[known : grown // self._block])

    def cached(self, request: Request) -> int:
        """Leading blocks of a waiting request that can be shared; its last token is computed in any case."""
        total = request.prompt_tokens + request.generated
        return self._pool.match(request.hashes, limit=(total - 1) // self._block)

    def has_room(self, request: Request, *, hits: int, size: int) -> bool:
        """True when a waiting request can share ``hits`` cached blocks and hold a chunk of ``size`` tokens more."""
        needed = -(-(hits * self._block + size) // self._block) - hits
        if hits:
            needed += self._pool.reviving(request.hashes[:hits])
        return self._pool.spares(needed)

    def share(self, request: Request, hits: int) -> None:
        """Hold the first ``hits`` blocks of a waiting request, which are cached."""
        request.named = list(request.hashes[:hits])
        self._pool.share(request.named)
        request.held = hits
        request.computed = hits * self._block

    def release(self, request: Request, *, held: int, known: int) -> None:
        """Give back ``held`` blocks, findable as far as the ``known`` tokens of content reach."""
        if request.hashes:
            request.named += self._pool.name(
                request.hashes[request.computed // self._block : known // self._block]
            )
        self._pool.release(request.named, unnamed=held - len(request.named))
        request.named = []
        request.held = 0
