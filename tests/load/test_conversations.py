"""Conversations: what each turn carries, when it goes, what is kept of it, how they split over processes."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness.cli.main import main
from harness.errors import UsageError
from harness.load.arrivals import Arrivals, ClosedLoop, ConstantRate
from harness.load.conversations import Conversations, continued, parse_think_time, think_time_text, turns_of
from harness.load.driver import run_stage
from harness.load.job import LoadJob
from harness.load.lengths import EmpiricalLength, FixedLength, LogNormalLength, NormalLength, UniformLength
from harness.load.metrics import summarise
from harness.load.prompts import Calibration
from harness.load.records import Endpoint, Outcome, RequestRecord, StageResult
from harness.load.session import measure_in_process
from harness.load.source import RequestSource, RequestSpec
from harness.load.stage import Stage
from harness.load.workload import Item, Workload, workload_from_json
from harness.results.parquet import read_records, write_records

Serve = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("no_leak")

CALIBRATION = Calibration(4, ("stone", "garden", "window", "summer"), (1, 1, 1, 1))


def talking(turns: int = 3, think_ms: int | None = None, **more: Any) -> Workload:
    think = None if think_ms is None else FixedLength(think_ms)
    conversations = Conversations(FixedLength(turns), think)
    lengths = {"input_tokens": FixedLength(12), "output_tokens": FixedLength(3)}
    return Workload(**{**lengths, "conversations": conversations, **more})


def load(url: str, stage: Stage, workload: Workload, lab: ModuleType) -> StageResult:
    async def bounded() -> StageResult:
        async with asyncio.timeout(60):
            return await run_stage(Endpoint(url, "tiny"), stage, workload, probe=lab.PROBE, seed=1)

    return asyncio.run(bounded())


def said(body: Any) -> str:
    """All of a request's text, whatever its API."""
    return body["prompt"] if "prompt" in body else "\n".join(m["content"] for m in body["messages"])


def answer_to(body: Any) -> str:
    """What the server below answers: other words for every prompt."""
    return f"<{sum(said(body).encode()) % 9973}>"


@pytest.fixture
def answering(lab: ModuleType) -> Any:
    """A server that answers a prompt in pieces, streamed or not, and fails those that ``fails`` picks."""

    def handler(fails: Callable[[Any], bool] = lambda body: False) -> Any:
        async def handle(request: Any, reply: Any) -> None:
            body, text = request.body, answer_to(request.body)
            counted = lab.usage(len(said(body).split()), body["max_tokens"])
            if fails(body):
                await reply.whole({"error": {"message": "no"}}, status="500 Internal Server Error")
            elif not body["stream"]:
                message = {"message": {"content": text, "reasoning": "hm"}, "finish_reason": "length"}
                await reply.whole({**counted, "choices": [{"index": 0, **message}]})
            else:
                await stream(lab, reply, text, counted, chat="messages" in body)

        return handle

    return handler


async def stream(lab: ModuleType, reply: Any, text: str, counted: Any, *, chat: bool) -> None:
    await reply.write(lab.STREAM_HEAD)
    thought = {"choices": [{"index": 0, "delta": {"reasoning_content": "let me see"}, "finish_reason": None}]}
    pieces = [text[:2], text[2:]]
    for i, piece in enumerate(pieces):
        finish = "length" if i == len(pieces) - 1 else None
        if chat:
            await reply.event(thought if i == 0 else lab.ROLE)
            await reply.event(lab.text(piece, finish=finish))
        else:
            await reply.event({"choices": [{"index": 0, "text": piece, "finish_reason": finish}]})
    await reply.event(counted)
    await reply.event(b"[DONE]")
    await reply.write(b"0\r\n\r\n")


def by_conversation(records: list[RequestRecord]) -> dict[tuple[bool, int], list[RequestRecord]]:
    """The records of each conversation, in the order of their turns."""
    found: dict[tuple[bool, int], list[RequestRecord]] = defaultdict(list)
    for record in records:
        assert record.conversation is not None
        assert record.turn is not None
        found[record.warmup, record.conversation].append(record)
    return {key: sorted(turns, key=lambda record: record.turn or 0) for key, turns in found.items()}


# What is said


@pytest.mark.parametrize("streamed", [True, False])
def test_every_turn_carries_what_was_said_and_what_was_really_answered(
    serve: Serve, lab: ModuleType, answering: Any, streamed: bool
) -> None:
    server = serve(answering())
    load(server.url, Stage(arrivals=ClosedLoop(1), requests=1), talking(3, streamed=streamed), lab)
    bodies = [request.body["messages"] for request in server.requests]
    assert [[message["role"] for message in body] for body in bodies] == [
        ["user"],
        ["user", "assistant", "user"],
        ["user", "assistant", "user", "assistant", "user"],
    ]
    for before, after in itertools.pairwise(bodies):
        assert after[: len(before)] == before
        assert after[len(before)]["content"] == answer_to({"messages": before})
    own = [body[-1]["content"] for body in bodies]
    assert len(set(own)) == 3
    # 12 tokens a turn, of which the template and the opening word are 8 in a guessed calibration.
    assert [len(text.split()) for text in own] == [1 + 4] * 3


def test_completions_carry_one_text(serve: Serve, lab: ModuleType, answering: Any) -> None:
    server = serve(answering())
    workload = talking(3, api="completions")
    result = load(server.url, Stage(arrivals=ClosedLoop(1), requests=1), workload, lab)
    assert [record.outcome for record in result.records] == [Outcome.SUCCEEDED] * 3
    prompts = [request.body["prompt"] for request in server.requests]
    assert len(prompts) == 3
    for before, after in itertools.pairwise(prompts):
        assert after.startswith(f"{before}{answer_to({'prompt': before})}\nriver ")


def test_given_conversations_say_what_they_say(serve: Serve, lab: ModuleType, answering: Any) -> None:
    server = serve(answering())
    system = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "eins"}]
    items = (Item(system, 2, later=("zwei", "drei")), Item("alone", 2))
    workload = Workload(items=items, in_order=True, conversations=Conversations())
    result = load(server.url, Stage(arrivals=ClosedLoop(1), requests=2), workload, lab)
    texts = [
        [m["content"] for m in request.body["messages"] if m["role"] != "assistant"]
        for request in server.requests
    ]
    assert texts == [
        ["be brief", "eins"],
        ["be brief", "eins", "zwei"],
        ["be brief", "eins", "zwei", "drei"],
        ["alone"],
    ]
    assert [(r.conversation, r.turn, r.index) for r in result.records] == [
        (0, 1, 0),
        (0, 2, 1),
        (0, 3, 2),
        (1, 1, 3),
    ]


def test_turns_are_cut_where_the_assistant_answered() -> None:
    roles = ["system", "assistant", "user", "assistant", "assistant", "user", "tool", "user", "assistant"]
    messages = [{"role": role, "content": str(i)} for i, role in enumerate(roles)]
    assert [[m["content"] for m in turn] for turn in turns_of(messages)] == [["0", "1", "2"], ["5", "6", "7"]]
    assert turns_of([{"role": "assistant", "content": "x"}]) == []


def test_messages_cannot_be_continued_on_completions() -> None:
    messages = [{"role": "user", "content": "a"}]
    with pytest.raises(UsageError, match="chat"):
        continued(messages, "b", then="c", api="completions")
    with pytest.raises(UsageError, match="need api 'chat'"):
        Workload(items=(Item("a", later=(messages,)),), api="completions")


# How many turns, how long a thought


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2s", FixedLength(2000)),
        ("2", FixedLength(2000)),
        ("0.25", FixedLength(250)),
        ("1m30s", FixedLength(90_000)),
        ("500ms-3s", UniformLength(500, 3000)),
        ("normal:2s,500ms", NormalLength(2000.0, 500.0)),
        ("lognormal:2s,0.5", LogNormalLength(2000.0, 0.5)),
        ("lognormal:1.5ms,0.25,1ms-9s", LogNormalLength(1.5, 0.25, 1, 9000)),
        ("normal:1788.8543819998317ms,0.5s,20ms-1m", NormalLength(1788.8543819998317, 500.0, 20, 60_000)),
        ("1s:2|5s:1", EmpiricalLength((1000, 5000), (2.0, 1.0))),
        ("0", None),
        ("0s", None),
    ],
)
def test_think_times_are_read_and_written(text: str, found: Any) -> None:
    assert parse_think_time(text) == found
    assert found is None or parse_think_time(think_time_text(found)) == found


@pytest.mark.parametrize("text", ["", "soon", "1-5", "-1s", "lognormal:2,0.5", "3s-1s", "normal:2s", "1s|x"])
def test_what_is_no_think_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_think_time(text)


def specs(source: RequestSource, conversation: int, *, warmup: bool = False) -> list[RequestSpec]:
    found = [source.request(conversation, warmup=warmup)]
    while not found[-1].is_last:
        found.append(source.next_turn(found[-1]))
    return found


def test_turns_and_pauses_are_drawn_and_every_request_has_its_own_index() -> None:
    conversations = Conversations(UniformLength(1, 4), UniformLength(100, 900))
    workload = Workload(conversations=conversations, output_tokens=UniformLength(1, 9))
    source = RequestSource(workload, CALIBRATION, 5, "s")
    every = [specs(source, number) for number in range(200)]
    counts = Counter(len(turns) for turns in every)
    assert set(counts) == {1, 2, 3, 4}
    assert min(counts.values()) > 20
    assert [spec.index for turns in every for spec in turns] == list(range(sum(map(len, every))))
    assert all(turns[0].think_s == 0 for turns in every)
    pauses = [spec.think_s for turns in every for spec in turns[1:]]
    assert (min(pauses) >= 0.1, max(pauses) <= 0.9, len(set(pauses)) > 100) == (True, True, True)
    backward = RequestSource(workload, CALIBRATION, 5, "s")
    assert [specs(backward, number) for number in reversed(range(200))] == every[::-1]


def test_given_conversations_are_cut_at_the_wanted_turns() -> None:
    items = tuple(Item(f"{i}", later=("x",) * i) for i in range(5))
    source = RequestSource(
        Workload(items=items, in_order=True, conversations=Conversations(FixedLength(3))), CALIBRATION, 1, "s"
    )
    assert [len(specs(source, number)) for number in range(5)] == [1, 2, 3, 3, 3]


def test_the_workload_survives_its_json_form() -> None:
    workload = talking(4, 50, items=(Item("a", later=("b", [{"role": "user", "content": "c"}])),))
    assert workload_from_json(json.loads(json.dumps(workload.to_json()))) == workload


def test_conversations_need_turns_from_somewhere() -> None:
    with pytest.raises(UsageError, match="number of turns"):
        Workload(conversations=Conversations())


# When


def test_a_turn_is_scheduled_for_the_answers_end_and_the_thought(
    serve: Serve, lab: ModuleType, answering: Any
) -> None:
    server = serve(answering())
    result = load(server.url, Stage(arrivals=ClosedLoop(2), requests=4), talking(3, think_ms=500), lab)
    conversations = by_conversation(result.records)
    assert len(conversations) == 4
    for turns in conversations.values():
        assert [record.turn for record in turns] == [1, 2, 3]
        for before, after in itertools.pairwise(turns):
            assert after.scheduled_s == pytest.approx(before.ended_s + 0.5, abs=1e-6)
            # Thinking is no lateness: without it in the schedule this would be 0.5 and more.
            assert 0 <= after.lateness_s < 0.45
    # Two users, each with two conversations one after the other.
    first = sorted(turns[0].scheduled_s for turns in conversations.values())
    assert first[:2] == [0.0, 0.0]
    assert first[2] > 1.0


def test_in_an_open_loop_arrivals_start_conversations(serve: Serve, lab: ModuleType, answering: Any) -> None:
    server = serve(answering())
    result = load(server.url, Stage(arrivals=ConstantRate(50), requests=8), talking(2, think_ms=300), lab)
    conversations = by_conversation(result.records)
    assert [turns[0].scheduled_s for turns in conversations.values()] == pytest.approx(
        [i / 50 for i in range(8)]
    )
    assert [len(turns) for turns in conversations.values()] == [2] * 8
    assert {record.outcome for record in result.records} == {Outcome.SUCCEEDED}


def test_a_failed_turn_ends_its_conversation(serve: Serve, lab: ModuleType, answering: Any) -> None:
    server = serve(answering(lambda body: len(body["messages"]) == 3))
    result = load(server.url, Stage(arrivals=ClosedLoop(2), requests=4), talking(5), lab)
    conversations = by_conversation(result.records)
    assert len(conversations) == 4
    for turns in conversations.values():
        assert [record.outcome for record in turns] == [Outcome.SUCCEEDED, Outcome.HTTP_5XX]


def test_who_thinks_holds_neither_a_place_in_flight_nor_the_end(
    serve: Serve, lab: ModuleType, answering: Any
) -> None:
    server = serve(answering())
    stage = Stage(arrivals=ConstantRate(40), duration_s=0.5, drain_s=100, max_in_flight=1)
    result = load(server.url, stage, talking(2, think_ms=1_000_000), lab)
    # Nobody comes to a second turn, and the stage does not wait for one; load() gives up after a minute.
    assert [record.turn for record in result.records] == [1] * len(result.records)
    assert len(result.records) >= 2
    assert server.most_in_flight == 1
    assert result.window_end_s == pytest.approx(0.5)


def test_a_later_turn_waits_for_a_place_in_flight_and_that_is_told(serve: Serve, lab: ModuleType) -> None:
    server = serve(lab.answering(first_s=0.1))
    stage = Stage(arrivals=ConstantRate(40), requests=4, max_in_flight=2)
    result = load(server.url, stage, talking(2), lab)
    assert len(result.records) == 8
    assert server.most_in_flight == 2
    assert result.client.queued >= 4
    assert max(record.lateness_s for record in result.records if record.turn == 2) > 0.05


# The warm-up


def test_conversations_of_the_warm_up_are_left_when_the_window_starts(
    serve: Serve, lab: ModuleType, answering: Any
) -> None:
    server = serve(answering())
    stage = Stage(arrivals=ClosedLoop(3), duration_s=1.0, warmup_s=1.0)
    result = load(server.url, stage, talking(50, think_ms=1_000_000), lab)
    assert [(r.warmup, r.conversation, r.turn) for r in result.records] == [
        *((True, i, 1) for i in range(3)),
        *((False, i, 1) for i in range(3)),
    ]
    assert all(record.scheduled_s >= 1.0 for record in result.records if not record.warmup)


LONG = " ".join(["lorem ipsum dolor"] * 40)
CHAT = [{"role": "system", "content": "be brief"}, {"role": "user", "content": LONG}]
SOURCES = {
    "synthetic": Workload(),
    "synthetic conversations": talking(3),
    "texts": Workload(items=(Item(LONG), Item(f"zwei {LONG}"))),
    "messages": Workload(items=(Item(CHAT, 5), Item(CHAT[1:], 5))),
    "given conversations": Workload(
        items=(Item(LONG, later=(LONG[6:], CHAT)),), conversations=Conversations()
    ),
    "trace": Workload(items=(Item(None, 5, 1100, (0, 1)), Item(None, 5, 600, (0,))), in_order=True),
}


@pytest.mark.parametrize("cache", ["isolated", "cold", "warm"])
@pytest.mark.parametrize("workload", SOURCES.values(), ids=SOURCES)
def test_no_prompt_of_the_warm_up_is_in_the_measured_set(workload: Workload, cache: str) -> None:
    source = RequestSource(replace(workload, cache=cache), CALIBRATION, 1, "s")
    if workload.conversations is None:
        warm, measured = ([[source.request(i, warmup=w)] for i in range(20)] for w in (True, False))
    else:
        warm, measured = ([specs(source, i, warmup=w) for i in range(20)] for w in (True, False))
    words, others = ({str(spec.prompt) for turns in group for spec in turns} for group in (warm, measured))
    assert (len(words) >= 20, len(others) >= 2) == (True, True)
    assert not words & others
    # Nor do they begin alike, by more than the opening word and a word of chance: no block of either is the other's.
    heads = [{" ".join(text.split()[:8]) for text in group} for group in (words, others)]
    assert not heads[0] & heads[1]


def test_the_twin_of_a_given_prompt_is_about_as_long() -> None:
    source = RequestSource(SOURCES["messages"], CALIBRATION, 1, "s")
    tokens = {len(str(source.request(i, warmup=True).prompt).split()) for i in range(8)}
    # 40 times "lorem ipsum dolor" is 719 characters, with "be brief" 727: 179 or 181 words, and the opening one.
    assert tokens == {1 + 181, 1 + 179}


# Sharing the work, keeping the records


@pytest.mark.parametrize("arrivals", [ClosedLoop(4), ConstantRate(60.0)], ids=["closed", "open"])
def test_several_processes_hold_the_conversations_one_would(
    serve: Serve, lab: ModuleType, answering: Any, arrivals: Arrivals
) -> None:
    workload = replace(talking(), conversations=Conversations(UniformLength(1, 4), FixedLength(5)))
    bodies, held = [], []
    for processes in (1, 3):
        server = serve(answering())
        job = LoadJob(
            endpoint=Endpoint(server.url, "tiny"), stage=Stage(arrivals=arrivals, requests=11), workload=workload,
            probe=lab.PROBE, seed=3, cache_salt="s", processes=processes,
        )  # fmt: skip
        result = asyncio.run(measure_in_process(job))
        assert result.client.processes == processes
        held.append(sorted((r.index, r.conversation, r.turn) for r in result.records))
        bodies.append(sorted(json.dumps(request.body, sort_keys=True) for request in server.requests))
    assert len(held[0]) > 15
    assert {conversation for _, conversation, _ in held[0]} == set(range(11))
    assert held[0] == held[1]
    assert bodies[0] == bodies[1]


def test_records_keep_conversation_and_turn_and_older_files_have_none(tmp_path: Path) -> None:
    records = [record(i, conversation=i // 2, turn=1 + i % 2) for i in range(4)]
    write_records(tmp_path / "new.parquet", stage_result(records))
    again = read_records(tmp_path / "new.parquet").columns.integers
    assert (again["conversation"].tolist(), again["turn"].tolist()) == ([0, 0, 1, 1], [1, 2, 1, 2])
    table = pq.read_table(tmp_path / "new.parquet")
    pq.write_table(table.drop_columns(["conversation", "turn"]), tmp_path / "old.parquet")
    old = read_records(tmp_path / "old.parquet")
    assert [(r.index, r.conversation, r.turn) for r in old.to_stage_result().records] == [
        (i, None, None) for i in range(4)
    ]


def record(index: int, *, cached: int | None = None, prompt: int = 100, **more: Any) -> RequestRecord:
    """One request of 10 answer tokens, sent at ``index``, with a TTFT of 0.1 s for each turn."""
    first = index + 0.1 * (more.get("turn") or 1)
    times = first + 0.01 * np.arange(10)
    return RequestRecord(
        index=index, scheduled_s=index, sent_s=index, first_token_s=first, last_token_s=times[-1], ended_s=times[-1],
        chunk_times_s=times, chunk_tokens=np.ones(10, np.int32), tokens_assumed=False, prompt_tokens=prompt,
        completion_tokens=10, cached_tokens=cached, outcome=Outcome.SUCCEEDED, **more,
    )  # fmt: skip


def stage_result(records: list[RequestRecord], **workload: Any) -> StageResult:
    from harness.load.records import ClientStats

    stage = {"kind": "closed-loop", "concurrency": 1, "workload": {"cache": "isolated", **workload}}
    client = ClientStats("kernel", 0.0, 0.1, 0.0, 10, 10, 0.0, 1)
    return StageResult(
        "c1", stage, records, 0.0, 100.0, 0.0, client, {"calibration": {"overhead_tokens": 16}}
    )


def prefix_reasons(records: list[RequestRecord], **workload: Any) -> list[str]:
    reasons = summarise(stage_result(records, **workload)).verdict.reasons
    return [reason for reason in reasons if "prefix cache" in reason]


def two_conversations(first: int, second: int) -> list[RequestRecord]:
    """Two conversations of two turns; ``first`` and ``second`` are the cached tokens of their turns."""
    return [
        record(
            i, conversation=i // 2, turn=1 + i % 2, prompt=100 + 50 * (i % 2), cached=(first, second)[i % 2]
        )
        for i in range(4)
    ]


def test_reuse_within_a_conversation_is_no_reason_to_doubt_it_and_from_elsewhere_is() -> None:
    # The second turn may find 100 + 10 tokens of the first; a first turn no more than the template's 16.
    assert prefix_reasons(two_conversations(16, 110)) == []
    assert prefix_reasons(two_conversations(96, 96)) != []
    assert prefix_reasons(two_conversations(0, 144)) != []
    assert prefix_reasons(two_conversations(0, 96), cache="cold") != []
    assert summarise(stage_result(two_conversations(0, 100))).cached_share == pytest.approx(200 / 500)


def test_what_prompts_share_on_purpose_may_be_cached() -> None:
    shared = [record(i, cached=64) for i in range(4)]
    assert prefix_reasons(shared) != []
    assert prefix_reasons(shared, shared_prefixes={"groups": 1, "tokens": 48}) == []
    assert prefix_reasons(shared, shared_prefixes={"groups": 1, "tokens": 32}) != []
    assert prefix_reasons(shared, shared_blocks=True) == []


def test_ttft_is_told_turn_by_turn() -> None:
    metrics = summarise(stage_result(two_conversations(0, 0)))
    assert {turn: (ttft.p50, ttft.count) for turn, ttft in metrics.ttft_by_turn.items()} == {
        1: (pytest.approx(0.1), 2),
        2: (pytest.approx(0.2), 2),
    }
    assert summarise(stage_result([record(0)])).ttft_by_turn == {}


# The command


def test_the_command_holds_conversations(
    serve: Serve, lab: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    server = serve()
    common = [server.url, "--warmup", "0", "--requests", "3", "--output-tokens", "4", "--json", "-"]
    with pytest.raises(SystemExit) as ended:
        main(["load", *common, "--input-tokens", "20", "--turns", "3", "--think-time", "10ms"])
    assert ended.value.code == 0
    [stage] = json.loads(capsys.readouterr().out)["stages"]
    assert stage["requests"]["sent"] == 9
    assert {turn: ttft["count"] for turn, ttft in stage["ttft_by_turn_ms"].items()} == {
        "1": 3,
        "2": 3,
        "3": 3,
    }
    path = tmp_path / "talks.jsonl"
    path.write_text('{"turns": ["eins", "zwei"]}\n{"prompt": "drei"}\n')
    with pytest.raises(SystemExit):
        main(["load", *common, "--prompts", str(path)])
    [stage] = json.loads(capsys.readouterr().out)["stages"]
    # Three conversations of the two there are: one of them is held twice.
    assert stage["requests"]["sent"] in (4, 5)


def test_the_table_has_ttft_by_turn(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(
            ["load", serve().url, "--warmup", "0", "--requests", "2", "--output-tokens", "2", "--turns", "2"]
        )
    assert "c1: TTFT p50 by turn: 1: (" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--turns", "0"],
        ["--turns", "many"],
        ["--turns", "all"],
        ["--think-time", "1s"],
        ["--turns", "2", "--think-time", "x"],
    ],
)
def test_what_is_no_conversation_is_wrong_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["load", "http://127.0.0.1:9", *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_conversation_the_model_has_no_room_for_is_refused(serve: Serve, lab: ModuleType) -> None:
    workload = talking(10, input_tokens=FixedLength(400), output_tokens=FixedLength(10))
    with pytest.raises(UsageError, match=r"every conversation comes to 4100 tokens or more.*takes 4096"):
        load(serve().url, Stage(arrivals=ClosedLoop(1), requests=1), workload, lab)
