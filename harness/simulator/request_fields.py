"""The JSON bodies of chat and completion requests: fields and types as vLLM's own API document gives them. Pure.

What a body of another shape is answered with is pydantic's own wording, as with the engine. Fields that nobody knows
are let through, as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from harness.simulator.engine_refusal import FieldRefused

LONG = 2**63
COMPLETION_DEFAULT_TOKENS = 16
TOOL_CHOICES = ("none", "auto", "required")


class StreamOptions(BaseModel):
    """What a stream tells of usage: at its end, in every event."""

    include_usage: bool | None = True
    continuous_usage_stats: bool | None = False


class ResponseFormat(BaseModel):
    """The form the answer has to have."""

    type: Literal["text", "json_object", "json_schema", "structural_tag"]


class RequestFields(BaseModel):
    """What chats and completions have in common. Validate with the context ``{"named": bool}``: see FieldRefused."""

    model_config = ConfigDict(extra="allow")

    model: str | None = None
    frequency_penalty: float | None = 0.0
    logit_bias: dict[str, float] | None = None
    max_tokens: int | None = None
    presence_penalty: float | None = 0.0
    seed: Annotated[int, Field(ge=-LONG, le=LONG - 1)] | None = None
    stop: str | list[str] | None = []
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None
    use_beam_search: bool = False
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    length_penalty: float = 1.0
    stop_token_ids: list[int] | None = []
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    min_tokens: int = 0
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    truncate_prompt_tokens: Annotated[int, Field(ge=-1, le=LONG - 1)] | None = None
    allowed_token_ids: list[int] | None = None
    prompt_logprobs: int | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: dict[str, Any] | None = None
    priority: int = 0
    request_id: str | None = None
    logits_processors: list[str | dict[str, Any]] | None = None
    return_tokens_as_token_ids: bool | None = None
    return_token_ids: bool | None = None
    cache_salt: str | None = None
    kv_transfer_params: dict[str, Any] | None = None

    is_chat: ClassVar[bool]

    @model_validator(mode="before")
    @classmethod
    def _check_body(cls, body: Any, info: ValidationInfo) -> Any:
        """The checks of the whole, which come before those of each field; the first that fails is the only one told."""
        if isinstance(body, dict):
            named = bool((info.context or {}).get("named"))
            try:
                cls._check(body)
            except FieldRefused as refusal:
                raise refusal if named else ValueError(refusal.args[0]) from None
        return body

    @classmethod
    def _check(cls, body: Mapping[str, Any]) -> None:
        salt = body.get("cache_salt")
        if salt is not None and (not isinstance(salt, str) or not salt):
            raise ValueError("Parameter 'cache_salt' must be a non-empty string if provided.")

    @classmethod
    def _check_stream_options(cls, body: Mapping[str, Any]) -> None:
        if body.get("stream_options") and not body.get("stream"):
            raise FieldRefused("Stream options can only be defined when `stream=True`.", "stream_options")

    @classmethod
    def _check_prompt_logprobs(cls, body: Mapping[str, Any]) -> None:
        asked = body.get("prompt_logprobs")
        if not isinstance(asked, int):
            return
        if body.get("stream") and (asked > 0 or asked == -1):
            raise FieldRefused("`prompt_logprobs` are not available when `stream=True`.", "prompt_logprobs")
        if asked < -1:
            raise FieldRefused("`prompt_logprobs` must be a positive value or -1.", "prompt_logprobs", asked)


class CompletionFields(RequestFields):
    """A request to complete a text, token ids, or several of either."""

    prompt: list[int] | list[list[int]] | str | list[str] | None = None
    echo: bool | None = False
    logprobs: int | None = None
    max_tokens: int | None = COMPLETION_DEFAULT_TOKENS
    n: int = 1
    suffix: str | None = None
    prompt_embeds: str | list[str] | None = None
    add_special_tokens: bool = True

    is_chat = False

    @classmethod
    def _check(cls, body: Mapping[str, Any]) -> None:
        super()._check(body)
        if body.get("prompt") in (None, "") and body.get("prompt_embeds") in (None, []):
            raise ValueError("Either prompt or prompt_embeds must be provided and non-empty.")
        cls._check_stream_options(body)
        cls._check_prompt_logprobs(body)
        asked = body.get("logprobs")
        if isinstance(asked, int) and asked < 0:
            raise FieldRefused("`logprobs` must be a positive value.", "logprobs", asked)


class Message(BaseModel):
    """One message of a chat. Its role may be of its own; its content is a text or a list of parts."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str | list[str | dict[str, Any]] | None = None


class ChatFields(RequestFields):
    """A request to continue a conversation."""

    messages: list[Message]
    logprobs: bool | None = False
    top_logprobs: int | None = 0
    max_completion_tokens: int | None = None
    n: int | None = 1
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = "none"
    reasoning_effort: Literal["low", "medium", "high"] | None = None
    include_reasoning: bool = True
    parallel_tool_calls: bool | None = True
    bad_words: list[str] = []
    echo: bool = False
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    add_special_tokens: bool = False
    documents: list[dict[str, str]] | None = None
    chat_template: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    mm_processor_kwargs: dict[str, Any] | None = None

    is_chat = True

    @classmethod
    def _check(cls, body: Mapping[str, Any]) -> None:
        super()._check(body)
        if body.get("continue_final_message") and body.get("add_generation_prompt"):
            raise ValueError("Cannot set both `continue_final_message` and `add_generation_prompt` to True.")
        cls._check_tools(body)
        cls._check_prompt_logprobs(body)
        asked = body.get("top_logprobs")
        if isinstance(asked, int) and asked < -1:
            raise FieldRefused("`top_logprobs` must be a positive value or -1.", "top_logprobs", asked)
        if isinstance(asked, int) and asked and not body.get("logprobs"):
            raise FieldRefused("when using `top_logprobs`, `logprobs` must be set to true.", "top_logprobs")
        cls._check_stream_options(body)

    @classmethod
    def _check_tools(cls, body: Mapping[str, Any]) -> None:
        choice = body.get("tool_choice")
        if choice in (None, "none"):
            return
        if body.get("tools") is None:
            raise ValueError("When using `tool_choice`, `tools` must be set.")
        if choice not in TOOL_CHOICES and not isinstance(choice, dict):
            raise ValueError(
                f'Invalid value for `tool_choice`: {choice}! Only named tools, "none", "auto" or "required" '
                "are supported."
            )
