"""``harness explain`` and ``harness params`` as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.cli.help_cache import age, cached_versions, load_cached, store
from harness.errors import UserError
from harness.params.explain import codes

Run = Callable[..., tuple[int, str, str]]


def test_explain_shows_a_rules_page(run: Run) -> None:
    code, out, _ = run("explain", "value-not-allowed")
    assert code == 0
    assert out.startswith("value-not-allowed (parse, error)\n\nThe flag takes one of a fixed list of values")
    assert "\nWrong:\n\n    --kv-cache-dtype fp_8\n\nRight:\n\n    --kv-cache-dtype fp8\n" in out
    assert "the deployment never becomes `ready`" in " ".join(out.split())
    assert "After # stands" not in out


def test_explain_says_what_stands_after_an_example(run: Run) -> None:
    out = run("explain", "idle-gpus")[1]
    assert "    --tensor-parallel-size 2    # gpu-count: 4\n" in out
    assert out.splitlines()[-1].startswith("After # stands what an example is judged with")


@pytest.mark.parametrize("code", codes())
def test_no_page_shows_the_marks_of_its_source(run: Run, code: str) -> None:
    out = run("explain", code)[1]
    assert "``" not in out
    assert "::\n" not in out
    assert out.count("Wrong:\n") == out.count("Right:\n") == 1


def test_explain_suggests_the_code_that_was_meant(run: Run) -> None:
    code, out, err = run("explain", "value-not-alowed")
    assert (code, out) == (2, "")
    assert err == "error: no rule has the code 'value-not-alowed'; did you mean 'value-not-allowed'?\n"


def test_explain_without_a_code_lists_every_rule(run: Run) -> None:
    code, out, _ = run("explain", "--json")
    pages = json.loads(out)
    assert code == 0
    assert len(pages) > 60
    assert {"code", "stage", "severity", "title"} == set(pages[0])
    assert len(run("explain")[1].splitlines()) == len(pages)


def test_params_list_has_every_parameter(run: Run) -> None:
    code, out, err = run("params", "list", "--engine-version", "0.12.0")
    assert code == 0
    assert len(out.splitlines()) == 195
    assert "derived from vLLM 0.12.0" in err


def test_params_show_finds_a_flag_by_any_spelling(run: Run) -> None:
    by_name = json.loads(run("params", "show", "tensor_parallel_size", "--json")[1])
    assert by_name["flags"] == ["--tensor-parallel-size", "-tp"]
    assert json.loads(run("params", "show", "--json", "--", "-tp")[1]) == by_name
    assert "cudagraph_mode: name of" in run("params", "show", "compilation-config")[1]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("--max-model-len", "max-model-len"),
        ("--max_model_len=4096", "max-model-len"),
        ("--max-model", "max-model-len"),
        ("-tp", "tensor-parallel-size"),
        ("tp", "tensor-parallel-size"),
        ("-dph", "data-parallel-hybrid-lb"),
        ("--no-enable-prefix-caching", "enable-prefix-caching"),
        ("--compilation-config.cudagraph_mode", "compilation-config"),
        ("-O3", "optimization-level"),
    ],
)
def test_params_show_takes_a_flag_as_it_stands_in_a_list(run: Run, written: str, name: str) -> None:
    for words in (
        ("--json", written, "--engine-version", "0.15.1"),
        ("--engine-version", "0.15.1", "--json", written),
    ):
        code, out, _ = run("params", "show", *words)
        assert (code, json.loads(out)["name"]) == (0, name)


def test_params_show_says_aliases_and_which_versions_have_it(run: Run) -> None:
    lines = run("params", "show", "-ep")[1].splitlines()
    assert "flags          --enable-expert-parallel, --no-enable-expert-parallel, -ep" in lines
    assert "versions       0.12.0, 0.15.1" in lines
    assert "versions       0.15.1" in run("params", "show", "attention-backend")[1].splitlines()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--task",),
            "vLLM 0.15.1 has no --task any more, 0.12.0 still had it; use --runner and --convert; "
            "`harness params show task --engine-version 0.12.0` shows it",
        ),
        (
            ("guided-decoding-backend",),
            "vLLM 0.15.1 has no --guided-decoding-backend any more: it went before every version known here; "
            "use --structured-outputs-config.backend",
        ),
        (
            ("--device",),
            "vLLM 0.15.1 has no --device any more: it went before every version known here; nothing replaces it",
        ),
        (
            ("attention-backend", "--engine-version=0.12.0"),
            "vLLM 0.12.0 does not have --attention-backend yet, 0.15.1 has",
        ),
        (
            ("-ep", "--engine-version", "0.12.0"),
            "vLLM 0.12.0 has no -ep, 0.15.1 has: it is --enable-expert-parallel",
        ),
        (
            ("max-num",),
            "'max-num' may be --max-num-batched-tokens or --max-num-partial-prefills or --max-num-seqs",
        ),
        (
            ("max-model-length",),
            "vLLM 0.15.1 has no parameter 'max-model-length'; did you mean --max-model-len?",
        ),
        (("max-tokens",), "vLLM 0.15.1 has no parameter 'max-tokens'; did you mean --max-model-len?"),
        (("qqqq",), "vLLM 0.15.1 has no parameter 'qqqq'; `harness params list` has them all"),
    ],
)
def test_params_show_says_what_became_of_a_name_that_is_not_there(
    run: Run, words: tuple[str, ...], said: str
) -> None:
    assert run("params", "show", *words) == (2, "", f"error: {said}\n")


def test_params_show_has_the_description_where_a_document_has_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    entry = {"name": "seed", "flags": ["--seed"], "type": "integer", "description": "For reproducibility."}
    now = datetime(2026, 1, 2, tzinfo=UTC)
    folder = tmp_path / "inference-harness" / "help"
    store("0.15.1", {"parameters": [entry]}, source="https://api.example", now=now, folder=folder)
    assert "description    For reproducibility." in run("params", "show", "--seed")[1].splitlines()


def test_params_diff_has_what_the_versions_really_differ_in(run: Run) -> None:
    code, out, _ = run("params", "diff", "0.12.0", "0.15.1", "--json")
    changes = json.loads(out)
    assert code == 0
    assert sorted(change["name"] for change in changes if change["kind"] == "removed") == [
        "cuda-graph-sizes",
        "disable-mm-preprocessor-cache",
        "enable-multimodal-encoder-data-parallel",
        "task",
    ]
    assert sum(change["kind"] == "added" for change in changes) == 17
    assert sum(change["aspect"] == "default" for change in changes) == 8
    async_default = next(c for c in changes if c["name"] == "async-scheduling" and c["aspect"] == "default")
    assert (async_default["before"], async_default["after"]) == ("False", "None")


def test_a_version_nobody_knows_is_told_with_what_is_at_hand(
    run: Run, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code, _, err = run("params", "list", "--engine-version", "0.99.0")
    assert code == 2
    assert err == (
        "error: vLLM 0.99.0 is not known here; known are 0.12.0, 0.15.1; "
        "`harness params fetch 0.99.0` asks the API for its parameters\n"
    )


def test_what_a_simulator_answers_is_kept_where_no_command_reads_it(
    make_cloud: Callable[..., Any], tmp_path: Path
) -> None:
    cloud = make_cloud()
    cloud.environment["XDG_CACHE_HOME"] = str(tmp_path)
    endpoint = cloud.environment["EXOSCALE_API_ENDPOINT"]
    done = cloud.run("params", "fetch", "v0.15.1")
    assert (done.returncode, done.stderr) == (
        0,
        f"SIMULATED: {endpoint} is no real API; no command reads it\n",
    )
    folder = tmp_path / "inference-harness" / "help"
    kept = folder / "simulated" / "help-0.15.1.json"
    document = json.loads(kept.read_text(encoding="utf-8"))
    assert document["provenance"]["source"] == endpoint
    count = len(document["document"]["parameters"])
    assert done.stdout == f"vLLM 0.15.1: {count} parameters, kept in {kept}\n"
    assert cached_versions(folder) == ()
    assert load_cached("0.15.1", folder) is None
    assert "derived from vLLM 0.15.1" in cloud.run("params", "list").stderr


def test_a_fetched_document_makes_its_version_known(run: Run, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    document = {
        "parameters": [{"name": "brand-new", "flags": ["--brand-new"], "type": "integer", "default": "3"}]
    }
    folder = tmp_path / "inference-harness" / "help"
    then = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    found = store("0.26.0", document, source="https://api.example", now=then, folder=folder)
    assert age(found, then + timedelta(days=3)) == "3 days"
    assert age(found, then + timedelta(hours=5)) == "5 hours"
    assert [path.name for path in folder.iterdir()] == ["help-0.26.0.json"]
    code, out, err = run("params", "list", "--engine-version", "0.26.0")
    assert code == 0
    assert out.splitlines()[1].split() == ["--brand-new", "integer", "3"]
    assert "https://api.example, fetched " in err
    assert err.endswith(" days ago\n")


@pytest.mark.parametrize("version", ["../x", "", "a/b", ".hidden"])
def test_a_version_that_is_no_file_name_is_refused(version: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not an engine version"):
        store(version, {"parameters": []}, source="s", now=datetime.now(UTC), folder=tmp_path)


def test_a_damaged_cache_file_counts_as_absent(tmp_path: Path) -> None:
    (tmp_path / "help-1.0.json").write_text('{"document": ', encoding="utf-8")
    assert load_cached("1.0", tmp_path) is None
