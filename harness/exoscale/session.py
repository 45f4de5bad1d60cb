"""One signed conversation with one zone: sends, repeats, and turns every outcome into a value or our error."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from functools import cache
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from harness import __version__
from harness.errors import NetworkError, PlatformError
from harness.exoscale.auth import ExoscaleAuth
from harness.exoscale.credentials import Credentials
from harness.exoscale.refusals import read_body, refusal
from harness.exoscale.retries import RetryPolicy, send_repeatedly
from harness.exoscale.urls import is_loopback
from harness.secret import Secret

Answer = TypeVar("Answer", bound=BaseModel)
CONNECT_TIMEOUT_S = 10.0
SECRET_ANSWERS = frozenset({"reveal-deployment-api-key"})  # whose bodies are never quoted


@cache
def certificates(*, trust_env: bool) -> ssl.SSLContext:
    """The authorities that clients trust, those of the environment included; read once.

    Reading them keeps an event loop from its work for 25 ms, and a sweep opens a client for every deployment.
    """
    return httpx.create_ssl_context(trust_env=trust_env)


class ApiSession:
    """An open connection pool to one endpoint. Close it, or use it as an async context manager.

    ``transport`` replaces the network in tests; ``timeout_s`` bounds each single try, the policy all of them.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        policy: RetryPolicy | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        self.credentials = credentials
        self._policy = policy or RetryPolicy()
        self._auth = ExoscaleAuth(credentials.key, credentials.secret, clock=self._policy.unix_clock)
        trust_env = not is_loopback(credentials.endpoint)
        self._http = httpx.AsyncClient(
            transport=transport,
            verify=certificates(trust_env=trust_env),
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
            headers={"User-Agent": f"inference-harness/{__version__}", "Accept": "application/json"},
            follow_redirects=False,
            trust_env=trust_env,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections; the session is of no use afterwards."""
        await self._http.aclose()

    async def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        answer: type[Answer],
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        subject: str = "",
        signed: bool = True,
        hidden: tuple[Secret, ...] = (),
    ) -> Answer:
        """The answer to one operation as ``answer``.

        ApiError for a refusal, NetworkError for none, PlatformError for a success that cannot be read.
        ``hidden`` are secrets in the body, kept out of every message.
        """
        response = await self._send(
            operation, method, path, params=params, body=body, subject=subject, signed=signed, hidden=hidden
        )
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as error:
            raise self._unreadable(operation, response, error) from error

    async def call_raw(
        self, operation: str, path: str, *, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The answer of a GET as the JSON object it is, for documents that another room reads."""
        response = await self._send(
            operation, "GET", path, params=params, body=None, subject="", signed=True, hidden=()
        )
        try:
            document = json.loads(response.content)
        except (ValueError, RecursionError) as error:
            raise self._unreadable(operation, response, None) from error
        if not isinstance(document, dict):
            raise self._unreadable(operation, response, None)
        return document

    async def _send(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        subject: str,
        signed: bool,
        hidden: tuple[Secret, ...],
    ) -> httpx.Response:
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        url = self.credentials.endpoint + path

        async def send() -> httpx.Response:
            return await self._http.request(
                method,
                url,
                params=params or None,
                content=content,
                headers={"Content-Type": "application/json"} if content is not None else None,
                auth=self._auth if signed else None,
            )

        try:
            response = await send_repeatedly(
                send, policy=self._policy, repeatable=method in ("GET", "DELETE")
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NetworkError(self._no_answer(operation, error, subject=subject)) from error
        if response.is_success:
            return response
        raise refusal(
            operation,
            response,
            subject=subject,
            now=self._policy.unix_clock(),
            secrets=(self.credentials.secret, *hidden),
        )

    def _no_answer(self, operation: str, error: Exception, *, subject: str) -> str:
        """What, about what, from where and why, in one line."""
        words: dict[type[Exception], str] = {
            httpx.ConnectTimeout: "no connection in time",
            httpx.ReadTimeout: "no answer in time",
            httpx.WriteTimeout: "the request could not be sent in time",
            httpx.RemoteProtocolError: "the connection was closed before an answer",
        }
        reason = words.get(type(error)) or str(error) or type(error).__name__
        named = f" {subject}" if subject else ""
        return f"{operation}{named} got no answer from '{self.credentials.endpoint}': {reason}"

    def _unreadable(
        self, operation: str, response: httpx.Response, error: ValidationError | None
    ) -> PlatformError:
        where = ""
        if error is not None and (first := error.errors(include_input=False, include_url=False)[0])["loc"]:
            where = f" at '{'.'.join(str(part) for part in first['loc'])}': {first['msg'].lower()}"
        if not where and operation not in SECRET_ANSWERS:
            where = f": {read_body(response)[0]}" if response.content else ": an empty body"
        return PlatformError(f"{operation} answered {response.status_code} with an unreadable body{where}")
