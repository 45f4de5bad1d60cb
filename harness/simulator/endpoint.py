"""A simulated vLLM server: an ASGI application over one engine per replica.

Routes, status codes, headers and bodies are those of vLLM 0.12.0 and 0.15.1 as recorded; what those have and this has
not is answered with 501. The application is bare ASGI, because a framework's cost per event would show in what is
measured against it.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, MutableMapping
from typing import Any

from harness.forecast.step import StepModel
from harness.forecast.tables import link as link_of
from harness.simulator.answering import send_answer
from harness.simulator.asgi import (
    JSON,
    TEXT,
    Receive,
    Scope,
    Send,
    answer,
    header,
    read_body,
    refuse,
)
from harness.simulator.completion_body import AnswerWriter, compact
from harness.simulator.completion_request import Asked, Limits, check_model, prompts_of, read, read_fields
from harness.simulator.engine import Engine
from harness.simulator.engine_refusal import Refused, not_simulated
from harness.simulator.generation import plan_generations
from harness.simulator.openmetrics import EngineMetrics, render
from harness.simulator.routes import GUARDED, SIMULATED, Routes
from harness.simulator.sequences import Mailbox
from harness.simulator.startup import EndpointSpec, StartUp, plan_engine, start_up

__all__ = ["EndpointSpec", "StartUp", "VllmEndpoint", "start_up"]

EXPOSITION = b"text/plain; version=1.0.0; charset=utf-8"
# What the page's other address, with a slash at its end, calls the same text.
OLD_EXPOSITION = b"text/plain; version=0.0.4; charset=utf-8"
PREFLIGHT = (b"origin", b"access-control-request-method")


class VllmEndpoint:
    """One deployment's endpoint, from ``start`` to ``stop``. Mount ``app``; paths begin at the mount."""

    def __init__(self, spec: EndpointSpec, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.spec = spec
        plan = plan_engine(spec)
        settings = plan.settings.resolve(plan.model, plan.gpu)
        shards = plan.settings.tensor_parallel
        link = link_of(plan.gpu.link, shards) if shards > 1 else None
        self.engines = [
            Engine(
                StepModel(plan.model, plan.gpu, plan.settings, link=link),
                settings,
                blocks=plan.memory.blocks,
                metrics=EngineMetrics(spec.engine_version, max_model_len=plan.memory.max_model_len),
                clock=clock,
            )
            for _ in range(max(1, spec.replicas) * plan.settings.data_parallel)
        ]
        self._plan = plan
        self._block_size = settings.block_size
        names = _names(getattr(spec.arguments, "served_model_name", None)) or (spec.model,)
        self._limits = Limits(
            spec.engine_version,
            names,
            plan.memory.max_model_len,
            force_usage=_on(spec, "enable_force_include_usage"),
            parses_tools=_on(spec, "enable_auto_tool_choice"),
            trusts_templates=_on(spec, "trust_request_chat_template"),
        )
        self._routes = Routes(spec.engine_version)
        self._created = int(time.time())
        self._rng = random.Random(f"{spec.seed}/endpoint")
        self._serial = 0
        self._in_flight = 0
        self._details = _on(spec, "enable_prompt_tokens_details")
        self._tracks_load = _on(spec, "enable_server_load_tracking")
        self._logs_stats = not _on(spec, "disable_log_stats")
        self._tells_request_ids = _on(spec, "enable_request_id_headers")

    async def start(self) -> None:
        """Let the engines tick."""
        for engine in self.engines:
            await engine.start()

    async def stop(self) -> None:
        """Stop the engines; open streams end without ``[DONE]`` when their connection does."""
        for engine in self.engines:
            await engine.stop()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
        if self._tells_request_ids:
            send = _with_header(send, b"x-request-id", header(scope, b"x-request-id") or self._hex())
        method, methods = scope["method"], self._routes.methods(path)
        if method == "OPTIONS" and all(header(scope, name) for name in PREFLIGHT):
            await answer(send, 200, b"OK", TEXT)
        elif path.startswith(GUARDED) and method != "OPTIONS" and not self._is_authorized(scope):
            await answer(send, 401, b'{"error":"Unauthorized"}', JSON)
        elif path in ("/metrics", "/metrics/"):
            await answer(
                send, 200, self._metrics().encode(), EXPOSITION if path == "/metrics" else OLD_EXPOSITION
            )
        elif methods is None and self._routes.methods(path.removesuffix("/")) is not None:
            await self._redirect(scope, send)
        elif methods is None:
            await answer(send, 404, b'{"detail":"Not Found"}', JSON)
        elif method not in methods:
            allowed = [(b"allow", ", ".join(methods).encode())]
            await answer(send, 405, b'{"detail":"Method Not Allowed"}', JSON, headers=allowed)
        elif path not in SIMULATED:
            await refuse(send, not_simulated(f"route {path}"))
        elif method == "GET" or path == "/ping":
            await self._get(path, send)
        else:
            await self._post(path, scope, receive, send)

    async def _redirect(self, scope: Scope, send: Send) -> None:
        """To the same address without the slash at its end."""
        host = header(scope, b"host")
        location = f"{scope.get('scheme', 'http')}://{host}{str(scope['path']).removesuffix('/')}"
        await answer(send, 307, b"", None, headers=[(b"location", location.encode())])

    def _is_authorized(self, scope: Scope) -> bool:
        given = header(scope, b"authorization")
        scheme, _, key = given.partition(" ")
        return scheme.lower() == "bearer" and key == self.spec.api_key.reveal()

    async def _get(self, path: str, send: Send) -> None:
        if path == "/v1/models":
            await answer(send, 200, compact(self._models()).encode(), JSON)
        elif path == "/version":
            await answer(send, 200, compact({"version": self.spec.engine_version}).encode(), JSON)
        elif path == "/load":
            load = self._in_flight if self._tracks_load else 0
            await answer(send, 200, compact({"server_load": load}).encode(), JSON)
        else:
            await answer(send, 200, b"", None)

    def _metrics(self) -> str:
        if not self._logs_stats:
            return ""
        memory, settings = self._plan.memory, self._plan.settings
        return render(
            [(engine.metrics, engine.gauges()) for engine in self.engines],
            model_name=self._limits.model_names[0],
            created_unix=float(self._created),
            cache_config={
                "block_size": memory.block_size,
                "cache_dtype": settings.kv_cache_dtype,
                "enable_prefix_caching": settings.prefix_caching,
                "gpu_memory_utilization": settings.gpu_memory_utilization,
                "num_gpu_blocks": memory.blocks + 1,
            },
        )

    def _models(self) -> dict[str, Any]:
        permission = {
            "id": f"modelperm-{self._identifier()}", "object": "model_permission", "created": self._created,
            "allow_create_engine": False, "allow_sampling": True, "allow_logprobs": True,
            "allow_search_indices": False, "allow_view": True, "allow_fine_tuning": False, "organization": "*",
            "group": None, "is_blocking": False,
        }  # fmt: skip
        data = [
            {
                "id": name, "object": "model", "created": self._created, "owned_by": "vllm", "root": self.spec.model,
                "parent": None, "max_model_len": self._limits.max_model_len, "permission": [permission],
            }
            for name in self._limits.model_names
        ]  # fmt: skip
        return {"object": "list", "data": data}

    async def _post(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        raw = await read_body(receive)
        if raw is None:
            return
        if path == "/tokenize":
            await self._tokenize(raw, scope, send)
            return
        chat = path == "/v1/chat/completions"
        try:
            asked = read(raw, chat=chat, content_type=header(scope, b"content-type"), limits=self._limits)
        except Refused as refusal:
            await refuse(send, refusal)
            return
        given = header(scope, b"x-request-id") or asked.request_id
        identifier = f"{'chatcmpl' if chat else 'cmpl'}-{given or self._identifier()}"
        self._in_flight += 1
        try:
            await self._complete(asked, identifier, receive, send)
        finally:
            self._in_flight -= 1

    async def _tokenize(self, raw: bytes, scope: Scope, send: Send) -> None:
        try:
            body = read_fields(
                raw,
                chat=b'"messages"' in raw,
                content_type=header(scope, b"content-type"),
                limits=self._limits,
            )
            check_model(body.model, self._limits)
            ids = prompts_of(body, self._limits)[0]
        except Refused as refusal:
            await refuse(send, refusal)
            return
        found = {
            "count": len(ids), "max_model_len": self._limits.max_model_len, "tokens": list(ids), "token_strs": None,
        }  # fmt: skip
        await answer(send, 200, compact(found).encode(), JSON)

    async def _complete(self, asked: Asked, identifier: str, receive: Receive, send: Send) -> None:
        mailbox = Mailbox()
        block_size = self._block_size if self._plan.settings.prefix_caching else None
        self._serial += 1
        seed = f"{self.spec.seed}/{self._serial}"
        generations = plan_generations(asked, mailbox, seed=seed, block_size=block_size)
        engine = self._rng.choice(self.engines) if len(self.engines) > 1 else self.engines[0]
        writer = AnswerWriter(
            asked,
            identifier=identifier,
            created=int(time.time()),
            model=self._limits.model_names[0],
            cached_details=self._details,
        )
        await send_answer(
            writer, asked, generations, engine=engine, mailbox=mailbox, receive=receive, send=send
        )

    def _identifier(self) -> str:
        return self._hex()[:16]

    def _hex(self) -> str:
        return uuid.UUID(int=self._rng.getrandbits(128)).hex


def _with_header(send: Send, name: bytes, value: str) -> Send:
    """``send`` with one more header on every answer."""

    async def with_header(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (name, value.encode("latin-1"))]
        await send(message)

    return with_header


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value and value != "None" else ()
    return tuple(str(name) for name in value) if isinstance(value, list | tuple) else ()


def _on(spec: EndpointSpec, name: str) -> bool:
    return str(getattr(spec.arguments, name, None)) == "True"
