"""``harness lint`` from the outside: what goes where, and how it ends."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from harness.cli.formats import NAMES
from harness.cli.main import main

WRONG = "- --max-model-len=4096\n- --bogus-flag\n"
RIGHT = "- --max-model-len=4096\n"
SWEEP = """\
model: m/m
matrix: {gpu-type: [gpua5000], engine-version: ["0.15.1"], parameters: {a: [--max-num-seqs=x], b: []}}
load: [{concurrency: 1, requests: 1}]
"""


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: bytes
    stderr: bytes


class Harness(Protocol):
    def __call__(self, *arguments: str, given: bytes = b"", cwd: Path | None = None) -> Done: ...


@pytest.fixture
def harness(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Harness:
    """The command in this process: standard input given, both outputs and the exit code caught."""

    def run(*arguments: str, given: bytes = b"", cwd: Path | None = None) -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        if cwd is not None:
            monkeypatch.chdir(cwd)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        sys.stdout.flush()
        caught = capfdbinary.readouterr()
        return Done(int(ended.value.code or 0), caught.out, caught.err)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "sub" / "wrong.yaml").write_text(WRONG)
    (tmp_path / "right.yml").write_text(RIGHT)
    (tmp_path / "other.yaml").write_text("a: 1\n")
    (tmp_path / "notes.md").write_text(WRONG)
    (tmp_path / ".hidden" / "x.yaml").write_text(WRONG)
    return tmp_path


@pytest.mark.parametrize("form", NAMES)
def test_exit_code_is_the_same_in_every_format(form: str, folder: Path, harness: Harness) -> None:
    assert harness("lint", "--format", form, "right.yml", cwd=folder).returncode == 0
    assert harness("lint", "--format", form, ".", cwd=folder).returncode == 1
    assert harness("lint", "--format", form, "--exit-zero", ".", cwd=folder).returncode == 0
    assert harness("lint", "--format", form, "no-such.yaml", cwd=folder).returncode == 2


def test_folder_is_searched_and_what_is_no_list_is_passed_over(folder: Path, harness: Harness) -> None:
    found = json.loads(harness("lint", "--format", "json", ".", cwd=folder).stdout)
    assert [(file["path"], file["lists"]) for file in found["files"]] == [
        ("right.yml", 1),
        ("sub/wrong.yaml", 1),
    ]
    errors = [(one["path"], one["line"], one["column"], one["code"]) for one in found["diagnostics"]]
    assert errors == [("sub/wrong.yaml", 2, 3, "unknown-flag")]


def test_file_that_is_named_must_be_one_to_lint(folder: Path, harness: Harness) -> None:
    done = harness("lint", "other.yaml", cwd=folder)
    assert done.returncode == 2
    assert b"no engine parameters here" in done.stdout


def test_unrecognised_file_is_passed_over_when_asked(folder: Path, harness: Harness) -> None:
    done = harness("lint", "--skip-unrecognised", "other.yaml", "right.yml", cwd=folder)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode().strip() == (
        "no findings in 1 list of 1 file; 1 file without engine parameters passed over"
    )


@pytest.mark.parametrize("form", NAMES)
def test_folder_with_nothing_to_lint_is_no_success(form: str, tmp_path: Path, harness: Harness) -> None:
    assert harness("lint", "--format", form, str(tmp_path)).returncode == 2
    (tmp_path / "other.yaml").write_text("a: 1\n")
    assert harness("lint", "--format", form, str(tmp_path)).returncode == 2
    assert harness("lint", "--format", form, "--skip-unrecognised", str(tmp_path)).returncode == 0


def test_nothing_to_lint_says_what_was_looked_for(tmp_path: Path, harness: Harness) -> None:
    said = harness("lint", str(tmp_path)).stderr.decode().strip()
    assert said.startswith(f"nothing to lint in '{tmp_path}': no file there ends in .yaml, .yml, .json")
    (tmp_path / "other.yaml").write_text("a: 1\n")
    said = harness("lint", str(tmp_path)).stderr.decode().strip()
    assert said == f"nothing to lint in '{tmp_path}': 1 file looked at, none with engine parameters in it"
    assert json.loads(harness("lint", "--format", "json", str(tmp_path)).stdout)["ok"] is False


SLIPS = "# mine\n- --enable-prefix-caching=true  # why\n- --seed 1\n- --bogus-flag\n"
MENDED = "# mine\n- --enable-prefix-caching  # why\n- --seed\n- '1'\n- --bogus-flag\n"


def test_fix_says_what_it_changed(tmp_path: Path, harness: Harness) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(SLIPS)
    done = harness("lint", "--fix", "--engine-version", "0.15.1", "x.yaml", cwd=tmp_path)
    assert path.read_text() == MENDED
    assert done.returncode == 1  # the unknown flag is left to the user
    lines = done.stderr.decode().splitlines()
    assert [line.split(": ")[:2] for line in lines[:-1]] == [
        ["x.yaml:2:27", "mended value-for-switch"],
        ["x.yaml:3:9", "mended two-tokens-in-one-item"],
    ]
    assert lines[-1] == "1 error in 1 list of 1 file; 2 mended"


def test_diff_shows_what_fix_would_change_and_changes_nothing(tmp_path: Path, harness: Harness) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(SLIPS)
    done = harness("lint", "--diff", "--engine-version", "0.15.1", "x.yaml", cwd=tmp_path)
    assert path.read_text() == SLIPS
    assert done.returncode == 1
    assert done.stdout.decode().splitlines() == [
        "--- x.yaml",
        "+++ x.yaml",
        "@@ -1,4 +1,5 @@",
        " # mine",
        "-- --enable-prefix-caching=true  # why",
        "-- --seed 1",
        "+- --enable-prefix-caching  # why",
        "+- --seed",
        "+- '1'",
        " - --bogus-flag",
    ]
    assert done.stderr.decode().strip() == "2 findings to mend in 1 file"
    harness("lint", "--fix", "--engine-version", "0.15.1", "x.yaml", cwd=tmp_path)
    again = harness("lint", "--diff", "--engine-version", "0.15.1", "x.yaml", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, b"")


def test_findings_go_to_stdout_and_the_count_to_stderr(folder: Path, harness: Harness) -> None:
    done = harness("lint", "sub/wrong.yaml", cwd=folder)
    assert done.stdout.startswith(b"sub/wrong.yaml:2:3: error[unknown-flag]: ")
    assert done.stderr.decode().strip() == "1 error in 1 list of 1 file"


def test_standard_input_is_a_path_called_dash(harness: Harness) -> None:
    done = harness("lint", "-", given=WRONG.encode())
    assert (done.returncode, done.stdout.split(b" ")[0]) == (1, b"-:2:3:")


@pytest.mark.parametrize(
    "given",
    [
        b"--max-model-len=4096\n--bogus-flag\n",
        b'["--max-model-len=4096", "--bogus-flag"]',
        b'parameters = ["--bogus-flag"]',
        b"vllm serve some/model --bogus-flag",
        b"parameters: [--bogus-flag]",
    ],
)
def test_kind_of_standard_input_is_told_by_its_text(given: bytes, harness: Harness) -> None:
    done = harness("lint", "-", given=given)
    assert (done.returncode, done.stdout.count(b"[unknown-flag]")) == (1, 1)


def test_list_after_two_dashes_is_judged_as_given(harness: Harness) -> None:
    done = harness("lint", "--engine-version", "0.15.1", "--", "--max-model-len", "32k", "-tp", "x y")
    assert done.returncode == 1
    assert done.stdout.decode().split("\n")[:3] == [
        "<args>:1:26: error[wrong-type]: -tp does not take 'x y' in vLLM 0.15.1",
        "  1 | --max-model-len 32k -tp 'x y'",
        "    |                          ^^^ must be an integer",
    ]
    assert harness("lint", "--engine-version", "0.15.1", "--").returncode == 0


def test_bytes_that_are_no_text_in_an_argument_do_no_harm() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness", "lint", "--format", "json", "--", b"--bogus\xff"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["diagnostics"][0]["code"] == "unknown-flag"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--batch", "-", "x.yaml"),
        ("--fix", "-"),
        ("--diff", "-"),
        ("--diff", "--format", "json", "x.yaml"),
        ("--fix", "--", "-tp"),
        ("--format", "xml", "x"),
        ("x.yaml", "--", "-tp"),
        ("--batch", "-", "--engine-version", "0.15.1"),
        ("--batch", "/no/such/file"),
    ],
)
def test_wrong_usage_ends_with_two_and_one_line_of_reason(
    arguments: tuple[str, ...], harness: Harness
) -> None:
    done = harness("lint", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Traceback" not in done.stderr


def test_batch_answers_each_line_in_order_with_its_id(harness: Harness) -> None:
    lines = [
        {"id": "a", "engine_version": "0.15.1", "parameters": ["--max-model-len=4096"]},
        {"id": 2, "engine_version": "0.12.0", "parameters": ["--bogus"]},
    ]
    done = harness("lint", "--batch", "-", given="\n\n".join(map(json.dumps, lines)).encode())
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(answer["id"], answer["ok"]) for answer in answers] == [("a", True), (2, False)]
    assert done.returncode == 1
    first = answers[1]["diagnostics"][0]
    assert (first["code"], first["stage"], first["index"], first["start"], first["end"]) == (
        "unknown-flag", "parse", 0, 0, 7,
    )  # fmt: skip


def test_batch_line_that_cannot_be_used_is_answered_and_ends_with_two(harness: Harness) -> None:
    done = harness("lint", "--batch", "-", given=b'{"id": 1}\n\xff\n[]\n')
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["ok"] for answer in answers] == [False, False, False]
    assert all(answer["error"] for answer in answers)
    assert done.returncode == 2


def test_batch_into_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    path = tmp_path / "lists.jsonl"
    path.write_text('{"id": 1, "engine_version": "0.15.1", "parameters": ["--bogus"]}\n' * 2000)
    command = [sys.executable, "-m", "harness", "lint", "--batch", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["ok"] is False
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
        process.wait(timeout=30)


def test_mistake_of_several_cells_and_versions_is_said_once(tmp_path: Path, harness: Harness) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SWEEP.replace('["0.15.1"]', '["0.12.0", "0.15.1"]'))
    found = json.loads(harness("lint", "--format", "json", str(path)).stdout)
    (error,) = [one for one in found["diagnostics"] if one["severity"] == "error"]
    assert error["cells"] == ["gpua5000×1 0.12.0 a", "gpua5000×1 0.15.1 a"]
    assert "0.12.0 and 0.15.1" in error["message"]


def test_engine_version_option_overrides_the_file(tmp_path: Path, harness: Harness) -> None:
    path = tmp_path / "x.yaml"
    path.write_text('inference-engine-version: "0.15.1"\ninference-engine-parameters: [--task=generate]\n')
    assert harness("lint", str(path)).returncode == 1
    assert harness("lint", "--engine-version", "0.12.0", str(path)).returncode == 0
    both = harness("lint", "--engine-version", "all", str(path))
    assert both.returncode == 1
    assert b"0.15.1" in both.stdout


def test_suppressed_finding_is_counted_not_shown(tmp_path: Path, harness: Harness) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("- --bogus-flag  # harness: ignore[unknown-flag] our own build has it\n")
    done = harness("lint", str(path))
    # The parser of that version refuses the list all the same, so nothing was said of its start-up.
    assert (done.returncode, done.stdout.count(b"\n")) == (0, 1)
    assert b"x.yaml: start-up and memory not checked: " in done.stdout
    assert done.stderr.decode().strip() == "no findings in 1 list of 1 file; 1 suppressed"


def test_suppressed_findings_are_listed_for_scripts(tmp_path: Path, harness: Harness) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("- --bogus-flag  # harness: ignore[unknown-flag] our own build has it\n- --sham\n")
    found = json.loads(harness("lint", "--format", "json", str(path)).stdout)
    assert [one["line"] for one in found["diagnostics"]] == [2]
    (one,) = found["suppressed"]
    assert (one["code"], one["line"], one["reason"]) == ("unknown-flag", 1, "our own build has it")
    assert found["summary"] == {"errors": 1, "warnings": 0, "infos": 0, "suppressed": 1}


def test_fail_on_warning_counts_warnings(tmp_path: Path, harness: Harness) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("- --max-model-len=4096  # harness: ignore[unknown-flag] not needed\n")
    assert harness("lint", str(path)).returncode == 0
    assert harness("lint", "--fail-on", "warning", str(path)).returncode == 1


@pytest.fixture
def locked() -> Iterator[Path]:
    """A folder with a wrong file and a folder that may not be read; not below tmp_path, which only its owner enters."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "wrong.yaml").write_text(WRONG)
        (folder / "locked").mkdir(mode=0)
        yield folder
        (folder / "locked").chmod(0o700)


def test_folder_that_may_not_be_read_is_reported_and_the_rest_is_linted(
    locked: Path, harness: Harness
) -> None:
    harness(
        "lint", str(locked / "wrong.yaml")
    )  # what is imported on the way must be in before rights are given up
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        done = harness("lint", str(locked))
    finally:
        if is_root:
            os.seteuid(0)
    assert done.returncode == 2
    assert b"locked': permission denied" in done.stdout
    assert done.stdout.count(b"[unknown-flag]") == 1


def test_lint_imports_nothing_heavy(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SWEEP)
    script = (
        "import sys\nfrom harness.cli.main import main\n"
        f"sys.argv = ['harness', 'lint', {str(path)!r}]\n"
        "try:\n    main()\nfinally:\n    print(sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    loaded = {
        name.strip("' ").split(".")[0]
        for name in done.stderr[done.stderr.index("[") :].strip("[]\n").split(",")
    }
    assert {"harness", "yaml", "click"} <= loaded
    assert not loaded & {
        "pandas",
        "numpy",
        "matplotlib",
        "httpx",
        "pydantic",
        "pyarrow",
        "rich",
        "jinja2",
        "asyncio",
    }


def test_model_may_stand_anywhere_in_an_engine_command(harness: Harness) -> None:
    assert harness("lint", "-", given=b"vllm serve --max-num-seqs 2 some/model --seed 1").returncode == 0
    wrong = harness("lint", "-", given=b"vllm serve --max-num-seqs 2 some/model stray")
    assert (wrong.returncode, wrong.stdout.count(b"[stray-token]")) == (1, 1)
