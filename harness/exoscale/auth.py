"""Request signing, EXO2-HMAC-SHA256. Signs the exact bytes sent; the clock is injected.

The signed message has five segments joined by newlines: ``METHOD path``, the body, the values of the signed
query parameters, the signed headers (none here) and the Unix time at which the signature expires.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Generator
from urllib.parse import parse_qs

import httpx

from harness.secret import Secret

SCHEME = "EXO2-HMAC-SHA256"
LIFETIME_S = 600


def authorization(
    *, key: str, secret: Secret, method: str, path: str, query: str, body: bytes, expires: int
) -> str:
    """The value of the ``Authorization`` header.

    ``path`` is the escaped path with its ``/v2``, ``query`` the escaped text after ``?``. Parameters given more
    than once are not signed; the others are signed decoded, in the order of their names.
    """
    values = {
        name: found[0]
        for name, found in sorted(parse_qs(query, keep_blank_values=True).items())
        if len(found) == 1
    }
    message = b"\n".join(
        (
            f"{method.upper()} {path}".encode(),
            body,
            "".join(values.values()).encode(),
            b"",
            str(expires).encode(),
        )
    )
    digest = hmac.new(secret.reveal().encode(), message, hashlib.sha256).digest()
    signed = f",signed-query-args={';'.join(values)}" if values else ""
    signature = base64.b64encode(digest).decode()
    return f"{SCHEME} credential={key}{signed},expires={expires},signature={signature}"


class ExoscaleAuth(httpx.Auth):
    """Signs each request just before it is sent, with a life of ten minutes from ``clock``'s Unix time."""

    requires_request_body = True

    def __init__(self, key: str, secret: Secret, *, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._secret = secret
        self._clock = clock

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Adds the header; one request, no second try."""
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        request.headers["Authorization"] = authorization(
            key=self._key,
            secret=self._secret,
            method=request.method,
            path=path,
            query=query,
            body=request.content,
            expires=int(self._clock()) + LIFETIME_S,
        )
        yield request
