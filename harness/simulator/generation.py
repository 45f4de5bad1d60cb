"""What a simulated engine will say, decided when it is asked: length, text, and why it ends. Pure."""

from __future__ import annotations

from collections.abc import Hashable

from harness.simulator import tokens
from harness.simulator.completion_request import Asked
from harness.simulator.sequences import Choices, Generation, Mailbox


def plan_generations(
    asked: Asked, mailbox: Mailbox, *, seed: str, block_size: int | None
) -> list[Generation]:
    """One generation per prompt and choice, prompts first. ``block_size`` None: nothing is cached."""
    made = []
    for index, prompt in enumerate(asked.prompts):
        choices = Choices(asked.n)
        for choice in range(asked.n):
            own = f"{seed if asked.seed is None else asked.seed}/{index}/{choice}"
            made.append(_generation(asked, prompt, mailbox, seed=own, block_size=block_size, choices=choices))
    return made


def _generation(
    asked: Asked,
    prompt: tuple[int, ...],
    mailbox: Mailbox,
    *,
    seed: str,
    block_size: int | None,
    choices: Choices,
) -> Generation:
    length, reason, stopped_by = asked.max_tokens, "length", None
    if not asked.ignore_eos:
        natural = tokens.natural_length(seed, least=asked.min_tokens)
        if natural <= length:
            length, reason = natural, "stop"
    texts, ids = tokens.generate(length, seed)
    if reason == "stop":
        texts[-1], ids[-1] = "", tokens.EOS
    for stop in asked.stop:
        cut = _cut(texts, stop, least=asked.min_tokens)
        if cut is not None:
            texts, ids, reason, stopped_by = cut, ids[: len(cut)], "stop", stop
    hashes: tuple[Hashable, ...] = ()
    if block_size is not None:
        hashes = tuple(tokens.block_hashes([*prompt, *ids], block_size=block_size, salt=asked.cache_salt))
    return Generation(
        prompt_tokens=len(prompt),
        texts=texts,
        ids=ids,
        finish_reason=reason,
        stop_reason=stopped_by,
        asked_tokens=asked.max_tokens,
        mailbox=mailbox,
        hashes=hashes,
        choices=choices,
    )


def _cut(texts: list[str], stop: str, *, least: int) -> list[str] | None:
    """The texts up to where ``stop`` first appears after the first ``least`` of them, without it; None when not."""
    whole = ""
    begin = 0
    for count, text in enumerate(texts, start=1):
        whole += text
        if count <= least:
            begin = len(whole)
            continue
        found = whole.find(stop, begin)
        if found >= 0:
            kept = list(texts[:count])
            spare = len(whole) - found
            for index in range(count - 1, -1, -1):
                dropped = min(spare, len(kept[index]))
                kept[index] = kept[index][: len(kept[index]) - dropped]
                spare -= dropped
            return kept
    return None
