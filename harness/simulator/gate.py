"""The way from a deployment's URL to its engine, as a raw ASGI application: no framework on the streaming path."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from harness.load.probe import SIMULATED_HEADER
from harness.simulator.cloud import Cloud
from harness.simulator.faults import ENDPOINT, Fault, Rule
from harness.simulator.records import DeploymentRecord
from harness.simulator.streams import WHOLE_ANSWERS, FaultyStream, Message, Scope, Send, answer_instead

PREFIX = "/deployments/"
MARK = (SIMULATED_HEADER.encode(), b"harness")
Receive = Callable[[], Awaitable[Message]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gate:
    """Sends ``/deployments/ID/…`` to the deployment's engine and everything else to ``control``."""

    def __init__(self, cloud: Cloud, control: Application) -> None:
        self._cloud = cloud
        self._control = control
        self._has_faults = cloud.faults.concerns(*ENDPOINT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path: str = scope["path"]
        if not path.startswith(PREFIX):
            await self._control(scope, receive, send)
            return
        deployment_id = path[len(PREFIX) :].partition("/")[0]
        record = self._cloud.deployments.get(deployment_id)
        if record is None:
            await _answer(send, 404, {"error": "no such deployment"})
            return
        if record.endpoint is None or self._cloud.clock.now() < record.url_from:
            await _answer(send, 503, {"error": "the deployment does not serve yet"})
            return
        rule = self._draw(record) if self._has_faults and scope["method"] == "POST" else None
        if rule is not None and rule.fault in WHOLE_ANSWERS:
            await answer_instead(rule, send)
            return
        if rule is not None and rule.fault is Fault.ENGINE_RESTART:
            await self._cloud.restart_engine(record, down_s=rule.seconds)
            await _answer(send, 503, {"error": "the engine has ended"})
            return
        if rule is not None:
            send = FaultyStream(rule, send=send, scope=scope, clock=self._cloud.clock)
        if (
            scope["method"] == "GET"
        ):  # not of a stream: what is measured there should pass through nothing more
            send = _marked(send)
        inner = {**scope, "root_path": f"{PREFIX}{deployment_id}"}
        await record.endpoint.app(inner, receive, send)

    def _draw(self, record: DeploymentRecord) -> Rule | None:
        subjects = (record.name, record.gpu_type)
        return self._cloud.faults.draw(*ENDPOINT, operation="inference", subjects=subjects)


def _marked(send: Send) -> Send:
    """Has an answer say that its endpoint is simulated, for whoever measures one that he did not start."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], MARK]}
        await send(message)

    return marked


async def _answer(send: Send, status: int, document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
