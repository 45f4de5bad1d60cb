"""The KV cache as vLLM 1 keeps it: blocks in use, and free ones in order of eviction, some still cached. Pure.

A freed block keeps its content until it is given out again; the longest free is given out first. Blocks whose
content nobody can look up (generated text, half-filled blocks) need no identity and are kept as counts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence

_ANONYMOUS = -1


class BlockPool:
    """A fixed number of blocks: taken, shared by content, released, evicted."""

    def __init__(self, blocks: int, *, caching: bool = True) -> None:
        self.total = blocks
        self.free = blocks
        self._caching = caching
        self._in_use: dict[Hashable, int] = {}
        # Keys of cached free blocks map to 1, keys of the form (_ANONYMOUS, n) to how many blocks they stand for.
        self._free: OrderedDict[Hashable, int] = OrderedDict({(_ANONYMOUS, 0): blocks} if blocks else {})
        self._serial = 0

    @property
    def used(self) -> int:
        """Blocks held by requests."""
        return self.total - self.free

    def match(self, hashes: Sequence[Hashable], *, limit: int) -> int:
        """How many leading blocks of a prompt are cached, at most ``limit``."""
        if not self._caching:
            return 0
        hits = 0
        for key in hashes[:limit]:
            if key not in self._in_use and key not in self._free:
                break
            hits += 1
        return hits

    def reviving(self, hashes: Sequence[Hashable]) -> int:
        """How many of these cached blocks are free now, so that sharing them uses up free blocks."""
        return sum(1 for key in hashes if key not in self._in_use)

    def share(self, hashes: Sequence[Hashable]) -> None:
        """Hold cached blocks; each must have been matched."""
        for key in hashes:
            holders = self._in_use.get(key, 0)
            if not holders:
                del self._free[key]
                self.free -= 1
            self._in_use[key] = holders + 1

    def take(self, count: int) -> None:
        """Hold ``count`` fresh blocks, evicting what has been free longest. The caller checked ``free``."""
        if count > self.free:
            raise ValueError(f"{count} blocks wanted, {self.free} free")
        self.free -= count
        while count:
            key, size = next(iter(self._free.items()))
            if size > count:
                self._free[key] = size - count
                return
            del self._free[key]
            count -= size

    def name(self, hashes: Sequence[Hashable]) -> list[Hashable]:
        """Make blocks already taken findable; returns those that were not, in order.

        Content that is already in use elsewhere stays a private copy of the caller.
        """
        if not self._caching:
            return []
        named = []
        for key in hashes:
            if key in self._in_use:
                continue
            if key in self._free:
                # The new copy replaces the old one, whose block becomes an unnamed free one in its place.
                self._rename_free(key)
            self._in_use[key] = 1
            named.append(key)
        return named

    def release(self, hashes: Sequence[Hashable], *, unnamed: int) -> None:
        """Give back a request's blocks. Its last ones are evicted first: the tail, then named ones backwards."""
        if unnamed:
            self._serial += 1
            self._free[(_ANONYMOUS, self._serial)] = unnamed
            self.free += unnamed
        for key in reversed(hashes):
            holders = self._in_use[key] - 1
            if holders:
                self._in_use[key] = holders
                continue
            del self._in_use[key]
            self._free[key] = 1
            self.free += 1

    def check(self) -> None:
        """Raise AssertionError if the books do not balance."""
        assert sum(self._free.values()) == self.free
        assert 0 <= self.free <= self.total

    def _rename_free(self, key: Hashable) -> None:
        self._serial += 1
        self._free[(_ANONYMOUS, self._serial)] = self._free.pop(key)
