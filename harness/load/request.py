"""Ready-made request bytes for chat and completions. Pure; the key goes into the header bytes and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness import __version__
from harness.errors import UsageError
from harness.load.target import Target
from harness.secret import Secret

PATHS = {"chat": "/chat/completions", "completions": "/completions"}
Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RequestForm:
    """What all requests of a stage have in common: the API, the model and the extras the endpoint honours.

    ``exact_length`` is ``ignore_eos``, ``min_tokens`` or None (the model may end early). ``extra`` is merged into the
    body last, and wins.
    """

    model: str
    api: str = "chat"
    streamed: bool = True
    usage: bool = True
    continuous_usage: bool = False
    token_ids: bool = False
    exact_length: str | None = "ignore_eos"
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.api not in PATHS:
            raise UsageError(f"unknown api {self.api!r}; one of: {', '.join(PATHS)}")


def request_body(
    form: RequestForm,
    *,
    prompt: str | Sequence[Message],
    output_tokens: int | None,
    cache_salt: str | None = None,
) -> dict[str, Any]:
    """The JSON body of one request. A text prompt becomes one user message on chat."""
    body: dict[str, Any] = {"model": form.model}
    if form.api == "chat":
        body["messages"] = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    else:
        body["prompt"] = prompt
    if output_tokens is not None:
        body["max_tokens"] = output_tokens
        if form.exact_length == "ignore_eos":
            body["ignore_eos"] = True
        elif form.exact_length == "min_tokens":
            body["min_tokens"] = output_tokens
    body["stream"] = form.streamed
    if form.streamed and (form.usage or form.continuous_usage):
        body["stream_options"] = {"include_usage": True}
        if form.continuous_usage:
            body["stream_options"]["continuous_usage_stats"] = True
    if form.token_ids:
        body["return_token_ids"] = True
    if cache_salt is not None:
        body["cache_salt"] = cache_salt
    body.update(form.extra)
    return body


def post_bytes(target: Target, *, api: str, body: Mapping[str, Any], key: Secret | None) -> bytes:
    """A whole POST request, headers and body."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    accept = "text/event-stream" if body.get("stream") else "application/json"
    head = _head(target, line=f"POST {target.request_path}{PATHS[api]}", accept=accept, key=key)
    return head + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content) + content


def get_bytes(target: Target, *, path: str, key: Secret | None, accept: str = "application/json") -> bytes:
    """A whole GET request of an absolute path."""
    path = target.request_path.removesuffix(target.path) + path
    return _head(target, line=f"GET {path}", accept=accept, key=key) + b"\r\n"


def _head(target: Target, *, line: str, accept: str, key: Secret | None) -> bytes:
    lines = [
        f"{line} HTTP/1.1",
        f"host: {target.host_header}",
        f"user-agent: inference-harness/{__version__}",
    ]
    # A compressed stream would arrive in the compressor's blocks, not as tokens.
    lines += [f"accept: {accept}", "accept-encoding: identity"]
    if target.proxy is not None and target.proxy.credentials is not None and target.tls is None:
        lines.append(f"proxy-authorization: {target.proxy.credentials.reveal()}")
    if key is not None and key:
        lines.append(f"authorization: Bearer {header_value(key)}")
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")


def header_value(key: Secret) -> str:
    """The key, if it can stand in a header; UsageError, without showing it, when it cannot."""
    text = key.reveal()
    if not text.isascii() or not text.isprintable() or text != text.strip():
        raise UsageError("the API key has spaces, line breaks or other characters a header cannot carry")
    return text
