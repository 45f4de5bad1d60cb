"""What a client asked of a simulated endpoint, read from its JSON body; or the engine's own refusal. Pure.

The refusals repeat what vLLM 0.12.0 and 0.15.1 answered when they were asked the same, in the order of their checks.
What would change the form of the answer and is not simulated is refused with 501; what only steers which words come is
taken and has no effect, as the words are made up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from harness.forecast.settings import version_tuple
from harness.simulator import tokens
from harness.simulator.engine_refusal import Refused, bad, bad_value, error, invalid, malformed, not_simulated
from harness.simulator.request_fields import ChatFields, CompletionFields, RequestFields
from harness.simulator.sampling_checks import check_sampling

MISSING_BODY = [{"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. ``prompts`` are token ids; every prompt gets ``n`` choices of at most ``max_tokens`` tokens.

    ``request_id`` is one the client chose in the body.
    """

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
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What the engine holds a request against. ``force_usage``: every stream ends with its usage."""

    engine_version: str
    model_names: tuple[str, ...]
    max_model_len: int
    force_usage: bool = False
    parses_tools: bool = False
    trusts_templates: bool = False

    @property
    def names_parameters(self) -> bool:
        """From 0.13 on a refusal names the parameter and its value."""
        return version_tuple(self.engine_version) >= (0, 13)


def read(raw: bytes, *, chat: bool, content_type: str, limits: Limits) -> Asked:
    """The request in ``raw``. Raises Refused with the engine's own answer."""
    fields = read_fields(raw, chat=chat, content_type=content_type, limits=limits)
    check_model(fields.model, limits)
    for what, param in unsupported(fields, limits):
        raise not_simulated(what, param=param)
    prompts = prompts_of(fields, limits)
    allowed = _allowed_tokens(fields, longest=max(map(len, prompts)), limits=limits)
    count = check_sampling(fields, allowed=allowed, named=limits.names_parameters)
    options = fields.stream_options
    usage = limits.force_usage or (options is not None and bool(options.include_usage))
    stop = fields.stop or ()
    return Asked(
        chat=chat,
        prompts=prompts,
        max_tokens=allowed,
        min_tokens=fields.min_tokens,
        n=count,
        ignore_eos=fields.ignore_eos,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        seed=fields.seed,
        cache_salt=fields.cache_salt,
        stream=bool(fields.stream),
        include_usage=usage,
        continuous_usage=usage and options is not None and bool(options.continuous_usage_stats),
        return_token_ids=bool(fields.return_token_ids),
        request_id=fields.request_id,
    )


def read_fields(
    raw: bytes, *, chat: bool, content_type: str, limits: Limits
) -> ChatFields | CompletionFields:
    """The body as its model sees it, nothing beyond its shape checked."""
    body = json_body(raw, content_type=content_type)
    model = ChatFields if chat else CompletionFields
    try:
        # From attributes, as the engine's framework asks for it: it shows in the wording.
        context = {"named": limits.names_parameters}
        return model.model_validate(body, context=context, from_attributes=True)
    except ValidationError as found:
        raise invalid(found) from None


def json_body(raw: bytes, *, content_type: str) -> dict[str, Any]:
    """The JSON object of a request, or the engine's word on what is none."""
    if content_type.split(";")[0].strip().lower() != "application/json":
        raise malformed(" [\"Unsupported Media Type: Only 'application/json' is allowed\"]")
    try:
        body = json.loads(raw) if raw else None
    except json.JSONDecodeError as wrong:
        details = {
            "type": "json_invalid",
            "loc": ("body", wrong.pos),
            "msg": "JSON decode error",
            "input": {},
        }
        raise malformed([{**details, "ctx": {"error": wrong.msg}}]) from wrong
    except (UnicodeDecodeError, RecursionError) as wrong:
        raise Refused(400, {"detail": "There was an error parsing the body"}) from wrong
    if body is None:
        raise malformed(MISSING_BODY)
    if not isinstance(body, dict):
        raise Refused(500, "Internal Server Error")
    return body


def check_model(name: str | None, limits: Limits) -> None:
    """404 for a name the engine does not serve; none at all is the one it serves."""
    if name and name not in limits.model_names:
        param = "model" if limits.names_parameters else None
        raise Refused(404, error(f"The model `{name}` does not exist.", "NotFoundError", param, 404))


def unsupported(fields: ChatFields | CompletionFields, limits: Limits) -> Iterator[tuple[str, str]]:
    """What the request asks for and the simulator has not, and its field. Raises what the engine itself refuses."""
    if isinstance(fields, ChatFields):
        yield from _unsupported_in_chat(fields, limits)
    else:
        if fields.suffix is not None:
            raise bad("suffix is not currently supported")
        if fields.prompt_embeds is not None:
            message = "You must set `--enable-prompt-embeds` to input `prompt_embeds`."
            raise bad_value(message, "prompt_embeds", None, named=limits.names_parameters)
        if fields.logprobs is not None:
            _check_logprobs(fields.logprobs, limits)
            yield "log probabilities", "logprobs"
    if fields.logits_processors:
        raise bad(
            "The `logits_processors` argument is not supported by this server. See --logits-processor-pattern engine "
            "argument for more information."
        )
    if fields.response_format is not None and fields.response_format.type != "text":
        yield "structured output", "response_format"
    for name, what in (
        ("echo", "echo of the prompt"),
        ("prompt_logprobs", "log probabilities"),
        ("use_beam_search", "beam search"),
        ("structured_outputs", "structured output"),
        ("truncate_prompt_tokens", "truncation of prompts"),
        ("stop_token_ids", "tokens to stop at"),
        ("include_stop_str_in_output", "stop text in its output"),
        ("kv_transfer_params", "transfer of KV blocks"),
    ):
        if getattr(fields, name):
            yield what, name


def _check_logprobs(asked: int, limits: Limits, most: int = 20) -> None:
    if asked > most:
        message = f"Requested sample logprobs of {asked}, which is greater than max allowed: {most}"
        raise bad_value(message, "logprobs", asked, named=limits.names_parameters)


def _unsupported_in_chat(fields: ChatFields, limits: Limits) -> Iterator[tuple[str, str]]:
    # Tools without a choice are "auto".
    choice = fields.tool_choice if "tool_choice" in fields.model_fields_set or not fields.tools else "auto"
    if fields.tools and choice == "auto" and not limits.parses_tools:
        raise bad('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
    if fields.tools and choice not in (None, "none"):
        yield "tool calls", "tools"
    if fields.chat_template is not None:
        if not limits.trusts_templates:
            raise bad(
                "Chat template is passed with request, but --trust-request-chat-template is not set. Refused request "
                "with untrusted chat template."
            )
        yield "chat templates", "chat_template"
    if fields.logprobs:
        _check_logprobs(fields.top_logprobs or 0, limits)
        yield "log probabilities", "logprobs"
    if fields.continue_final_message or not fields.add_generation_prompt:
        yield "continuation of a message", "continue_final_message"
    if fields.documents:
        yield "documents", "documents"
    for message in fields.messages:
        parts = message.content if isinstance(message.content, list) else []
        if any(isinstance(part, dict) and part.get("type") != "text" for part in parts):
            yield "parts of a message but text", "messages"


def prompts_of(fields: ChatFields | CompletionFields, limits: Limits) -> tuple[tuple[int, ...], ...]:
    """The token ids of each prompt."""
    if isinstance(fields, ChatFields):
        if not fields.messages:
            message = "list index out of range"
            raise bad(message if limits.names_parameters else f"{message} {message}")
        return (tuple(tokens.encode_chat([message.model_dump() for message in fields.messages])),)
    given = fields.prompt or []
    if isinstance(given, str):
        return (tuple(tokens.encode(given)),)
    if not given or given[0] == []:
        raise bad("please provide at least one prompt")
    if all(isinstance(item, int) for item in given):
        return (_ids([item for item in given if isinstance(item, int)]),)
    prompts = tuple(_encoded(item) for item in given)
    if not all(prompts):
        raise bad("The decoder prompt cannot be empty")
    return prompts


def _encoded(item: object) -> tuple[int, ...]:
    return (
        tuple(tokens.encode(item)) if isinstance(item, str) else _ids(item if isinstance(item, list) else [])
    )


def _ids(given: Sequence[int]) -> tuple[int, ...]:
    for number in given:
        # A real engine does not look at what is below 0, and dies of it.
        if not 0 <= number < tokens.VOCABULARY:
            raise bad(f"Token id {number} is out of vocabulary")
    return tuple(given)


def _allowed_tokens(fields: RequestFields, *, longest: int, limits: Limits) -> int:
    """max_tokens after its checks; without it the answer may fill the context."""
    room, named = limits.max_model_len, limits.names_parameters
    if isinstance(fields, ChatFields):
        asked = fields.max_completion_tokens or fields.max_tokens
        if longest >= room:
            raise _too_long(room, longest, named=named, chat=True)
        if asked is not None and asked > room - longest:
            message = (
                f"'max_tokens' or 'max_completion_tokens' is too large: {asked}. This model's maximum context "
                f"length is {room} tokens and your request has {longest} input tokens ({asked} > {room} - {longest})."
            )
            raise bad_value(message, "max_tokens", asked, named=named, trailing_none=True)
        return room - longest if asked is None else asked
    asked = fields.max_tokens
    if asked is not None and asked > room and named:
        message = (
            f"'max_tokens' ({asked}) cannot be greater than the model's maximum context length ({room})."
        )
        raise bad_value(message, "max_tokens", asked, named=named)
    if longest > room - (asked or 0):
        raise _too_long(room - (asked or 0), longest, named=named, chat=False)
    return room - longest if asked is None else asked


def _too_long(room: int, longest: int, *, named: bool, chat: bool) -> Refused:
    message = (
        f"This model's maximum context length is {room} tokens. However, your request has {longest} input tokens. "
        "Please reduce the length of the input messages."
    )
    return bad_value(message, "input_tokens", longest, named=named, trailing_none=chat)
