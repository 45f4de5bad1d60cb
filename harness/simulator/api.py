"""The simulated API over HTTP: routes, signatures, dialects, and the faults that strike a call.

Every request passes ``Api._serve``: count, fault before, signature, effect, fault after, answer.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from harness.secret import Secret
from harness.simulator.cloud import Cloud
from harness.simulator.faults import AFTER_CALL, BEFORE_CALL, Fault, Rule
from harness.simulator.operations import OPERATIONS, Call, Handler
from harness.simulator.refusal import Refusal
from harness.simulator.signing import is_genuine

HTML_PAGE = "<html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>"


class Api:
    """The control plane of one zone. ``keys`` maps API keys to their secrets; ``seen`` counts requests by operation."""

    def __init__(
        self, cloud: Cloud, *, keys: Mapping[str, Secret], unix_clock: Callable[[], float] = time.time
    ) -> None:
        self.cloud = cloud
        self.seen: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()
        self._keys = keys
        self._unix_clock = unix_clock

    def routes(self) -> list[Route]:
        """Every operation's route under ``/v2``."""
        return [
            Route(f"/v2{path}", self._endpoint(operation, handler), methods=[method])
            for method, path, operation, handler in OPERATIONS
        ]

    def _endpoint(self, operation: str, handler: Handler) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            response = await self._serve(request, operation, handler)
            response.headers.setdefault("date", formatdate(self._unix_clock(), usegmt=True))
            return response

        return endpoint

    async def _serve(self, request: Request, operation: str, handler: Handler) -> Response:
        self.seen[operation] += 1
        body = await request.body()
        subjects = self._subjects(request.path_params, body)
        try:
            struck = self.cloud.faults.draw(*BEFORE_CALL, operation=operation, subjects=subjects)
            if struck is not None and (answer := await self._strike(struck, request)) is not None:
                return answer
            if operation != "list-zones":
                self._check_signature(request, body)
            document = handler(Call(self.cloud, request.path_params, request.query_params, body))
            struck = self.cloud.faults.draw(*AFTER_CALL, operation=operation, subjects=subjects)
            if struck is not None and (answer := await self._strike(struck, request)) is not None:
                return answer
            return _json(200, document)
        except Refusal as refusal:
            status, document = refusal.body(self.cloud.settings.dialect)
            self.refused[status] += 1
            return _json(status, document)

    def _check_signature(self, request: Request, body: bytes) -> None:
        genuine = is_genuine(
            request.headers.get("authorization"),
            method=request.method,
            raw_path=request.scope["raw_path"],
            query=request.scope["query_string"],
            body=body,
            keys=self._keys,
            now=self._unix_clock(),
        )
        if not genuine:
            message = {"message": "Invalid request signature"}
            raise Refusal(403, message["message"], document=message)

    async def _strike(self, rule: Rule, request: Request) -> Response | None:
        """The answer a fault gives in place of the real one; None when it only delays."""
        if rule.fault is Fault.SLOW_ANSWER:
            await self.cloud.clock.sleep(rule.seconds)
            return None
        if rule.fault in (Fault.RESET_BEFORE, Fault.RESET_AFTER):
            reset_connection(request.scope)
            return Response(status_code=500)
        if rule.fault is Fault.RATE_LIMITED:
            wait_s = rule.retry_after_s
            headers = {} if wait_s is None else {"retry-after": str(int(wait_s))}
            return _json(429, {"error": "Too many requests"}, headers=headers)
        if rule.fault is Fault.BUSY:
            raise Refusal(409, "Another operation on the deployment is in progress.")
        if rule.fault is Fault.FORBIDDEN:
            raise Refusal(403, "The API key has been revoked.")
        if rule.fault is Fault.CLOCK_SKEW:
            date = formatdate(self._unix_clock() + rule.seconds, usegmt=True)
            return _json(403, {"message": "Invalid request signature"}, headers={"date": date})
        return self._server_error(rule)

    def _server_error(self, rule: Rule) -> Response:
        """A 5xx with the body the rule gives; by default the status's own dialect, HTML for 502."""
        if rule.body is not None:
            return Response(rule.body, status_code=rule.status)
        if rule.status == 502:
            page = HTML_PAGE.format(status=502, title="Bad Gateway")
            return Response(page, status_code=502, media_type="text/html")
        status, document = Refusal(rule.status, "internal failure").body(self.cloud.settings.dialect)
        return _json(status, document)

    def _subjects(self, path: Mapping[str, str], body: bytes) -> tuple[str, ...]:
        """The deployment's name and GPU family a call is about, as far as it says."""
        record = self.cloud.deployments.get(path.get("id", ""))
        if record is not None:
            return (record.name, record.gpu_type)
        operation = self.cloud.operations.get(path.get("id", ""))
        if operation is not None and (owner := self.cloud.deployments.get(operation.subject_id)) is not None:
            return (owner.name, owner.gpu_type)
        try:
            document = json.loads(body) if body else None
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            return ()
        return tuple(str(document[key]) for key in ("name", "gpu-type") if key in document)


def reset_connection(scope: Mapping[str, Any]) -> None:
    """Ends the request's TCP connection with a reset instead of an answer."""
    transport = scope["extensions"]["transport"]["transport"]
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _json(status: int, document: Any, *, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        json.dumps(document), status_code=status, media_type="application/json", headers=dict(headers or {})
    )
