"""The bounds of sampling parameters, in the order in which the engine checks them. Pure."""

from __future__ import annotations

from collections.abc import Callable

from harness.simulator.engine_refusal import bad, bad_value
from harness.simulator.request_fields import ChatFields, CompletionFields

# Below this the engine takes the likeliest token.
GREEDY_TEMPERATURE = 1e-5

# Field, whether its value will do, and what is said when it will not. Absent is fine.
_BOUNDS: tuple[tuple[str, Callable[[float], bool], str], ...] = (
    ("n", lambda value: value >= 1, "n must be at least 1, got {}."),
    ("presence_penalty", lambda value: -2 <= value <= 2, "presence_penalty must be in [-2, 2], got {}."),
    ("frequency_penalty", lambda value: -2 <= value <= 2, "frequency_penalty must be in [-2, 2], got {}."),
    ("repetition_penalty", lambda value: value > 0, "repetition_penalty must be greater than zero, got {}."),
    ("temperature", lambda value: value >= 0, "temperature must be non-negative, got {}."),
    ("top_p", lambda value: 0 < value <= 1, "top_p must be in (0, 1], got {}."),
    ("top_k", lambda value: value >= -1, "top_k must be 0 (disable), or at least 1, got {}."),
    ("min_p", lambda value: 0 <= value <= 1, "min_p must be in [0, 1], got {}."),
)
# Of these later versions show name and value.
_NAMED = ("temperature", "top_p", "max_tokens")


def check_sampling(fields: ChatFields | CompletionFields, *, allowed: int, named: bool) -> int:
    """The number of choices, once every parameter is within its bounds; ``allowed`` is the most tokens of an answer."""
    for name, holds, message in _BOUNDS:
        value = getattr(fields, name)
        if value is not None and not holds(value):
            raise bad_value(message.format(value), name, value, named=named and name in _NAMED)
    if allowed < 1:
        message = f"max_tokens must be at least 1, got {allowed}."
        raise bad_value(message, "max_tokens", allowed, named=named)
    if fields.min_tokens < 0:
        raise bad(f"min_tokens must be greater than or equal to 0, got {fields.min_tokens}.")
    if fields.min_tokens > allowed:
        raise bad(f"min_tokens must be less than or equal to max_tokens={allowed}, got {fields.min_tokens}.")
    if not isinstance(fields.stop, str) and not all(fields.stop or ()):
        raise bad("stop cannot contain an empty string.")
    count = 1 if fields.n is None else fields.n
    if count > 1 and fields.temperature is not None and fields.temperature < GREEDY_TEMPERATURE:
        raise bad(f"n must be 1 when using greedy sampling, got {count}.")
    return count
