"""From an answer that is not a success to one of our errors. Reads every body shape the API was seen to send.

The API has changed its error bodies (``{"error"}``, then RFC 9457 with ``errors`` of strings or objects), and
gateways in front of it answer plain text and HTML; nothing here may fail on what it is given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from harness.errors import (
    ApiError,
    CapacityError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    RateLimitedError,
)
from harness.secret import Secret, redact
from harness.units import format_duration

MESSAGE_KEYS = ("detail", "title", "message", "error")
TEXT_LIMIT = 300
SKEW_WORTH_SAYING_S = 120.0
CAPACITY_OPERATIONS = frozenset({"create-deployment", "scale-deployment"})
HTML_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def refusal(
    operation: str,
    response: httpx.Response,
    *,
    subject: str = "",
    now: float,
    secrets: tuple[Secret, ...] = (),
) -> ApiError:
    """The error an answer stands for. ``now`` is this machine's Unix time, to be held against the Date header."""
    detail, errors = read_body(response)
    if response.status_code in (401, 403):
        skew = clock_skew_s(response, now=now)
        if skew is not None and abs(skew) >= SKEW_WORTH_SAYING_S:
            side = "ahead of" if skew > 0 else "behind"
            detail += f"; this machine's clock is {format_duration(abs(skew))} {side} the server's"
    error = _class_of(operation, response.status_code)(
        operation,
        status=response.status_code,
        detail=redact(detail, secrets),
        errors=[redact(text, secrets) for text in errors],
        subject=subject,
    )
    if isinstance(error, RateLimitedError):
        error.retry_after_s = retry_after_s(response, now=now)
    return error


def _class_of(operation: str, status: int) -> type[ApiError]:
    if status == 412 and operation in CAPACITY_OPERATIONS:
        return CapacityError
    by_status: dict[int, type[ApiError]] = {
        400: InvalidError,
        401: ForbiddenError,
        403: ForbiddenError,
        404: NotFoundError,
        409: ConflictError,
        422: InvalidError,
        429: RateLimitedError,
    }
    return by_status.get(status, ApiError)


def read_body(response: httpx.Response) -> tuple[str, list[str]]:
    """The body's message and its list of particulars; some message always."""
    # The declared charset is not asked: JSON is UTF-8, and a gateway's page may declare anything.
    text = response.content.decode("utf-8", "replace").strip()
    fallback = f"{response.reason_phrase or 'no reason given'} (empty answer)"
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        return _plain(text) or fallback, []
    if isinstance(document, str):
        return _plain(document) or fallback, []
    if isinstance(document, list):
        return response.reason_phrase or "refused", _particulars(document)
    if not isinstance(document, dict):
        return _plain(text) or fallback, []
    return _read_object(document, fallback=_plain(text) or fallback)


def _read_object(document: dict[str, Any], *, fallback: str) -> tuple[str, list[str]]:
    errors = document.get("errors")
    particulars = _particulars(errors if isinstance(errors, list) else [])
    names = document.get("deployments")
    if isinstance(names, list) and names:
        return (
            f"in use by the deployments {', '.join(repr(_plain(str(name))) for name in names)}",
            particulars,
        )
    for key in MESSAGE_KEYS:
        value = document.get(key)
        if isinstance(value, dict):
            value = value.get("message")
        if isinstance(value, str) and value.strip():
            return _plain(value), particulars
    return fallback, particulars


def _particulars(entries: Sequence[Any]) -> list[str]:
    """One text for each of ``errors[]``: a string, or an object's ``location: detail``."""
    found = []
    for entry in entries:
        if isinstance(entry, dict):
            place = next(
                (entry[key] for key in ("location", "pointer", "path") if isinstance(entry.get(key), str)), ""
            )
            what = next((entry[key] for key in MESSAGE_KEYS if isinstance(entry.get(key), str)), "")
            found.append(_plain(": ".join(part for part in (place, what) if part) or json.dumps(entry)))
        else:
            found.append(_plain(str(entry)))
    return found


def _plain(text: str) -> str:
    """One printable line of at most ``TEXT_LIMIT`` characters; of an HTML page its title."""
    if text.lstrip()[:1] == "<":
        title = HTML_TITLE.search(text)
        text = f"an HTML page{f' titled {title[1].strip()!r}' if title else ''}, not JSON"
    line = "".join(mark if mark.isprintable() else "\ufffd" for mark in " ".join(text.split()))
    return line if len(line) <= TEXT_LIMIT else f"{line[:TEXT_LIMIT]}…"


def clock_skew_s(response: httpx.Response, *, now: float) -> float | None:
    """How far this machine's clock is ahead of the server's Date header; None without a readable one."""
    server = _http_date(response.headers.get("date", ""))
    return None if server is None else now - server


def retry_after_s(response: httpx.Response, *, now: float) -> float | None:
    """The wait a server asks for, given in seconds or as a date; None without a readable one."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    date = _http_date(text)
    return None if date is None else max(0.0, date - now)


def _http_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
