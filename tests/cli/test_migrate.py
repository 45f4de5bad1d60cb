"""``harness migrate`` as a user runs it: what breaks on another version, and what cannot be said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
MANIFEST = """\
containers:
- image: vllm/vllm-openai:v0.12.0
  command: [vllm, serve, m/m]
  args: [--task=generate, --dtype=fp16]
"""


def test_migrate_shows_what_breaks_and_what_replaces_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text(
        "parameters:\n  - --disable-mm-preprocessor-cache\n  - --max-num-seqs=64\n", encoding="utf-8"
    )
    code, out, err = run("migrate", str(path), "--from", "0.12.0", "--to", "0.15.1")
    assert code == 1
    assert f"{path}:2:5: error[removed-flag]" in out
    assert "use --mm-processor-cache-gb 0" in out
    assert "default of --async-scheduling: False in 0.12.0, None in 0.15.1" in out
    assert err == "1 thing breaks on vLLM 0.15.1\n"


def test_migrate_leaves_out_what_is_wrong_today_already(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("parameters:\n  - --dtype=fp16\n", encoding="utf-8")
    code, out, err = run("migrate", str(path), "--from", "0.12.0", "--to", "0.15.1", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["defaults"]
    assert json.loads(out)["errors_today"] == {str(path): 1}


def test_errors_of_today_are_counted_beside_what_breaks(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("parameters: [--task=generate, --dtype=fp16, --bogus]\n", encoding="utf-8")
    code, out, err = run("migrate", str(path), "--from", "0.12.0", "--to", "0.15.1")
    assert (code, out.count("error[")) == (1, 1)
    assert err == f"1 thing breaks on vLLM 0.15.1, and 2 errors that it has already: harness lint {path}\n"


def test_a_manifests_image_says_what_runs_today(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "k8s.yaml"
    path.write_text(MANIFEST, encoding="utf-8")
    code, out, err = run("migrate", str(path), "--to", "0.15.1")
    already = f"and 1 error that it has already: harness lint {path}"
    assert (code, err) == (1, f"1 thing breaks on vLLM 0.15.1, {already}\n")
    assert f"{path}:4:10: error[removed-flag]" in out
    assert "fp16" not in out.replace("args: [--task=generate, --dtype=fp16]", "")
    assert "default of --async-scheduling: False in 0.12.0, None in 0.15.1" in out


def test_nothing_is_said_to_work_where_todays_version_is_not_known(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "args.txt"
    path.write_text("--task=generate\n--dtype=fp16\n", encoding="utf-8")
    code, out, err = run("migrate", str(path), "--to", "0.15.1")
    assert code == 1
    assert f"{path}:1:1: error[removed-flag]" in out
    assert f"{path}:2:9: error[value-not-allowed]" in out
    assert "default of" not in out
    note, last = err.splitlines()
    assert note == (
        f"note: {path} does not say the present vLLM version (--from V does); "
        "all that vLLM 0.15.1 objects to is shown, new or not"
    )
    assert last == "2 errors, 0 warnings on vLLM 0.15.1; what breaks there and works today is not known"


def test_a_list_that_the_new_version_takes_is_not_said_to_break_nothing(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "args.txt"
    path.write_text("--max-num-seqs=8\n", encoding="utf-8")
    code, out, err = run("migrate", str(path), "--to", "0.15.1")
    assert (code, out) == (0, "")
    assert "nothing breaks" not in err
    assert err.endswith(
        "0 errors, 0 warnings on vLLM 0.15.1; what breaks there and works today is not known\n"
    )
    assert (
        run("migrate", str(path), "--from", "0.12.0", "--to", "0.15.1")[2]
        == "nothing breaks on vLLM 0.15.1\n"
    )


def test_a_version_nothing_is_known_of_is_no_ground_either(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "k8s.yaml"
    path.write_text(MANIFEST.replace("v0.12.0", "v0.11.2"), encoding="utf-8")
    code, out, err = run("migrate", str(path), "--to", "0.15.1", "--json")
    document = json.loads(out)
    assert (code, err) == (1, "")
    assert [found["code"] for found in document["diagnostics"]] == ["removed-flag", "value-not-allowed"]
    assert (document["from"], document["defaults"]) == ([], [])
    assert document["from_not_known"] == {"lists_without_version": 0, "versions": ["0.11.2"]}
    assert (
        "vLLM 0.11.2 is not known here; known are 0.12.0, 0.15.1"
        in run("migrate", str(path), "--to", "0.15.1")[2]
    )


def test_of_two_lists_only_the_one_without_a_version_is_shown_whole(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    second = "- {image: 'vllm/vllm-openai:latest', args: [--dtype=fp16]}\n"
    path.write_text(MANIFEST.replace("--task=generate, ", "") + second, encoding="utf-8")
    code, out, err = run("migrate", str(path), "--to", "0.15.1")
    assert code == 1
    assert [line for line in out.splitlines() if "error[" in line] == [
        line for line in out.splitlines() if f"{path}:5:" in line
    ]
    assert out.count("error[value-not-allowed]") == 1
    assert "present vLLM version of 1 of its 2 lists (--from V does)" in err


def test_a_file_may_spell_the_present_version_with_a_v(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text(
        "engine-version: v0.12.0\nparameters: [--task=generate, --dtype=fp16]\n", encoding="utf-8"
    )
    already = f"and 1 error that it has already: harness lint {path}"
    assert run("migrate", str(path), "--to", "0.15.1")[2] == f"1 thing breaks on vLLM 0.15.1, {already}\n"


def test_versions_may_be_written_as_images_and_people_write_them(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "args.txt"
    path.write_text("--task=generate\n", encoding="utf-8")
    code, _, err = run("migrate", str(path), "--from", "v0.12.0", "--to", "0.15")
    assert code == 1
    assert err == "note: vLLM 0.15 taken for 0.15.1\n1 thing breaks on vLLM 0.15.1\n"


@pytest.mark.parametrize("name", ["nosuch", "none.yaml"])
def test_a_file_that_is_not_there_is_wrong_usage_and_no_break(run: Run, tmp_path: Path, name: str) -> None:
    code, out, err = run("migrate", str(tmp_path / name), "--to", "0.15.1")
    assert (code, out) == (2, "")
    assert err == f"error: cannot read '{tmp_path / name}': no such file or directory\n"


def test_a_file_without_parameters_is_no_break_either(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("a: {b: c}\n", encoding="utf-8")
    code, out, err = run("migrate", str(path), "--to", "0.15.1")
    assert (code, err) == (2, "")
    assert "config-unrecognised" in out
    path.unlink()
    assert run("migrate", str(tmp_path), "--to", "0.15.1") == (
        2,
        "",
        f"error: no engine parameters below '{tmp_path}'\n",
    )
