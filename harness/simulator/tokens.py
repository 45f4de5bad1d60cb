"""A tokenizer of the simulator's own, and text to generate with it. Deterministic; needs no download.

It splits as byte-pair encoders roughly do: pieces of at most five letters with the space before them, numbers by
three digits, and two tokens for a character outside ASCII, whose first half has no text of its own. Text
made of its words counts the same when it is sent back.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Hashable, Mapping, Sequence
from functools import cache

VOCABULARY = 32_000
RESERVED = 16
BEGIN, MESSAGE_START, MESSAGE_END, ROLE, GENERATE = 1, 2, 3, 4, 5
EOS = 0

_PIECE = re.compile(r" ?[A-Za-z]{1,5}| ?\d{1,3}|[^\x00-\x7f]| ?[^\sA-Za-z\d\x80-\U0010ffff]{1,3}|\s+")
_SYLLABLES = ("ba", "cor", "den", "el", "fi", "gra", "ho", "im", "ju", "ka", "lo", "mir", "nu", "or", "pe", "qua",
              "ri", "su", "ta", "ul", "vo", "we", "xi", "yo", "ze")  # fmt: skip
_HALVES = "éüßñçøåž"
_HALF_SHARE = 0.02


def identifier(piece: str) -> int:
    """The id of a piece; two pieces may share one, as the ids are only counted and compared."""
    return RESERVED + zlib.crc32(piece.encode("utf-8", "surrogatepass")) % (VOCABULARY - RESERVED)


def encode(text: str) -> list[int]:
    """Token ids of a text, without special tokens."""
    ids = []
    for piece in _PIECE.findall(text):
        ids.append(identifier(piece))
        if not piece.isascii():
            ids.append(identifier(piece + "'"))
    return ids


def encode_chat(messages: Sequence[Mapping[str, object]]) -> list[int]:
    """Token ids of a conversation with its template: a start, three marks per message, and the answer's opening."""
    ids = [BEGIN]
    for message in messages:
        ids += [MESSAGE_START, ROLE, identifier(str(message.get("role", "")))]
        ids += encode(content_text(message.get("content")))
        ids.append(MESSAGE_END)
    return [*ids, MESSAGE_START, ROLE, GENERATE]


def content_text(content: object) -> str:
    """A message's text; of a list of parts those of type text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


@cache
def _words() -> tuple[tuple[str, int], ...]:
    """Pieces to generate, each one token with a space before it."""
    words = [f" {first}{second}"[:6] for first in _SYLLABLES for second in _SYLLABLES]
    return tuple((word, identifier(word)) for word in dict.fromkeys(words))


def generate(count: int, seed: str) -> tuple[list[str], list[int]]:
    """``count`` tokens of text: the text each adds, and its id. About 2 % add none until the next one comes."""
    rng = random.Random(seed)
    words = _words()
    texts: list[str] = []
    ids: list[int] = []
    for word, number in rng.choices(words, k=count):
        if len(texts) >= count:
            break
        if len(texts) + 2 <= count and rng.random() < _HALF_SHARE:
            letter = rng.choice(_HALVES)
            texts += ["", letter]
            ids += [identifier(letter), identifier(letter + "'")]
        else:
            texts.append(word)
            ids.append(number)
    return texts, ids


def natural_length(seed: str, *, least: int) -> int:
    """After how many tokens an answer ends by itself, the end token included; log-normal, median 200."""
    drawn = int(random.Random(seed + "/length").lognormvariate(5.3, 0.6))
    return max(1, least + 1, drawn)


def block_hashes(ids: Sequence[int], *, block_size: int, salt: object = None) -> list[Hashable]:
    """Names of the full blocks: each hash covers the block and everything before it, and the salt."""
    chain = hash(("block", salt))
    hashes: list[Hashable] = []
    for start in range(0, len(ids) - block_size + 1, block_size):
        chain = hash((chain, tuple(ids[start : start + block_size])))
        hashes.append(chain)
    return hashes
