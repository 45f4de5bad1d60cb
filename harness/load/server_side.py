"""The server's own figures for a stage, from what its counters grew by: to be set beside the client's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerSide:
    """What vLLM counted while a stage ran, warm-up and drain included; None where it does not say.

    Its TTFT begins when the engine's front end has the request, so it lacks the network and some of the front end's
    work; ``queue_mean_s`` is the wait for a place in the batch. ``cache_hit_share`` is of prompt tokens looked up.
    """

    prompt_tokens: int | None
    generation_tokens: int | None
    ttft_mean_s: float | None
    itl_mean_s: float | None
    queue_mean_s: float | None
    preemptions: int | None
    cache_hit_share: float | None


def server_side(grown: Mapping[str, float]) -> ServerSide:
    """The figures behind the growth of ``/metrics``."""

    def count(name: str) -> int | None:
        value = grown.get(f"vllm:{name}_total")
        return None if value is None else round(value)

    def mean(name: str) -> float | None:
        total, number = grown.get(f"vllm:{name}_sum"), grown.get(f"vllm:{name}_count")
        return total / number if total is not None and number else None

    hits, queries = grown.get("vllm:prefix_cache_hits_total"), grown.get("vllm:prefix_cache_queries_total")
    return ServerSide(
        prompt_tokens=count("prompt_tokens"),
        generation_tokens=count("generation_tokens"),
        ttft_mean_s=mean("time_to_first_token_seconds"),
        itl_mean_s=mean("inter_token_latency_seconds"),
        queue_mean_s=mean("request_queue_time_seconds"),
        preemptions=count("num_preemptions"),
        cache_hit_share=hits / queries if hits is not None and queries else None,
    )
