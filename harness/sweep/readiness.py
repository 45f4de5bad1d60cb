"""The proof that an endpoint serves, for every deployer: one real completion of one token."""

from __future__ import annotations

import httpx

from harness.load.records import Endpoint
from harness.secret import Secret

COMPLETION_TIMEOUT_S = 60.0


class NotAnswering(Exception):
    """The endpoint does not serve yet; the text says how."""


async def complete_once(http: httpx.AsyncClient, endpoint: Endpoint) -> None:
    """One real completion of one token; NotAnswering for anything but an answer without an error."""
    key = endpoint.key or Secret("")
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
    body = {"model": endpoint.model, "prompt": "ready", "max_tokens": 1}
    try:
        answer = await http.post(f"{endpoint.url}/completions", json=body, headers=headers)
        content = answer.json() if answer.status_code == 200 else None
    except (httpx.TransportError, ValueError) as error:
        raise NotAnswering(f"its URL does not answer: {type(error).__name__}") from error
    if not isinstance(content, dict) or "error" in content:
        raise NotAnswering(f"its URL answers {answer.status_code} to a completion")
