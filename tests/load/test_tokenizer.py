"""With a model's tokenizer prompts have exactly the wanted tokens, as a server counts that has the same one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tokenizers

from harness.cli.main import main
from harness.errors import UsageError
from harness.load.arrivals import ClosedLoop
from harness.load.conversations import Conversations
from harness.load.driver import run_stage
from harness.load.lengths import FixedLength, UniformLength
from harness.load.probe import probe_endpoint
from harness.load.prompts import VOCABULARY
from harness.load.records import Endpoint, RequestRecord
from harness.load.stage import Stage
from harness.load.tokenizer import token_counter, tokenizer_file
from harness.load.workload import Item, SharedPrefixes, Workload

Serve = Callable[..., Any]

TINY = Path(__file__).resolve().parents[2] / "configs" / "models" / "tiny-llama"


@pytest.fixture(scope="module")
def joining(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer that makes one token of several words: a text's count is not the sum of its words'."""
    rng = np.random.default_rng(0)
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=900, show_progress=False)
    tokenizer.train_from_iterator([" ".join(rng.choice(VOCABULARY, 400)) for _ in range(20)], trainer)
    path = tmp_path_factory.mktemp("joining") / "tokenizer.json"
    tokenizer.save(str(path))
    assert any(" " in token.strip() for token in tokenizer.get_vocab())
    return path


def counting(lab: ModuleType, file: Path) -> Any:
    """A server that counts the whole of a templated prompt with the tokenizer."""
    tokenizer = tokenizers.Tokenizer.from_file(str(file))

    async def handle(request: Any, reply: Any) -> None:
        if request.method == "GET":
            await lab.answering()(request, reply)
            return
        body = request.body
        messages = body.get("messages") or [{"role": "user", "content": body["prompt"]}]
        rendered = "".join(f"<|{m['role']}|>{m['content']}<|end|>" for m in messages) + "<|assistant|>"
        text = rendered if "messages" in body else body["prompt"]
        usage = lab.usage(len(tokenizer.encode(text, add_special_tokens=False)), body["max_tokens"])
        if not body["stream"]:
            await reply.whole(
                {**usage, "choices": [{"message": {"content": "x"}, "finish_reason": "length"}]}
            )
            return
        await reply.write(lab.STREAM_HEAD)
        await reply.event(lab.text("x", finish="length", ids=[1] * body["max_tokens"]))
        await reply.event(usage)
        await reply.event(b"[DONE]")
        await reply.write(b"0\r\n\r\n")

    return handle


def load(url: str, workload: Workload, requests: int = 40) -> list[RequestRecord]:
    async def run() -> list[RequestRecord]:
        endpoint = Endpoint(url, "tiny")
        probe = await probe_endpoint(endpoint, workload=workload, timeout_s=10.0)
        stage = Stage(arrivals=ClosedLoop(4), requests=requests)
        return (await run_stage(endpoint, stage, workload, probe=probe, seed=2)).records

    return asyncio.run(run())


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize("prefixes", [None, SharedPrefixes(2, 30)], ids=["own", "shared prefix"])
@pytest.mark.parametrize("kind", ["tiny", "joining"])
def test_every_prompt_has_exactly_its_tokens(
    serve: Serve, lab: ModuleType, joining: Path, kind: str, prefixes: SharedPrefixes | None, api: str
) -> None:
    file = TINY / "tokenizer.json" if kind == "tiny" else joining
    workload = Workload(
        input_tokens=UniformLength(80, 400), output_tokens=FixedLength(2), api=api, shared_prefixes=prefixes,
        tokenizer=str(file),
    )  # fmt: skip
    records = load(serve(counting(lab, file)).url, workload)
    assert len(records) == 40
    assert len({record.input_tokens_asked for record in records}) > 20
    assert [record.prompt_tokens for record in records] == [record.input_tokens_asked for record in records]


def test_without_it_a_tokenizer_that_joins_words_is_missed(
    serve: Serve, lab: ModuleType, joining: Path
) -> None:
    workload = Workload(input_tokens=FixedLength(300), output_tokens=FixedLength(2))
    records = load(serve(counting(lab, joining)).url, workload, requests=8)
    assert {record.prompt_tokens == 300 for record in records} == {False}


def test_without_it_a_tokenizer_that_keeps_words_apart_is_met(serve: Serve, lab: ModuleType) -> None:
    workload = Workload(input_tokens=UniformLength(80, 400), output_tokens=FixedLength(2))
    records = load(serve(counting(lab, TINY / "tokenizer.json")).url, workload)
    assert [record.prompt_tokens for record in records] == [record.input_tokens_asked for record in records]


def test_blocks_of_a_trace_and_first_turns_are_exact_too(
    serve: Serve, lab: ModuleType, joining: Path
) -> None:
    server = serve(counting(lab, joining))
    items = (Item(None, 2, 1100, (0, 1)), Item(None, 2, 700, (0,)))
    blocks = load(server.url, Workload(items=items, in_order=True, tokenizer=str(joining)), requests=4)
    assert [record.prompt_tokens for record in blocks] == [record.input_tokens_asked for record in blocks]
    assert {record.input_tokens_asked for record in blocks} == {1100, 700}
    held = Workload(
        input_tokens=FixedLength(90), output_tokens=FixedLength(2), conversations=Conversations(FixedLength(2)),
        tokenizer=str(joining),
    )  # fmt: skip
    turns = load(server.url, held, requests=4)
    assert [record.prompt_tokens for record in turns if record.turn == 1] == [90] * 4
    assert [record.input_tokens_asked for record in turns if record.turn == 2] == [None] * 4


def test_a_file_or_its_folder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        tokenizer_file(str(TINY))
        == tokenizer_file(str(TINY / "tokenizer.json"))
        == str(TINY / "tokenizer.json")
    )
    monkeypatch.chdir(TINY)
    assert tokenizer_file(".") == str(TINY / "tokenizer.json")
    library = tokenizers.Tokenizer.from_file(str(TINY / "tokenizer.json"))
    text = "the river, and more"
    assert token_counter(str(TINY))(text) == len(library.encode(text, add_special_tokens=False)) > 4


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.json", None, "no tokenizer at"),
        ("tokenizer.json", "{", "holds no tokenizer that can be read"),
        ("tokenizer.json", "{}", "holds no tokenizer that can be read"),
    ],
)
def test_what_is_no_tokenizer_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(SystemExit) as ended:
        main(["load", "http://127.0.0.1:9", "--tokenizer", str(tmp_path / name)])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UsageError, match=r"pip install 'inference-harness\[tokenizers\]'"):
        token_counter(str(TINY))


def test_settings_of_training_in_the_file_cut_nothing(tmp_path: Path) -> None:
    tokenizer = tokenizers.Tokenizer.from_file(str(TINY / "tokenizer.json"))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    text = " ".join(VOCABULARY)
    assert token_counter(str(tmp_path))(text) == token_counter(str(TINY))(text) > 64
