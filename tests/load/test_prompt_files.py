"""Workload files: each form read, each mistake one line with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import main
from harness.errors import ConfigError
from harness.load.prompt_files import read_prompt_file
from harness.load.prompts import Calibration
from harness.load.source import RequestSource
from harness.load.workload import Item, Workload

Serve = Callable[..., Any]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "prompts"
    path.write_text(text, encoding="utf-8")
    return path


def test_jsonl_prompts_and_messages(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    lines = [{"prompt": "čau", "output_tokens": 7}, {"messages": messages, "max_tokens": 9}, {"prompt": "b"}]
    found = read_prompt_file(written(tmp_path, "\n\n".join(map(json.dumps, lines)) + "\n"))
    assert found.items == (Item("čau", 7), Item(messages, 9), Item("b", None))
    assert found.times_s is None


def test_sharegpt_sends_the_first_human_turn(tmp_path: Path) -> None:
    entries = [
        {"id": "1", "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]},
        {"id": "2", "conversations": [{"from": "gpt", "value": "I begin"}]},
        {"id": "3", "conversations": []},
        {"id": "4", "conversations": [{"from": "user", "value": "yo"}]},
    ]
    assert read_prompt_file(written(tmp_path, json.dumps(entries))).items == (Item("hi"), Item("yo"))


def test_a_trace_is_in_order_and_begins_at_0(tmp_path: Path) -> None:
    lines = [
        {"timestamp": 4000, "input_length": 1100, "output_length": 5, "hash_ids": [0, 2, 3]},
        {"timestamp": 1000, "input_length": 1030, "output_length": 6, "hash_ids": [0, 1, 5]},
    ]
    found = read_prompt_file(written(tmp_path, "\n".join(map(json.dumps, lines))))
    assert found.times_s == (0.0, 3.0)
    assert found.items == (Item(None, 6, 1030, (0, 1, 5)), Item(None, 5, 1100, (0, 2, 3)))


def test_requests_of_a_trace_share_the_blocks_they_number(tmp_path: Path) -> None:
    items = (Item(None, 6, 1030, (0, 1, 5)), Item(None, 5, 1100, (0, 2, 3)))
    calibration = Calibration(6, ("a", "b", "c"), (1, 1, 1))
    source = RequestSource(Workload(items=items, in_order=True), calibration, 1, "s")
    first, second = source.request(0), source.request(1)
    assert (first.input_tokens, second.input_tokens) == (1030, 1100)
    words, others = str(first.prompt).split()[1:], str(second.prompt).split()[1:]
    assert (len(words), len(others)) == (1024, 1094)
    assert words[:512] == others[:512]
    assert words[512:] != others[512:1024]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no prompts"),
        ("[]", "no prompts"),
        ("[1]", r"\[0\]: not a JSON object"),
        ("[", "not JSON"),
        ('{"prompt": "a"}\n{"prompt": ', ":2: not JSON"),
        ('{"prompt": "a"}\n7', ":2: not a JSON object"),
        ('{"text": "a"}', ":1: has no 'prompt'"),
        ('{"prompt": ""}', ":1: has no 'prompt'"),
        ('{"prompt": "a", "output_tokens": 0}', ":1: output_tokens"),
        ('{"messages": ["a"]}', ":1: has no 'prompt'"),
        ('{"timestamp": 0, "input_length": 0, "output_length": 1}', ":1: input_length"),
        ('{"timestamp": "x", "input_length": 1, "output_length": 1}', ":1: timestamp"),
        ('{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [-1]}', ":1: hash_ids"),
    ],
)
def test_what_cannot_be_used_is_one_line_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        read_prompt_file(written(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_prompt_file(tmp_path / "absent")
    (tmp_path / "latin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_prompt_file(tmp_path / "latin")


def test_the_command_sends_a_files_prompts_and_replays_a_trace(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve()
    jsonl = written(
        tmp_path, '{"prompt": "eins", "output_tokens": 2}\n{"prompt": "zwei", "output_tokens": 3}'
    )
    options = ["--warmup", "0", "--json", "-"]
    with pytest.raises(SystemExit):
        main(["load", server.url, "--prompts", str(jsonl), "--requests", "4", *options])
    sent = [(r.body["messages"][0]["content"], r.body["max_tokens"]) for r in server.requests[-4:]]
    assert sorted(sent) == [("eins", 2), ("eins", 2), ("zwei", 3), ("zwei", 3)]
    capsys.readouterr()
    line = '{{"timestamp": {}, "input_length": 30, "output_length": 3, "hash_ids": [0]}}\n'
    trace = written(tmp_path, "".join(line.format(100 * i) for i in range(5)))
    with pytest.raises(SystemExit):
        main(["load", server.url, "--prompts", str(trace), "--stretch", "0.5", *options])
    [stage] = json.loads(capsys.readouterr().out)["stages"]
    assert stage["requests"]["sent"] == 5
    assert stage["load"]["kind"] == "trace-replay"
    assert stage["ttft_ms"]["count"] == 5
