"""What a sweep file's workload keeps beside it: found from its folder, read to plan, told in one line when wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.load.workload import Item
from harness.plan.config import SweepConfig, load_config
from harness.sweep.loads import workload

TINY = Path(__file__).resolve().parents[2] / "configs" / "models" / "tiny-llama"
SWEEP = "model: m/m\ngpu-type: a\nengine-version: '0.15.1'\nworkload: {workload}\nload: [{load}]\n"
TRACE = '{"timestamp": %d, "input_length": 30, "output_length": 3, "hash_ids": [0]}\n'


def loaded(
    folder: Path, workload: str, load: str = "{concurrency: 1, duration: 1s}", **files: str
) -> SweepConfig:
    """The sweep file ``folder/sweeps/x.yaml`` with ``files`` beside it."""
    (folder / "sweeps").mkdir()
    for name, text in files.items():
        (folder / "sweeps" / name).write_text(text, encoding="utf-8")
    path = folder / "sweeps" / "x.yaml"
    path.write_text(SWEEP.format(workload=workload, load=load))
    return load_config(str(path))


def test_prompts_are_read_from_the_sweep_files_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    found = loaded(
        tmp_path, "{prompts: talks}", talks='{"turns": ["a", "b"]}\n{"prompt": "c", "output_tokens": 4}'
    )
    assert found.workload.prompt_file is not None
    assert found.workload.prompt_file.items == (Item("a", later=("b",)), Item("c", 4))


def test_messages_are_taken_in_turns_where_turns_are_asked_for(tmp_path: Path) -> None:
    messages = [{"role": role, "content": role} for role in ("user", "assistant", "user")]
    found = loaded(tmp_path, "{prompts: talks, turns: all}", talks=json.dumps({"messages": messages}))
    assert found.workload.prompt_file is not None
    [item] = found.workload.prompt_file.items
    assert (item.prompt, item.later) == ([messages[0]], ([messages[2]],))


def test_counts_come_from_a_file_with_weights_and_comments(tmp_path: Path) -> None:
    text = "# seen in March\n64\n128, 3\n256 0.5 # long\n\n"
    found = loaded(tmp_path, "{output-tokens: {distribution: empirical, file: seen}}", seen=text)
    assert (found.workload.output_tokens.values, found.workload.output_tokens.weights) == (
        (64, 128, 256),
        (1.0, 3.0, 0.5),
    )


@pytest.mark.parametrize(
    ("workload", "load", "text", "words"),
    [
        ("{prompts: f}", "{concurrency: 1, duration: 1s}", "{", r"f:1: not JSON"),
        (
            "{prompts: f}",
            "{trace: true}",
            '{"prompt": "a"}',
            r"x.yaml:4:12: a load level replays a trace, but .*f has no",
        ),
        (
            "{input-tokens: {distribution: empirical, file: f}}",
            "{rate: 1, duration: 1s}",
            "1\nx",
            "f:2: not a count",
        ),
        (
            "{input-tokens: {distribution: empirical, file: f}}",
            "{rate: 1, duration: 1s}",
            "0",
            "no counts of tokens",
        ),
        (
            "{input-tokens: {distribution: empirical, file: f}}",
            "{rate: 1, duration: 1s}",
            "1 2 3",
            "f:1: not a",
        ),
        (
            "{tokenizer: f}",
            "{rate: 1, duration: 1s}",
            "{}",
            r"x.yaml:4:11: .*holds no tokenizer that can be read",
        ),
    ],
)
def test_what_a_file_cannot_give_is_one_line(
    tmp_path: Path, workload: str, load: str, text: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        loaded(tmp_path, workload, load, f=text)
    assert "\n" not in str(raised.value)


def test_linting_reads_neither_prompts_nor_numpy(tmp_path: Path) -> None:
    loaded(tmp_path, "{prompts: f}", "{trace: true}", f=TRACE % 0)
    (tmp_path / "sweeps" / "f").write_text("no JSON any more")
    script = (
        "import sys\nfrom harness.cli.main import main\n"
        f"try: main(['lint', {str(tmp_path / 'sweeps' / 'x.yaml')!r}])\n"
        "except SystemExit as ended: print(ended.code, 'numpy' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1].split()[1] == "False"
    assert "f:1" not in ran.stdout


def test_a_tokenizer_is_found_beside_the_sweep_file_and_makes_prompts_exact(tmp_path: Path) -> None:
    (tmp_path / "sweeps" / "model").mkdir(parents=True)
    shutil.copy(TINY / "tokenizer.json", tmp_path / "sweeps" / "model")
    path = tmp_path / "sweeps" / "x.yaml"
    path.write_text(SWEEP.format(workload="{tokenizer: model}", load="{concurrency: 1, duration: 1s}"))
    made = workload(load_config(str(path)).workload)
    assert made.tokenizer == str(tmp_path / "sweeps" / "model" / "tokenizer.json")
