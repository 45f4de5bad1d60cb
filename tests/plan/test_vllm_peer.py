"""vLLM's own sweep is asked what it would run, and our cells have to be given the same.

Runs when HARNESS_ENGINE_0_15_1 names its ``vllm`` command; its Python is taken from beside it.
"""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest
import yaml

from harness.plan.config import load_config
from harness.plan.matrix import expand
from harness.plan.vllm_params import applied, combinations, pairs
from harness.plan.vllm_sweep import VllmSweep, imported
from tests.real_engine import engine_command

ASK = """
import json, sys
from vllm.benchmarks.sweep.param_sweep import ParameterSweep
answers = []
for case in json.load(open(sys.argv[1])):
    document = case["params"]
    read = ParameterSweep.read_from_dict if isinstance(document, dict) else ParameterSweep.from_records
    answers.append([item.apply_to_cmd(case["command"]) for item in read(document)])
print(json.dumps(answers))
"""
KEYS = (
    "max_num_seqs", "max-num-seqs", "enable_prefix_caching", "enable-chunked-prefill", "compilation_config",
    "compilation_config.mode", "compilation_config.pass_config.fuse_norm_quant", "compilation-config.cudagraph_mode",
    "quantization", "tensor_parallel_size", "gpu_memory_utilization", "served_model_name", "a.b-c_d", "seed",
)  # fmt: skip
VALUES = (True, False, 1, 0.5, "fp8", None, {"mode": 3, "x": [1, "y z"]}, [1, 2], "a b")
WORDS = (
    ["--max-num-seqs", "8"], ["--max_num_seqs", "8"], ["--enable-prefix-caching"], ["--compilation-config.mode", "0"],
    ["--seed=4"], ["--no-enable-chunked-prefill"], ["--gpu_memory_utilization", "0.8"],
)  # fmt: skip


def asked(cases: list[dict[str, object]], folder: Path) -> list[list[list[str]]]:
    command = engine_command("0.15.1")
    path = folder / "cases.json"
    path.write_text(json.dumps(cases), encoding="utf-8")
    python = Path(command).parent / "python"
    output = subprocess.run(
        [python, "-c", ASK, path], check=True, capture_output=True, text=True, timeout=240
    )
    answers: list[list[list[str]]] = json.loads(output.stdout.splitlines()[-1])
    return answers


@pytest.mark.peer
def test_combinations_make_the_command_lines_that_vllm_makes(tmp_path: Path) -> None:
    draw = random.Random(1)
    cases: list[dict[str, object]] = []
    for number in range(400):
        command = [
            "vllm",
            "serve",
            "m",
            *(word for part in draw.sample(WORDS, 3) for word in part),
            "--last",
            "1",
        ]
        chosen = [{key: draw.choice(VALUES) for key in draw.sample(KEYS, 4)} for _ in range(2)]
        named = {f"n{place}": item for place, item in enumerate(chosen)}
        cases.append({"command": command, "params": named if number % 2 else chosen})
    answers = asked(cases, tmp_path)
    assert len(answers) == 400
    for case, answer in zip(cases, answers, strict=True):
        command, params = case["command"], case["params"]
        assert isinstance(command, list)
        assert [applied(command, item) for item in combinations(params, "x")] == answer, case


@pytest.mark.peer
def test_our_cells_are_given_what_vllms_sweep_would_give_its_servers(tmp_path: Path) -> None:
    serves = [
        {"max_num_seqs": 32, "enable_prefix_caching": False},
        {
            "max_num_seqs": 64,
            "compilation_config.mode": 3,
            "compilation_config.use_inductor_graph_partition": True,
        },
        {"_benchmark_name": "json", "speculative_config": {"method": "ngram", "num_speculative_tokens": 3}},
    ]
    command = ["vllm", "serve", "Qwen/Qwen2.5-7B-Instruct", "--max-num-seqs", "8", "--max-model-len", "4096"]
    (expected,) = asked([{"command": command, "params": serves}], tmp_path)
    (made,) = imported(
        VllmSweep(command, ["vllm", "bench", "serve"], serves, [{}], ["gpua5000"], "0.15.1", name="peer")
    )
    path = tmp_path / "peer.yaml"
    path.write_text(made.text, encoding="utf-8")
    assert yaml.safe_load(made.text)["name"] == "peer"
    cells = [list(cell.parameters) for cell in expand(load_config(str(path)))]
    assert cells == [words[3:] for words in expected]
    assert len(list(pairs(serves, [{}], ()))) == len(cells) == 3
