"""What runs is compared with what was asked, from the engine's own line (recorded from vLLM 0.15.1)."""

from __future__ import annotations

import pytest

from harness.plan.cells import Cell
from harness.sweep.running import answer_differences, log_differences, running_arguments, running_version

# With the colours that an engine writes to a file as well.
LINE = (
    "\x1b[0;36m(APIServer pid=1)\x1b[0;0m INFO 11-23 16:49:01 [utils.py:325] non-default args: "
    "{'model_tag': '/models/tiny', 'api_server_count': 1, 'host': '127.0.0.1', "
    "'dtype': 'bfloat16', 'max_model_len': 2048, 'enforce_eager': True, "
    "'served_model_name': ['tiny-llama'], 'max_num_seqs': 4}"
)

VERSION_LINES = (
    "\x1b[0;36m(APIServer pid=26944)\x1b[0;0m INFO 11-25 10:32:35 [utils.py:325] "
    " ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.15.1",
    "\x1b[0;36m(EngineCore_DP0 pid=27236)\x1b[0;0m INFO 11-25 10:33:02 [core.py:96] "
    "Initializing a V1 LLM engine (v0.15.1) with config: model='/models/tiny', max_seq_len=2048",
    "(APIServer pid=1) INFO 11-23 16:49:01 [api_server.py:1351] vLLM API server version 0.15.1",
)


def cell(*parameters: str) -> Cell:
    return Cell("gpua5000", 1, 1, "0.15.1", "m", parameters)


def test_the_line_is_read_and_the_last_one_counts() -> None:
    later = LINE.replace("'max_num_seqs': 4", "'max_num_seqs': 8")
    assert (running_arguments([LINE]) or {})["max_num_seqs"] == 4
    assert (running_arguments(["x", LINE, later, "y"]) or {})["max_num_seqs"] == 8


def test_a_log_without_the_line_says_nothing() -> None:
    assert running_arguments(["INFO started", "non-default args: nothing"]) is None
    assert log_differences(cell("--max-num-seqs=4"), ["INFO started"]) is None


def test_an_object_of_the_engines_own_does_not_hide_the_rest_of_the_line() -> None:
    line = LINE.replace("'dtype'", "'compilation_config': {'mode': <Mode.NONE: 0>, 'sizes': [1, 2]}, 'dtype'")
    running = running_arguments([line]) or {}
    assert "compilation_config" not in running
    assert (running["dtype"], running["max_num_seqs"], running["served_model_name"]) == (
        "bfloat16",
        4,
        ["tiny-llama"],
    )


def test_what_runs_as_asked_has_no_difference_however_it_was_spelled() -> None:
    asked = cell("--max_model_len=2048", "--enforce-eager", "--dtype", "bfloat16", "--max-num-seqs=4")
    assert log_differences(asked, [LINE]) == []


def test_a_value_that_runs_otherwise_is_named() -> None:
    assert log_differences(cell("--max-model-len=4k", "--max-num-seqs=4"), [LINE]) == [
        "asked for --max-model-len 4000, it runs with 2048"
    ]


def test_a_value_that_is_not_shown_runs_at_its_default() -> None:
    assert log_differences(cell("--gpu-memory-utilization=0.8"), [LINE]) == [
        "asked for --gpu-memory-utilization 0.8, it runs with its default 0.9"
    ]
    assert log_differences(cell("--gpu-memory-utilization=0.90"), [LINE]) == []


def test_what_a_moved_deployment_was_asked_before_may_not_be_left_over() -> None:
    before = ("--max-num-seqs=4", "--enforce-eager")
    assert log_differences(cell("--enforce-eager"), [LINE], before=before) == [
        "did not ask for --max-num-seqs, it still runs with 4"
    ]


@pytest.mark.parametrize("line", VERSION_LINES)
def test_another_engine_version_is_named(line: str) -> None:
    assert running_version(["x", line]) == "0.15.1"
    asked = Cell("gpua5000", 1, 1, "0.12.0", "m", ())
    assert log_differences(asked, [line]) == ["asked for vLLM 0.12.0, it runs 0.15.1"]
    assert log_differences(cell(), [line, LINE]) == []


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (("--max-num-seqs=4", "--enforce-eager"), ("--enforce-eager", "--max-num-seqs", "4")),
        (("--max-model-len=4k",), ("--max_model_len=4000",)),
        (("--max-num-seqs=4",), ("--max-num-seqs=4", "--tensor-parallel-size=2")),
        ((), ()),
    ],
)
def test_an_answer_that_means_the_same_is_no_difference(
    asked: tuple[str, ...], shown: tuple[str, ...]
) -> None:
    assert answer_differences(cell(*asked), shown) == []


@pytest.mark.parametrize(
    ("asked", "shown", "told"),
    [
        (("--max-num-seqs=4",), (), "asked for --max-num-seqs 4, the answer has none"),
        (("--max-num-seqs=4",), ("--max-num-seqs=8",), "asked for --max-num-seqs 4, the answer has 8"),
        ((), ("--enforce-eager",), "did not ask for --enforce-eager, the answer has True"),
        ((), ("garbage",), "asked for parameters [], the answer has ['garbage']"),
    ],
)
def test_an_answer_that_means_something_else_is_named(
    asked: tuple[str, ...], shown: tuple[str, ...], told: str
) -> None:
    assert answer_differences(cell(*asked), shown) == [told]
