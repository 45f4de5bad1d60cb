"""The bytes of an answer: events of a stream, or one JSON document. Pure.

What does not change from token to token is serialised once per choice; a token costs a few concatenations. The
bodies are those of vLLM 0.12.0 and 0.15.1, key for key, which are alike.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from harness.simulator.completion_request import Asked
from harness.simulator.sequences import Generation

DONE = b"data: [DONE]\n\n"


def compact(value: object) -> str:
    """JSON without spaces, as the engine writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class AnswerWriter:
    """Writes the answer to one request: ``identifier`` is its id, ``created`` Unix seconds."""

    def __init__(
        self,
        asked: Asked,
        *,
        identifier: str,
        created: int,
        model: str,
        cached_details: bool,
    ) -> None:
        self._asked = asked
        self._details = cached_details
        self._prompt_tokens = [len(prompt) for prompt in asked.prompts]
        kind = "chat.completion.chunk" if asked.chat else "text_completion"
        head = {"id": identifier, "object": kind, "created": created, "model": model}
        self._head = head
        self._opening = f'data: {compact(head)[:-1]},"choices":[{{"index":'
        # The usual event, one token in the middle of a choice, is put together from these.
        self._plain = not asked.continuous_usage and not asked.return_token_ids
        key = '"delta":{"content":"' if asked.chat else '"text":"'
        self._before = [
            f"{self._opening}{index},{key}".encode() for index in range(len(asked.prompts) * asked.n)
        ]
        self._after = (
            b'","reasoning_content":null},"logprobs":null,"finish_reason":null,"token_ids":null}]}\n\n'
            if asked.chat
            else b'","logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,'
            b'"token_ids":null}],"usage":null}\n\n'
        )

    @property
    def wants_usage_event(self) -> bool:
        """True when the stream ends with a usage event."""
        return self._asked.include_usage

    def roles(self, choices: int) -> bytes:
        """The events before a chat's first token, one per choice."""
        prompt = list(self._asked.prompts[0]) if self._asked.return_token_ids else None
        usage = f'"usage":{compact(self._running(0, 0))},' if self._asked.continuous_usage else ""
        return "".join(
            f'{self._opening}{index},"delta":{{"role":"assistant","content":"","reasoning_content":null}},'
            f'"logprobs":null,"finish_reason":null}}],{usage}"prompt_token_ids":{compact(prompt)}}}\n\n'
            for index in range(choices)
        ).encode()

    def tokens(self, index: int, generation: Generation, first: int, last: int) -> bytes:
        """The event with tokens ``first`` to ``last`` (exclusive) of a choice.

        Generated text has no character that JSON escapes, so it goes in as it is.
        """
        if self._plain and last == first + 1 and last < generation.length and first:
            return b"".join((self._before[index], generation.texts[first].encode(), self._after))
        text = f'"{"".join(generation.texts[first:last])}"'
        ids = compact(generation.ids[first:last]) if self._asked.return_token_ids else "null"
        ending = "null"
        stopped = ""
        if generation.finished and last == generation.length:
            ending = f'"{generation.finish_reason}"'
            stopped = f',"stop_reason":{compact(generation.stop_reason)}'
        usage = compact(self._running(index, last)) if self._asked.continuous_usage else "null"
        if self._asked.chat:
            tail = f',"usage":{usage}' if self._asked.continuous_usage else ""
            event = (
                f'{self._opening}{index},"delta":{{"content":{text},"reasoning_content":null}},"logprobs":null,'
                f'"finish_reason":{ending}{stopped},"token_ids":{ids}}}]{tail}}}\n\n'
            )
        else:
            prompt = "null"
            if self._asked.return_token_ids and first == 0:
                prompt = compact(list(self._asked.prompts[index // self._asked.n]))
            event = (
                f'{self._opening}{index},"text":{text},"logprobs":null,"finish_reason":{ending},"stop_reason":'
                f'{compact(generation.stop_reason) if stopped else "null"},"prompt_token_ids":{prompt},'
                f'"token_ids":{ids}}}],"usage":{usage}}}\n\n'
            )
        return event.encode()

    def usage_event(self, generations: Sequence[Generation]) -> bytes:
        """The event before the end that counts everything."""
        usage = self._total(generations)
        if usage["prompt_tokens_details"] is None:
            del usage["prompt_tokens_details"]
        return f"data: {compact({**self._head, 'choices': [], 'usage': usage})}\n\n".encode()

    def document(self, generations: Sequence[Generation]) -> bytes:
        """The whole answer, not streamed."""
        head = {**self._head, "object": "chat.completion" if self._asked.chat else "text_completion"}
        choices = [self._choice(index, generation) for index, generation in enumerate(generations)]
        body: dict[str, Any] = {**head, "choices": choices, "service_tier": None, "system_fingerprint": None}
        body["usage"] = self._total(generations)
        if self._asked.chat:
            shown = list(self._asked.prompts[0]) if self._asked.return_token_ids else None
            body |= {"prompt_logprobs": None, "prompt_token_ids": shown}
        body["kv_transfer_params"] = None
        return compact(body).encode()

    def _choice(self, index: int, generation: Generation) -> dict[str, Any]:
        text = "".join(generation.texts)
        ids = generation.ids if self._asked.return_token_ids else None
        ending = {
            "logprobs": None,
            "finish_reason": generation.finish_reason,
            "stop_reason": generation.stop_reason,
            "token_ids": ids,
        }
        if self._asked.chat:
            message: dict[str, Any] = {
                "role": "assistant", "content": text, "refusal": None, "annotations": None, "audio": None,
                "function_call": None, "tool_calls": [], "reasoning": None, "reasoning_content": None,
            }  # fmt: skip
            return {"index": index, "message": message, **ending}
        prompt = list(self._asked.prompts[index // self._asked.n]) if self._asked.return_token_ids else None
        return {"index": index, "text": text, **ending, "prompt_logprobs": None, "prompt_token_ids": prompt}

    def _running(self, index: int, generated: int) -> dict[str, Any]:
        """Usage so far of one choice."""
        prompt = self._prompt_tokens[index // self._asked.n]
        usage: dict[str, Any] = {
            "prompt_tokens": prompt,
            "total_tokens": prompt + generated,
            "completion_tokens": generated,
        }
        if not self._asked.chat:
            usage["prompt_tokens_details"] = None
        return usage

    def _total(self, generations: Sequence[Generation]) -> dict[str, Any]:
        prompt = sum(self._prompt_tokens)
        generated = sum(generation.available for generation in generations)
        cached = sum(generation.request.cached_tokens for generation in generations[:: self._asked.n])
        return {
            "prompt_tokens": prompt,
            "total_tokens": prompt + generated,
            "completion_tokens": generated,
            "prompt_tokens_details": {"cached_tokens": cached} if self._details and cached else None,
        }
