"""Keys and tokens in a file are never repeated in what ``lint`` and ``migrate`` print."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.cli.formats import NAMES
from harness.params.secrets import secrets_in, starred, without_secrets
from tests.command import run_here

PLANTED = "pl4nted.Secret"
TOKEN = "hunter2-Secret"
FILES = {
    "flow.yaml": f'parameters: ["--api-key", "{PLANTED}", --hf-token={TOKEN}, --max-model-len, 3x]\n',
    "block.yaml": f"parameters:\n  - --api-key\n  - {PLANTED}\n  - {TOKEN}\n  - --max-model-len\n  - 3x\n",
    "commented.yaml": f"parameters:\n- --api-key # ours\n- {PLANTED} # a\n# b\n- {TOKEN}\n- --hf-token\n# c\n"
    f"- {TOKEN}\n- --seed=x\n",
    "torn.yaml": f'parameters: ["--max-model-len 3x --api-key {PLANTED}", "--hf-token {TOKEN}"]\n',
    "misspelled.yaml": f"parameters: [--api-kye={PLANTED}, --hf_token, {TOKEN}, --apikey, {PLANTED}]\n",
    "mapping.yaml": f"parameters:\n  api-key: {PLANTED}\n  hf-token: '{TOKEN}'\n  max-model-len: 3x\n",
    "list.json": f'{{"parameters": ["--api-key", "{PLANTED}", "{TOKEN}", "--max-model-len", "3x"]}}\n',
    "list.txt": f"--api-key\n{PLANTED}\n{TOKEN}\n--max-model-len\n3x\n",
    "serve.sh": f"HF_TOKEN={TOKEN} vllm serve a/b --max-model-len 3x \\\n  --api-key \\\n {PLANTED} stray\n",
    "exo.sh": f'exo x --inference-engine-params "--api-key {PLANTED} {TOKEN} --max-model-len=3x"\n',
    "pod.yaml": "containers:\n- image: vllm/vllm-openai:v0.15.1\n"
    f"  args: [--model, a/b, --api-key, {PLANTED}, --max-model-len, 3x]\n"
    f"  env:\n  - name: HF_TOKEN\n    value: {TOKEN}\n",
    "unusable.yaml": f"parameters: [--api-key, {PLANTED}, --hf-token, {TOKEN}\n",
}


def printed(tmp_path: Path, *arguments: str) -> str:
    """What a command writes to both streams; ``lint`` must have found something."""
    result = run_here(*arguments, environment={**os.environ, "HOME": str(tmp_path)})
    assert result.returncode in (1, 2) or arguments[0] == "migrate", result.stderr
    return result.stdout + result.stderr


@pytest.mark.parametrize("name", FILES)
def test_no_format_repeats_a_secret(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(FILES[name])
    commands = [["lint", "--engine-version", "0.15.1", "--format", form, str(path)] for form in NAMES]
    moves = [["migrate", "--to", "0.15.1", *flag, str(path)] for flag in ([], ["--json"])]
    for command in (*commands, *moves):
        text = printed(tmp_path, *command)
        assert name in text or command[0] == "migrate"
        assert PLANTED not in text, command
        assert TOKEN not in text, command


def test_a_diff_and_what_was_mended_show_stars(tmp_path: Path) -> None:
    path = tmp_path / "torn.yaml"
    path.write_text(f'parameters: ["--hf-token {TOKEN}", --seed, "3"]\n')
    diff = printed(tmp_path, "lint", "--engine-version", "0.15.1", "--diff", str(path))
    assert '+parameters: ["--hf-token", "***"' in diff
    mended = printed(
        tmp_path, "lint", "--engine-version", "0.15.1", "--fix", "--fail-on", "warning", str(path)
    )
    assert "mended" in mended
    assert TOKEN not in diff + mended
    assert TOKEN in path.read_text()  # only what is shown has stars


def test_a_list_from_the_shell_shows_stars(tmp_path: Path) -> None:
    text = printed(tmp_path, "lint", "--engine-version", "0.15.1", "--", "--api-key", PLANTED, "--seed", "x")
    assert "--api-key ************** --seed x" in text


def test_a_change_that_would_repeat_a_secret_is_not_in_json(tmp_path: Path) -> None:
    path = tmp_path / "torn.yaml"
    path.write_text(FILES["torn.yaml"])
    result = run_here(
        "lint", "--engine-version", "0.15.1", "--format", "json", str(path), environment=dict(os.environ)
    )
    torn = [one for one in json.loads(result.stdout)["diagnostics"] if "two-tokens" in one["code"]]
    assert torn
    assert all(one["fix"] is None for one in torn)


@pytest.mark.parametrize(
    "text",
    [
        "vllm serve a/b --api-key $KEY --seed 1",
        'vllm serve a/b --api-key "${KEY}"',
        "parameters: [--api-key, null, --seed, 1]",
        "{api-key: null, seed: 1}",
        "--max-num-batched-tokens 4096 --api-server-count 2",
        "tokens: 500",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert starred(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    assert starred("{api-key: abc, seed: 1}") == "{api-key: ***, seed: 1}"
    assert starred("serve --api-key abc && echo done") == "serve --api-key *** && echo done"
    assert starred("serve --api-key abc # the key\nserve b") == "serve --api-key *** # the key\nserve b"
    assert starred("api-key: [ab, cd]\nseed: 1") == "api-key: [**, **]\nseed: 1"


def test_words_of_comments_are_not_taken_out_of_messages() -> None:
    assert secrets_in("# --api-key belongs to the platform\n--seed 1") == set()


def test_prose_loses_whole_words_only() -> None:
    assert without_secrets("'abc' is not abcd", {"abc"}) == "'***' is not abcd"
