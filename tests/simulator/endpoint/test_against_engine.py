"""The simulated endpoint beside a real engine of the same version that was asked the same.

The engine's answers were recorded once (record.py); with the ``engine`` marker they are recorded again and compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.real_engine import ENGINES, engine_command
from tests.simulator.endpoint.described import ask, client_of, families, grown
from tests.simulator.endpoint.exchanges import CHAT, EXCHANGES, KEY, MODEL, SETUPS
from tests.simulator.endpoint.record import GOLDEN, record

VERSIONS = sorted(ENGINES)
GROUPS = sorted({exchange.name.partition(":")[0] for exchange in EXCHANGES})
# Its answers are collected once: the tests of this file stay in one process of the test run.
pytestmark = pytest.mark.xdist_group("against-engine")


def golden(version: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((GOLDEN / f"{version}.json").read_text(encoding="utf-8"))
    return recorded


@pytest.fixture(scope="module")
def endpoints(serve: Callable[..., Any]) -> dict[tuple[str, str], str]:
    """The URL of a simulated endpoint of each version and set-up."""
    return {
        (version, setup): serve(version, served_model_name=[MODEL], **arguments).url
        for version in VERSIONS
        for setup, arguments in SETUPS.items()
    }


@pytest.fixture(scope="module")
def answers(endpoints: dict[tuple[str, str], str]) -> dict[str, dict[str, Any]]:
    """What each version's endpoint answers, in the order in which the engine was asked."""
    found: dict[str, dict[str, Any]] = {version: {} for version in VERSIONS}
    for (version, setup), url in endpoints.items():
        with client_of(url) as client:
            for exchange in EXCHANGES:
                if exchange.setup == setup:
                    found[version][exchange.name] = ask(client, exchange)
    return found


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(endpoints: dict[tuple[str, str], str], version: str) -> Iterator[httpx.Client]:
    with client_of(endpoints[version, "plain"]) as opened:
        yield opened


def test_the_recordings_are_of_these_requests(version: str) -> None:
    recorded = golden(version)
    assert list(recorded["answers"]) == [exchange.name for exchange in EXCHANGES]
    assert recorded["engine"].startswith(f"vLLM {version} ")
    assert recorded["answers"]["route: version"]["json"] == {"version": version}


@pytest.mark.parametrize("group", GROUPS)
def test_it_answers_as_the_engine_did(answers: dict[str, dict[str, Any]], version: str, group: str) -> None:
    recorded = {
        name: answer for name, answer in golden(version)["answers"].items() if name.startswith(f"{group}:")
    }
    assert len(recorded) >= 5
    given = {name: answers[version][name] for name in recorded}
    differing = [name for name in recorded if given[name] != recorded[name]]
    assert {name: given[name] for name in differing} == {name: recorded[name] for name in differing}


def test_its_metrics_have_the_engines_names_labels_and_buckets(client: httpx.Client, version: str) -> None:
    recorded = golden(version)["metrics"]
    assert len(recorded) > 50
    assert families(client.get("/metrics").text) == recorded


def test_its_counters_grow_as_the_engines_did(client: httpx.Client, version: str) -> None:
    recorded = golden(version)["grown"]
    assert len(recorded) == 7
    assert grown(client) == recorded


def test_every_route_of_the_engine_is_there_and_says_so_when_it_is_not_simulated(
    client: httpx.Client, version: str
) -> None:
    recorded = golden(version)["routes"]
    assert len(recorded) > 30
    headers = {"authorization": f"Bearer {KEY}"}
    missing = []
    for route in recorded:
        method, path = route.split(" ")
        answer = client.request(method, path.replace("{response_id}", "resp_1"), headers=headers)
        assert answer.status_code not in (404, 405), route
        if answer.status_code == 501:
            assert answer.json()["error"]["type"] == "NotImplementedError"
            missing.append(route)
    assert len(recorded) - len(missing) == 10


NOT_SIMULATED: dict[str, dict[str, Any]] = {
    "logprobs": {"logprobs": 1},
    "prompt_logprobs": {"prompt_logprobs": 1},
    "echo": {"echo": True},
    "use_beam_search": {"use_beam_search": True, "n": 2},
    "response_format": {"response_format": {"type": "json_object"}},
    "structured_outputs": {"structured_outputs": {"choice": ["yes", "no"]}},
    "truncate_prompt_tokens": {"truncate_prompt_tokens": 5},
    "stop_token_ids": {"stop_token_ids": [5]},
    "include_stop_str_in_output": {"include_stop_str_in_output": True},
    "kv_transfer_params": {"kv_transfer_params": {"do_remote_decode": True}},
}
NOT_SIMULATED_IN_CHAT: dict[str, dict[str, Any]] = {
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "tools": {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"},
    "messages": {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    },
    "continue_final_message": {"continue_final_message": True, "add_generation_prompt": False},
    "documents": {"documents": [{"text": "x"}]},
}


@pytest.mark.parametrize(
    ("path", "name", "more"),
    [("completions", name, more) for name, more in NOT_SIMULATED.items()]
    + [("chat/completions", name, more) for name, more in NOT_SIMULATED_IN_CHAT.items()],
)
def test_what_it_does_not_simulate_is_refused_and_named(
    client: httpx.Client, path: str, name: str, more: dict[str, Any]
) -> None:
    asked = {"messages": CHAT} if path.startswith("chat") else {"prompt": [5]}
    answer = client.post(f"/v1/{path}", json={**asked, **more}, headers={"authorization": f"Bearer {KEY}"})
    assert answer.status_code == 501
    refusal = answer.json()["error"]
    assert (refusal["type"], refusal["param"]) == ("NotImplementedError", name)
    assert "simulate" in refusal["message"]


@pytest.mark.engine
def test_the_engine_still_answers_as_recorded(version: str) -> None:
    recorded, found = golden(version), record(engine_command(version))
    for part in ("answers", "metrics", "grown", "routes"):
        assert found[part] == recorded[part]
