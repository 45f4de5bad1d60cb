"""Whatever a server answers, the client returns a value or raises an error of ours in one line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.credentials import Credentials
from harness.exoscale.retries import RetryPolicy
from harness.secret import Secret

CREDENTIALS = Credentials("EXO", Secret("planted-secret"), "z", "https://api.example.com/v2")
CALLS: tuple[Callable[[ExoscaleClient], Any], ...] = (
    lambda client: client.create_deployment(name="n", model="m", gpu_type="g", gpu_count=1),
    lambda client: client.get_deployment("d"),
    lambda client: client.list_deployments(),
    lambda client: client.update_deployment("d", parameters=[]),
    lambda client: client.scale_deployment("d", replicas=0),
    lambda client: client.delete_deployment("d"),
    lambda client: client.get_deployment_logs("d"),
    lambda client: client.reveal_deployment_api_key("d"),
    lambda client: client.list_ai_instance_types(),
    lambda client: client.get_inference_engine_help(),
    lambda client: client.get_operation("o"),
    lambda client: client.list_zones(),
    lambda client: client.create_model("o/m"),
    lambda client: client.list_models(),
    lambda client: client.delete_model("m"),
    lambda client: client.list_quotas(),
    lambda client: client.get_quota("q"),
)


def words(text: str) -> list[str]:
    return text.split()


KEYS = words(
    "deployments models logs quotas zones instance-types parameters api-key id name state reason message reference"
    " error errors detail title model gpu-count replicas deployment-url family authorized resource limit"
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)
bodies = (
    st.binary(max_size=60) | st.just(b"[" * 100_000) | values.map(lambda value: json.dumps(value).encode())
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "retry-after": st.sampled_from(
            ["0", "-1", "x", "99999999999999999999", "Wed, 99 Foo 2026 25:61:61 GMT"]
        ),
        "date": st.sampled_from(["", "x", "Wed, 25 Feb 2026 06:13:20 GMT", "Wed, 25 Feb 99999 06:13:20 GMT"]),
        "content-type": st.sampled_from(
            ["text/html; charset=nonsense", "application/json; charset=utf-16", "x"]
        ),
    },
)


@settings(deadline=None, max_examples=300)
@given(call=st.sampled_from(CALLS), status=st.integers(200, 599), content=bodies, header=headers)
def test_a_value_or_an_error_of_ours(
    call: Callable[[ExoscaleClient], Any], status: int, content: bytes, header: dict[str, str]
) -> None:
    async def main() -> None:
        transport = httpx.MockTransport(
            lambda request: httpx.Response(status, content=content, headers=header)
        )
        policy = RetryPolicy(deadline_s=0.0)
        async with ExoscaleClient(CREDENTIALS, transport=transport, policy=policy) as client:
            try:
                await call(client)
            except HarnessError as error:
                lines.append(str(error))

    lines: list[str] = []
    asyncio.run(main())
    assert status < 300 or len(lines) == 1
    for line in lines:
        assert line.isprintable()
        assert "planted-secret" not in line
