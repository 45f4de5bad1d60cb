"""What runs is compared with what was asked, from the engine's own line (recorded from vLLM 0.15.1)."""

from __future__ import annotations

from harness.plan.cells import Cell
from harness.sweep.running import differences, running_arguments

LINE = (
    "(APIServer pid=1) INFO 11-23 16:49:01 [utils.py:325] non-default args: {'model_tag': '/models/tiny', "
    "'api_server_count': 1, 'host': '127.0.0.1', 'dtype': 'bfloat16', 'max_model_len': 2048, 'enforce_eager': True, "
    "'served_model_name': ['tiny-llama'], 'max_num_seqs': 4}"
)


def cell(*parameters: str) -> Cell:
    return Cell("gpua5000", 1, 1, "0.15.1", "m", parameters)


def test_the_line_is_read_and_the_last_one_counts() -> None:
    later = LINE.replace("'max_num_seqs': 4", "'max_num_seqs': 8")
    assert (running_arguments([LINE]) or {})["max_num_seqs"] == 4
    assert (running_arguments(["x", LINE, later, "y"]) or {})["max_num_seqs"] == 8


def test_a_log_without_the_line_says_nothing() -> None:
    assert running_arguments(["INFO started", "non-default args: {'a': <object>}"]) is None


def test_what_runs_as_asked_has_no_difference_however_it_was_spelled() -> None:
    running = running_arguments([LINE]) or {}
    asked = cell(
        "--max_model_len=2048", "--enforce-eager", "--dtype", "bfloat16", "--max-num-seqs=4", "--seed=3"
    )
    assert differences(asked, running) == []


def test_a_value_that_runs_otherwise_is_named() -> None:
    running = running_arguments([LINE]) or {}
    assert differences(cell("--max-model-len=4k", "--max-num-seqs=4"), running) == [
        "asked for --max-model-len 4000, it runs with 2048"
    ]
