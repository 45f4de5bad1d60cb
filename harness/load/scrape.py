"""The server's own ``/metrics``, where it shows them: what its counters grew by while we loaded it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import httpx

from harness.load.records import Endpoint, StageResult

# Counters and histogram parts grow; of the rest these are worth a look as they stand.
GROWING = ("_total", "_sum", "_count")
GAUGES = ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc")
# When the engine's counters began: another instant is another life of it, even if they have grown past the old ones.
BIRTH = "vllm:generation_tokens_created"


def parse_metrics(text: str) -> dict[str, float]:
    """Prometheus text as name to value, summed over labels; buckets, comments and lines that are none left out."""
    found: dict[str, float] = defaultdict(float)
    for line in text.splitlines():
        name, _, rest = line.partition("{") if "{" in line else line.partition(" ")
        if not name.startswith("vllm:") or not (name.endswith(GROWING) or name in (*GAUGES, BIRTH)):
            continue
        try:
            value = float(rest.rpartition("}")[2].split()[0] if "}" in rest else rest.split()[0])
        except (ValueError, IndexError):
            continue
        found[name] += value
    return dict(found)


def growth(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float] | None:
    """What grew by how much, gauges as they stand after; None when a counter went back or began anew: a restart."""
    grown: dict[str, float] = {}
    if BIRTH in before and BIRTH in after and before[BIRTH] != after[BIRTH]:
        return None
    for name, value in after.items():
        if name == BIRTH:
            continue
        if name in GAUGES:
            grown[name] = value
            continue
        grown[name] = value - before.get(name, 0.0)
        if grown[name] < 0:
            return None
    return grown


def note_growth(
    result: StageResult, before: Mapping[str, float] | None, after: Mapping[str, float] | None
) -> None:
    """Put what the server counted during a stage into its result, or that its counters went back."""
    if before is not None and after is not None:
        result.server_metrics = growth(before, after)
        result.server_restarted = result.server_metrics is None


async def read_metrics(
    endpoint: Endpoint, *, timeout_s: float = 5.0, transport: httpx.AsyncBaseTransport | None = None
) -> dict[str, float] | None:
    """The endpoint's metrics now; None when it does not show them, as behind most gateways.

    ``transport`` stands in for the network.
    """
    headers = {"Authorization": f"Bearer {endpoint.key.reveal()}"} if endpoint.key else {}
    url = endpoint.url.rstrip("/").removesuffix("/v1") + "/metrics"
    # Without TLS there is no certificate to verify, and the system's take 65 ms to read, on the sweep's own loop.
    verify = (endpoint.ca_file or True) if url.startswith("https:") else False
    try:
        async with httpx.AsyncClient(timeout=timeout_s, verify=verify, transport=transport) as client:
            answer = await client.get(url, headers=headers)
    except (httpx.HTTPError, OSError):
        return None
    found = parse_metrics(answer.text) if answer.status_code == 200 else {}
    return found or None
