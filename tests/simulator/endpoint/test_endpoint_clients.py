"""Clients that people use, and our own load generator, on the simulated endpoint."""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from typing import Any

import numpy as np
import pytest

from harness.load.arrivals import ClosedLoop
from harness.load.lengths import FixedLength
from harness.load.metrics import summarise
from harness.load.probe import probe_endpoint
from harness.load.records import Endpoint, Outcome
from harness.load.session import LoadJob, measure_in_process
from harness.load.stage import Stage
from harness.load.workload import Workload
from harness.secret import Secret

MODEL = "Qwen/Qwen2.5-0.5B-Instruct"


@pytest.fixture(scope="module", params=["new", "old"])
def served(request: pytest.FixtureRequest) -> Any:
    """An endpoint of each engine version."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def client(served: Any) -> Any:
    openai = pytest.importorskip("openai", reason="the openai package is not installed")
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key="sekret", max_retries=0)


def test_the_openai_client_reads_a_document(client: Any) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "hello"}],
        max_tokens=5,
        extra_body={"ignore_eos": True},
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 5
    assert answer.choices[0].message.role == "assistant"


def test_the_openai_client_reads_a_stream(client: Any) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "hello"}],
        max_tokens=20,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"ignore_eos": True},
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage.completion_tokens == 20
    assert chunks[-2].choices[0].finish_reason == "length"


def test_the_openai_client_reads_a_stream_of_text_and_the_same_text_whole(client: Any) -> None:
    asked = {
        "model": MODEL, "prompt": "a", "max_tokens": 12, "seed": 3, "extra_body": {"ignore_eos": True},
    }  # fmt: skip
    whole = client.completions.create(**asked)
    chunks = list(client.completions.create(**asked, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "length"
    assert whole.usage.completion_tokens == 12


def test_the_openai_client_lists_models_and_completes_text(client: Any) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    answer = client.completions.create(
        model=MODEL, prompt="a", max_tokens=3, n=2, extra_body={"ignore_eos": True}
    )
    assert [choice.index for choice in answer.choices] == [0, 1]


def test_the_openai_client_recognises_refusals(client: Any, served: Any) -> None:
    import openai

    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.completions.create(model="nope", prompt="a")
    with pytest.raises(openai.BadRequestError, match="maximum context length"):
        client.completions.create(model=MODEL, prompt="a", max_tokens=100_000)
    with pytest.raises(openai.BadRequestError, match="temperature must be non-negative"):
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "a"}], temperature=-1, stream=True
        )
    with pytest.raises(openai.InternalServerError, match="the simulator does not") as refused:
        client.completions.create(model=MODEL, prompt="a", logprobs=2)
    assert (refused.value.status_code, refused.value.param) == (501, "logprobs")
    stranger = openai.OpenAI(base_url=f"{served.url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.models.list()


def test_the_openai_client_that_leaves_a_stream_frees_its_place(client: Any, served: Any) -> None:
    stream = client.completions.create(
        model=MODEL, prompt="a", max_tokens=3000, stream=True, extra_body={"ignore_eos": True}
    )
    assert next(iter(stream)).choices[0].text is not None
    stream.close()
    deadline = time.monotonic() + 20
    while served.metric("num_requests_running") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert served.metric("num_requests_running") == 0


def test_our_load_generator_finds_what_the_engine_knows(serve: Any) -> None:
    # A model of this size on this GPU takes some 20 ms a token: far above what a busy machine adds.
    served = serve("0.15.1", model="meta-llama/Llama-3.1-8B-Instruct", gpu="gpua5000")
    endpoint = Endpoint(f"{served.url}/v1", "meta-llama/Llama-3.1-8B-Instruct", Secret("sekret"))
    workload = Workload(input_tokens=FixedLength(600), output_tokens=FixedLength(40))
    probe = asyncio.run(probe_endpoint(endpoint, workload=workload))
    # Token counts are equal every time. Times are compared on the calmest of some runs: the two processes share
    # this machine's cores with whatever else it does, which can only take them apart.
    decode = ttft = math.inf
    for seed in range(12):
        found = loaded_difference(served, endpoint, workload, probe, seed=seed)
        decode, ttft = min(decode, found[0]), min(ttft, found[1])
        if max(decode, ttft) < 0.01:
            break
    assert (decode < 0.01, ttft < 0.01) == (True, True), (decode, ttft)


def loaded_difference(
    served: Any, endpoint: Endpoint, workload: Workload, probe: Any, *, seed: int
) -> tuple[float, float]:
    """How far client and engine are apart on the median decode time and TTFT, as shares of the engine's."""
    before = served.metric("generation_tokens_total")
    stage = Stage(arrivals=ClosedLoop(8), requests=24, drain_s=5.0)
    job = LoadJob(endpoint=endpoint, stage=stage, workload=workload, probe=probe, seed=seed)
    result = asyncio.run(measure_in_process(job))
    good = [record for record in result.records if record.outcome is Outcome.SUCCEEDED]
    assert len(good) >= 24
    truths = [truth for truth in served.endpoint.engines[0].truths if not truth.aborted][-len(good) :]
    assert sum(record.completion_tokens for record in good) == sum(truth.output_tokens for truth in truths)
    assert sum(record.prompt_tokens for record in good) == sum(truth.prompt_tokens for truth in truths)
    assert summarise(result).output_tokens == served.metric("generation_tokens_total") - before
    decode = np.median([record.last_token_s - record.first_token_s for record in good])
    known_decode = np.median([truth.ended_s - truth.first_s for truth in truths])
    ttft = np.median([record.ttft_s for record in good])
    known_ttft = np.median([truth.first_s - truth.queued_s for truth in truths])
    return abs(decode / known_decode - 1), abs(ttft / known_ttft - 1)


def test_more_requests_than_sequences_wait_their_turn(serve: Any) -> None:
    served = serve("0.15.1", max_num_seqs=2)
    answers: list[float] = []

    def ask() -> None:
        served.post("completions", prompt="a", max_tokens=40)
        answers.append(served.metric("num_requests_running"))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(answers) == 6
    assert max(answers) <= 2
    truths = sorted(served.endpoint.engines[0].truths, key=lambda truth: truth.first_s)
    assert len(truths) == 6
    # Two at a time: the third starts when one of the first two has ended.
    assert truths[2].first_s > min(truths[0].ended_s, truths[1].ended_s)
    assert truths[4].first_s > sorted(truth.ended_s for truth in truths)[1]


def test_a_stream_interval_puts_several_tokens_in_an_event(serve: Any) -> None:
    served = serve("0.15.1", stream_interval=5)
    events = served.events("completions", prompt="a", max_tokens=21, return_token_ids=True)
    sizes = [len(choice["token_ids"]) for event in events for choice in event["choices"]]
    # The first token goes at once, then five at a time.
    assert sizes == [1, 5, 5, 5, 5]


def test_replicas_share_requests_at_random(serve: Any) -> None:
    served = serve("0.15.1", replicas=3)
    for _ in range(30):
        served.post("completions", prompt="a", max_tokens=1)
    shares = [len(engine.truths) for engine in served.endpoint.engines]
    assert sum(shares) == 30
    assert min(shares) >= 3


def test_a_generation_is_the_same_for_the_same_seed(new: Any) -> None:
    seed = random.Random(1).randrange(2**31)
    one, two = (new.post("completions", prompt="a", max_tokens=30, seed=seed).json() for _ in range(2))
    assert one["choices"][0]["text"] == two["choices"][0]["text"]
