"""Which paths a vLLM server has, and the methods of each: those that are simulated and those that are not. Pure."""

from __future__ import annotations

import re

from harness.forecast.settings import version_tuple

# Everything under this prefix wants the key.
GUARDED = "/v1"

SIMULATED: dict[str, tuple[str, ...]] = {
    "/v1/chat/completions": ("POST",),
    "/v1/completions": ("POST",),
    "/v1/models": ("GET",),
    "/health": ("GET",),
    "/ping": ("GET", "POST"),
    "/version": ("GET",),
    "/load": ("GET",),
    "/metrics": ("GET",),
    "/tokenize": ("POST",),
}
OTHERS: dict[str, tuple[str, ...]] = {
    "/classify": ("POST",),
    "/detokenize": ("POST",),
    "/docs": ("GET",),
    "/inference/v1/generate": ("POST",),
    "/invocations": ("POST",),
    "/is_paused": ("GET",),
    "/is_scaling_elastic_ep": ("POST",),
    "/openapi.json": ("GET",),
    "/pause": ("POST",),
    "/pooling": ("POST",),
    "/redoc": ("GET",),
    "/rerank": ("POST",),
    "/resume": ("POST",),
    "/scale_elastic_ep": ("POST",),
    "/score": ("POST",),
    "/v1/audio/transcriptions": ("POST",),
    "/v1/audio/translations": ("POST",),
    "/v1/embeddings": ("POST",),
    "/v1/messages": ("POST",),
    "/v1/rerank": ("POST",),
    "/v1/responses": ("POST",),
    "/v1/responses/{response_id}": ("GET",),
    "/v1/responses/{response_id}/cancel": ("POST",),
    "/v1/score": ("POST",),
    "/v2/rerank": ("POST",),
}
SINCE_0_13: dict[str, tuple[str, ...]] = {
    "/v1/chat/completions/render": ("POST",),
    "/v1/completions/render": ("POST",),
}


class Routes:
    """The routes of one engine version."""

    def __init__(self, engine_version: str) -> None:
        others = OTHERS | (SINCE_0_13 if version_tuple(engine_version) >= (0, 13) else {})
        self._plain = {path: methods for path, methods in {**SIMULATED, **others}.items() if "{" not in path}
        self._patterns = [
            (re.compile(re.sub(r"{\w+}", "[^/]+", path)), methods)
            for path, methods in others.items()
            if "{" in path
        ]

    def methods(self, path: str) -> tuple[str, ...] | None:
        """The methods of a path; None where there is nothing."""
        found = self._plain.get(path)
        if found is not None:
            return found
        return next((methods for pattern, methods in self._patterns if pattern.fullmatch(path)), None)
