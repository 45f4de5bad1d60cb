"""What a client asked of a simulated endpoint, read from its JSON body; or the engine's own refusal. Pure.

The refusals repeat what vLLM 0.12.0 and 0.15.1 answered when they were asked the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.forecast.settings import version_tuple
from harness.simulator import tokens

COMPLETION_DEFAULT_TOKENS = 16
_LONGEST_SEED = 2**63 - 1


class Refused(Exception):
    """An answer that is not 200: ``body`` is what the engine sends, JSON unless it is text."""

    def __init__(self, status: int, body: dict[str, Any] | str) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. ``prompts`` are token ids; every prompt gets ``n`` choices of at most ``max_tokens`` tokens."""

    chat: bool
    prompts: tuple[tuple[int, ...], ...]
    max_tokens: int
    min_tokens: int
    n: int
    ignore_eos: bool
    stop: tuple[str, ...]
    seed: int | None
    cache_salt: str | None
    stream: bool
    include_usage: bool
    continuous_usage: bool
    return_token_ids: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """What the engine holds a request against."""

    engine_version: str
    model_names: tuple[str, ...]
    max_model_len: int

    @property
    def names_parameters(self) -> bool:
        """From 0.13 on a refusal names the parameter and its value."""
        return version_tuple(self.engine_version) >= (0, 13)


def read(raw: bytes, *, chat: bool, content_type: str, limits: Limits) -> Asked:
    """The request in ``raw``. Raises Refused with the engine's own answer."""
    if content_type.split(";")[0].strip().lower() != "application/json":
        raise _invalid(" [\"Unsupported Media Type: Only 'application/json' is allowed\"]")
    body = _object(raw)
    _check_shape(body, chat=chat, limits=limits)
    name = body.get("model")
    if name and name not in limits.model_names:
        message = f"The model `{name}` does not exist."
        param = "model" if limits.names_parameters else None
        raise Refused(404, _error(message, "NotFoundError", param, 404))
    prompts = _chat_prompts(body, limits) if chat else _prompts(body)
    longest = max(len(prompt) for prompt in prompts)
    allowed = _allowed_tokens(body, chat=chat, longest=longest, limits=limits)
    minimum = _integer(body, "min_tokens") or 0
    if minimum > allowed:
        message = f"min_tokens must be less than or equal to max_tokens={allowed}, got {minimum}."
        raise Refused(400, _error(message, "BadRequestError", None, 400))
    options = body.get("stream_options")
    options = options if isinstance(options, dict) else {}
    stop = body.get("stop") or ()
    return Asked(
        chat=chat,
        prompts=prompts,
        max_tokens=allowed,
        min_tokens=minimum,
        n=_choices(body),
        ignore_eos=bool(body.get("ignore_eos")),
        stop=(stop,) if isinstance(stop, str) else tuple(str(text) for text in stop if text),
        seed=_integer(body, "seed"),
        cache_salt=body.get("cache_salt") if isinstance(body.get("cache_salt"), str) else None,
        stream=bool(body.get("stream")),
        include_usage=bool(options.get("include_usage")),
        continuous_usage=bool(options.get("include_usage")) and bool(options.get("continuous_usage_stats")),
        return_token_ids=bool(body.get("return_token_ids")),
    )


def _object(raw: bytes) -> dict[str, Any]:
    if not raw:
        raise _invalid("[{'type': 'missing', 'loc': ('body',), 'msg': 'Field required', 'input': None}]")
    try:
        body = json.loads(raw)
    except json.JSONDecodeError as error:
        raise _invalid(
            f"[{{'type': 'json_invalid', 'loc': ('body', {error.pos}), 'msg': 'JSON decode error', 'input': {{}}, "
            f"'ctx': {{'error': {error.msg!r}}}}}]"
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise _invalid("There was an error parsing the body") from error
    if not isinstance(body, dict):
        raise Refused(500, "Internal Server Error")
    return body


def _check_shape(body: Mapping[str, Any], *, chat: bool, limits: Limits) -> None:
    """What the API models themselves refuse, before anything is tokenised."""
    shown = {key: body[key] for key in body}
    if chat and "messages" not in body:
        raise _invalid(
            f"[{{'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required', 'input': {shown!r}}}]"
        )
    if not chat and (body.get("prompt") is None or body.get("prompt") == ""):
        raise _value_error("Either prompt or prompt_embeds must be provided and non-empty.", shown)
    if body.get("stream_options") and not body.get("stream"):
        suffix = " (parameter=stream_options)" if limits.names_parameters else ""
        raise _value_error(f"Stream options can only be defined when `stream=True`.{suffix}", shown)
    for key in ("max_tokens", "max_completion_tokens", "min_tokens", "n", "seed"):
        _integer(body, key)
    seed = _integer(body, "seed")
    if seed is not None and seed > _LONGEST_SEED:
        raise _invalid(
            "[{'type': 'less_than_equal', 'loc': ('body', 'seed'), 'msg': 'Input should be less than or equal to "
            f"{_LONGEST_SEED}', 'input': {seed}, 'ctx': {{'le': {_LONGEST_SEED}}}}}]"
        )
    temperature, top_p = body.get("temperature"), body.get("top_p")
    if isinstance(temperature, int | float) and temperature < 0:
        raise _bad(
            "temperature must be non-negative, got {value}.", "temperature", float(temperature), limits
        )
    if isinstance(top_p, int | float) and not 0 < top_p <= 1:
        raise _bad("top_p must be in (0, 1], got {value}.", "top_p", float(top_p), limits)


def _choices(body: Mapping[str, Any]) -> int:
    count = _integer(body, "n")
    if count is None:
        return 1
    if count < 1:
        raise Refused(400, _error(f"n must be at least 1, got {count}.", "BadRequestError", None, 400))
    return count


def _prompts(body: Mapping[str, Any]) -> tuple[tuple[int, ...], ...]:
    """Of text, token ids, or a list of either."""
    given = body["prompt"]
    if isinstance(given, str):
        return (tuple(tokens.encode(given)),)
    if isinstance(given, list) and not given:
        raise Refused(400, _error("please provide at least one prompt", "BadRequestError", None, 400))
    if isinstance(given, list) and all(type(item) is int for item in given):
        return (_ids(given),)
    if isinstance(given, list) and all(isinstance(item, str) for item in given):
        return tuple(tuple(tokens.encode(item)) for item in given)
    if isinstance(given, list) and all(
        isinstance(item, list) and item and all(type(part) is int for part in item) for item in given
    ):
        return tuple(_ids(item) for item in given)
    raise _invalid(f"[{{'type': 'string_type', 'loc': ('body', 'prompt'), 'msg': 'Input should be a valid string', "
                   f"'input': {given!r}}}]")  # fmt: skip


def _ids(given: Sequence[int]) -> tuple[int, ...]:
    for number in given:
        if not 0 <= number < tokens.VOCABULARY:
            message = f"Token id {number} is out of vocabulary"
            raise Refused(400, _error(message, "BadRequestError", None, 400))
    return tuple(given)


def _chat_prompts(body: Mapping[str, Any], limits: Limits) -> tuple[tuple[int, ...], ...]:
    messages = body["messages"]
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise _invalid(
            "[{'type': 'list_type', 'loc': ('body', 'messages'), 'msg': 'Input should be a valid list', "
            f"'input': {messages!r}}}]"
        )
    if not messages:
        message = "list index out of range"
        if not limits.names_parameters:
            message = f"{message} {message}"
        raise Refused(400, _error(message, "BadRequestError", None, 400))
    return (tuple(tokens.encode_chat(messages)),)


def _allowed_tokens(body: Mapping[str, Any], *, chat: bool, longest: int, limits: Limits) -> int:
    """max_tokens after its checks; a chat may by default fill the context."""
    room = limits.max_model_len
    asked = _integer(body, "max_completion_tokens") if chat else None
    if asked is None:
        asked = _integer(body, "max_tokens")
    if asked is not None and asked < 1:
        raise _bad("max_tokens must be at least 1, got {value}.", "max_tokens", asked, limits)
    if chat:
        if longest >= room:
            raise _too_long(room, longest, limits, chat=True)
        if asked is not None and asked > room - longest:
            message = (
                f"'max_tokens' or 'max_completion_tokens' is too large: {{value}}. This model's maximum context "
                f"length is {room} tokens and your request has {longest} input tokens ({asked} > {room} - {longest})."
            )
            raise _bad(message, "max_tokens", asked, limits, trailing_none=True)
        return asked if asked is not None else room - longest
    asked = COMPLETION_DEFAULT_TOKENS if asked is None else asked
    if asked > room and limits.names_parameters:
        message = (
            f"'max_tokens' ({{value}}) cannot be greater than the model's maximum context length ({room})."
        )
        raise _bad(message, "max_tokens", asked, limits)
    if longest > room - asked:
        raise _too_long(room - asked, longest, limits, chat=False)
    return asked


def _too_long(room: int, longest: int, limits: Limits, *, chat: bool) -> Refused:
    message = (
        f"This model's maximum context length is {room} tokens. However, your request has {{value}} input tokens. "
        "Please reduce the length of the input messages."
    )
    return _bad(message, "input_tokens", longest, limits, trailing_none=chat)


def _integer(body: Mapping[str, Any], key: str) -> int | None:
    """An integer field; text that reads as one counts."""
    value = body.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    try:
        return (
            int(value)
            if isinstance(value, str | bool) or float(value).is_integer()
            else _not_integer(key, value)
        )
    except (TypeError, ValueError):
        return _not_integer(key, value)


def _not_integer(key: str, value: object) -> int:
    raise _invalid(
        f"[{{'type': 'int_parsing', 'loc': ('body', {key!r}), 'msg': 'Input should be a valid integer, unable to "
        f"parse string as an integer', 'input': {value!r}}}]"
    )


def _bad(message: str, param: str, value: object, limits: Limits, *, trailing_none: bool = False) -> Refused:
    """A refused parameter: later versions name it, the earlier one sometimes adds a stray word."""
    text = message.format(value=value)
    if limits.names_parameters:
        return Refused(
            400, _error(f"{text} (parameter={param}, value={value})", "BadRequestError", param, 400)
        )
    return Refused(400, _error(f"{text} None" if trailing_none else text, "BadRequestError", None, 400))


def _value_error(message: str, shown: Mapping[str, Any]) -> Refused:
    return _invalid(
        f"[{{'type': 'value_error', 'loc': ('body',), 'msg': 'Value error, {message}', 'input': {shown!r}, "
        f"'ctx': {{'error': ValueError({message!r})}}}}]"
    )


def _invalid(message: str) -> Refused:
    return Refused(400, _error(message, "Bad Request", None, 400))


def _error(message: str, kind: str, param: str | None, code: int) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
