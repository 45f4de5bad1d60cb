"""The KV cache as vLLM 1 keeps it: blocks in use, and free ones in order of eviction, some still cached. Pure.

A freed block keeps its content until it is given out again; the longest free is given out first. Blocks whose
content nobody can look up (generated text, half-filled blocks) need no identity and are kept as counts. Where no
prompt has names, as without a shared prefix, the whole queue is one count.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence


class BlockPool:
    """A fixed number of blocks: taken, shared by content, released, evicted."""

    def __init__(self, blocks: int, *, caching: bool = True) -> None:
        self.total = blocks
        self.free = blocks
        # The fewest blocks that any request for some would have left; negative when one was refused.
        self.least_spare = blocks
        self._caching = caching
        self._in_use: dict[Hashable, int] = {}
        # The queue of free blocks, next to be given out first: nameless ones, then by place runs of nameless
        # blocks, or one named block.
        self._first = blocks
        self._then: OrderedDict[int, int] = OrderedDict()
        self._free_name: dict[int, Hashable] = {}
        self._free_place: dict[Hashable, int] = {}
        self._serial = 0

    @property
    def used(self) -> int:
        """Blocks held by requests."""
        return self.total - self.free

    def spares(self, count: int) -> bool:
        """True when so many blocks are free. Every decision that depends on room asks here."""
        spare = self.free - count
        if spare < self.least_spare:
            self.least_spare = spare
        return spare >= 0

    def match(self, hashes: Sequence[Hashable], *, limit: int) -> int:
        """How many leading blocks of a prompt are cached, at most ``limit``."""
        if not self._caching:
            return 0
        hits = 0
        for key in hashes[:limit]:
            if key not in self._in_use and key not in self._free_place:
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
                place = self._free_place.pop(key)
                del self._free_name[place], self._then[place]
                self.free -= 1
            self._in_use[key] = holders + 1

    def take(self, count: int) -> None:
        """Hold ``count`` fresh blocks, evicting what has been free longest. The caller checked ``free``."""
        if count > self.free:
            raise ValueError(f"{count} blocks wanted, {self.free} free")
        self.free -= count
        if count <= self._first:
            self._first -= count
            return
        count -= self._first
        self._first = 0
        while count:
            place, size = next(iter(self._then.items()))
            if size > count:
                self._then[place] = size - count
                return
            del self._then[place]
            self._forget(place)
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
            if key in self._free_place:
                # The copy in use is the one to find; the free one stays in the queue without a name.
                self._forget(self._free_place[key])
            self._in_use[key] = 1
            named.append(key)
        return named

    def release(self, hashes: Sequence[Hashable], *, unnamed: int) -> None:
        """Give back a request's blocks. Its last ones are evicted first: the tail, then named ones backwards."""
        self.free += unnamed
        if not self._then:
            self._first += unnamed
        elif unnamed:
            self._queue(unnamed)
        for key in reversed(hashes):
            holders = self._in_use[key] - 1
            if holders:
                self._in_use[key] = holders
                continue
            del self._in_use[key]
            self.free += 1
            self._queue(1)
            self._free_name[self._serial] = key
            self._free_place[key] = self._serial

    def check(self) -> None:
        """Raise AssertionError if the books do not balance."""
        assert self._first + sum(self._then.values()) == self.free
        assert 0 <= self.free <= self.total

    def _queue(self, count: int) -> None:
        self._serial += 1
        self._then[self._serial] = count

    def _forget(self, place: int) -> None:
        """Take the name off a queued block, if it has one."""
        key = self._free_name.pop(place, None)
        if key is not None:
            del self._free_place[key]
