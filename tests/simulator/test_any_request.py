"""Whatever a client sends, the simulated API answers with a status of its document and JSON, never a 500."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from harness.exoscale.auth import ExoscaleAuth
from harness.secret import Secret
from harness.simulator.api import Api
from harness.simulator.clock import SimulatedClock
from harness.simulator.cloud import Cloud, Settings
from harness.simulator.faults import FaultPlan
from harness.simulator.judge import packaged_documents
from harness.simulator.operations import OPERATIONS
from harness.simulator.refusal import Dialect

DOCUMENTS = packaged_documents()
KEY, SECRET = "EXOtest", Secret("secret")


def words(text: str) -> list[str]:
    return text.split()


KEYS = words(
    "name model gpu-type gpu-count replicas inference-engine-version inference-engine-parameters"
    " huggingface-token id"
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(
        ["gpu3", "gpua5000", "0.15.1", "Qwen/Qwen3-4B", "--seed=1", "--foo", "", "\x00", "é" * 50]
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
bodies = (
    st.binary(max_size=40)
    | st.just(b"[" * 100_000)
    | st.dictionaries(st.sampled_from(KEYS), values).map(lambda document: json.dumps(document).encode())
)
queries = st.dictionaries(
    st.sampled_from(["tail", "stream", "version", "visibility"]),
    st.sampled_from(["1", "-1", "x", "9" * 30, "public"]),
)


async def answers(
    requests: list[tuple[tuple[str, str, str, Any], bytes, dict[str, str]]], dialect: Dialect
) -> list[httpx.Response]:
    cloud = Cloud(
        Settings(dialect=dialect),
        base_url="http://127.0.0.1:1",
        clock=SimulatedClock(1000.0),
        documents=DOCUMENTS,
        faults=FaultPlan(),
    )
    transport = httpx.ASGITransport(Starlette(routes=Api(cloud, keys={KEY: SECRET}).routes()))
    found = []
    async with httpx.AsyncClient(transport=transport, auth=ExoscaleAuth(KEY, SECRET)) as client:
        for (method, path, _, _), content, query in requests:
            identity = next(iter(cloud.deployments), "00000000-0000-0000-0000-000000000000")
            url = f"http://simulator/v2{path.replace('{id}', identity)}"
            found.append(await client.request(method, url, params=query, content=content))
    await cloud.close()
    return found


@settings(deadline=None, max_examples=100)
@given(
    requests=st.lists(st.tuples(st.sampled_from(OPERATIONS), bodies, queries), min_size=1, max_size=8),
    dialect=st.sampled_from(list(Dialect)),
)
def test_every_request_has_an_answer_of_the_document(
    requests: list[tuple[tuple[str, str, str, Any], bytes, dict[str, str]]], dialect: Dialect
) -> None:
    found = asyncio.run(answers(requests, dialect))
    assert len(found) == len(requests)
    for response in found:
        assert response.status_code in (200, 400, 403, 404, 409, 412, 422)
        assert isinstance(response.json(), dict)
