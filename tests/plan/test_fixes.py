"""``--fix`` changes what it must and nothing else; expected files are written out by hand."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.diagnostics import Edit
from harness.plan.fixes import apply_replacements, replacements_for
from harness.plan.fixing import fix_file, mend_file
from harness.plan.lint import Judge, LintOptions
from harness.plan.targets import Target

FindTargets = Callable[[str, str], Sequence[Target]]

# path, text before, edit (first, last, items), text after; None: must be left to the user
CASES = {
    "plain scalar": ("x.yaml", "- a # c\n- --b=1 # d\n", (1, 2, ["--b=2"]), "- a # c\n- --b=2 # d\n"),
    "plain that needs quotes": ("x.yaml", "- --b=1\n", (0, 1, ["--b={}: #"]), "- '--b={}: #'\n"),
    "plain that would be a number": ("x.yaml", "- a\n- b\n", (1, 2, ["64"]), "- a\n- '64'\n"),
    "single quotes": ("x.yaml", "- 'a'\n", (0, 1, ["it's"]), "- 'it''s'\n"),
    "double quotes": ("x.yaml", '- "a"\n', (0, 1, ['x"\ty']), '- "x\\"\\ty"\n'),
    "json": ("x.json", '["a",\n "b"]', (1, 2, ['{"k":1}']), '["a",\n "{\\"k\\":1}"]'),
    "toml literal": ("x.toml", "parameters = ['a', \"b\"] # c\n", (0, 1, ["b"]), "parameters = ['b', \"b\"] # c\n"),
    "line": ("x.txt", "--a 1\n# c\n--b\n", (0, 1, ["--a=1"]), "--a=1\n# c\n--b\n"),
    "word": ("x.sh", "vllm serve m --a 1 --b  # c\n", (0, 2, ["--a=2"]), "vllm serve m --a=2 --b  # c\n"),
    "exo field": (
        "x.sh",
        "exo d create n --inference-engine-params '--a=1  --b'\n",
        (0, 1, ["--c=2"]),
        "exo d create n --inference-engine-params '--c=2  --b'\n",
    ),
    "one item to two in a block": ("x.yaml", "- --a 1\n- b\n", (0, 1, ["--a", "1"]), "- --a\n- '1'\n- b\n"),
    "one item to two in a flow": ("x.yaml", "[--a 1, b]\n", (0, 1, ["--a", "x"]), "[--a, x, b]\n"),
    "one item to two in JSON": ("x.json", '["--a 1"]', (0, 1, ["--a", "1"]), '["--a", "1"]'),
    "one line to two": ("x.txt", "--a 1\r\n--b\r\n", (0, 1, ["--a", "1"]), "--a\r\n1\r\n--b\r\n"),
    "removal from a block": ("x.yaml", "# c\n- a\n- b\n- c # d\n", (1, 2, []), "# c\n- a\n- c # d\n"),
    "removal from a flow": ("x.yaml", "[a, b, c]\n", (1, 2, []), "[a, c]\n"),
    "removal of the last": ("x.json", '[\n  "a",\n  "b"\n]', (1, 2, []), '[\n  "a"\n]'),
    "removal of a line of JSON": (
        "x.json", '[\n  "a",\n  "b",\n  "c"\n]', (1, 2, []), '[\n  "a",\n  "c"\n]',
    ),
    "removal of the first line of JSON": ("x.json", '[\n  "a",\n  "b"\n]', (0, 1, []), '[\n  "b"\n]'),
    "removal from two on a line": ("x.json", '[\n  "a", "b",\n  "c"\n]', (1, 2, []), '[\n  "a",\n  "c"\n]'),
    "removal of a line": ("x.txt", "--a\n--b\n", (1, 2, []), "--a\n"),
    "removal of a word over a line end": (
        "x.sh", "vllm serve m --a \\\n  --b \\\n  --c\n", (1, 2, []), "vllm serve m --a \\\n  --c\n",
    ),
    "removal of the first exo field": (
        "x.sh", "exo d create n --inference-engine-params '--a  --b'\n", (0, 1, []),
        "exo d create n --inference-engine-params '--b'\n",
    ),
    "removal beside a comment": ("x.yaml", "- a\n- b # why\n", (1, 2, []), None),
    "block scalar": ("x.yaml", "- |\n  a\n- b\n", (0, 1, ["c"]), None),
    "quoted word": ("x.sh", "vllm serve m '--a' --b\n", (0, 1, ["--c"]), None),
    "word with a variable": ("x.sh", "vllm serve m --a=$X --b\n", (0, 1, ["--c"]), None),
    "flag of a mapping": ("x.yaml", "parameters: {a: 1}\n", (0, 1, ["--a=2"]), None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_edit_of_the_list_becomes_an_edit_of_the_text(name: str, targets_of: FindTargets) -> None:
    path, before, (first, last, items), after = CASES[name]
    (target,) = targets_of(before, path)
    changes = replacements_for(target, Edit(first, last, tuple(items), "mend"))
    assert (None if changes is None else apply_replacements(before, changes)) == after
    if after is not None:
        (mended,) = targets_of(after, path)
        expected = list(target.parameters)
        expected[first:last] = items
        assert list(mended.parameters) == expected


def test_fixing_keeps_comments_layout_mode_and_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(
        b"# top\r\nname:   odd\r\ninference-engine-version: '0.15.1'\r\n"
        b"inference-engine-parameters:   # list\r\n"
        b"  - --kv-cache-dtype=fp_8    # the cache\r\n"
        b'  - "--enable-prefix-caching=true"\r\n'
    )
    path.chmod(0o640)
    report, mended, _ = fix_file(str(path), Judge(LintOptions()))
    after = path.read_bytes()
    assert [one.code for one in mended] == ["value-for-switch"]
    assert b'  - "--enable-prefix-caching"\r\n' in after
    assert after.startswith(b"# top\r\nname:   odd\r\n")
    assert b"# the cache\r\n" in after
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [one.code for one in report.diagnostics if one.is_error] in ([], ["value-not-allowed"])
    assert [one.name for one in tmp_path.iterdir()] == ["x.yaml"]
    again, more, _ = fix_file(str(path), Judge(LintOptions()))
    assert more == ()
    assert path.read_bytes() == after
    assert len(again.findings) == len(report.findings)


def test_fix_that_would_break_another_version_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    text = (
        "model: m/m\nmatrix:\n  gpu-type: [gpua5000]\n  engine-version: ['0.12.0', '0.15.1']\n"
        "  parameters:\n    a: [--cuda-graph-sizes=8]\nload: [{concurrency: 1, requests: 1}]\n"
    )
    path.write_text(text)
    before = {one.code for one in fix_file(str(path), Judge(LintOptions()))[0].diagnostics if one.is_error}
    after = path.read_text()
    assert after == text or before == set()


def test_link_to_a_file_is_mended_behind_the_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    real.write_text("- --enable-prefix-caching=true\n")
    link.symlink_to(real)
    fix_file(str(link), Judge(LintOptions()))
    assert link.is_symlink()
    assert real.read_text() == "- --enable-prefix-caching\n"


def test_mistake_is_mended_before_what_it_makes_of_its_neighbours(tmp_path: Path) -> None:
    # The dot in the one item with a space makes the engine take the next item for its value.
    path = tmp_path / "x.json"
    path.write_text('["--gpu-memory-utilization 0.8", "--seed=1", "--enforce-eager=true"]')
    _, mended, _ = fix_file(str(path), Judge(LintOptions(engine_version="0.15.1")))
    assert len(mended) >= 2
    assert path.read_text() == '["--gpu-memory-utilization", "0.8", "--seed=1", "--enforce-eager"]'


def test_mended_list_may_show_what_start_up_would_refuse(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(
        '{"gpu-count": 2, "inference-engine-version": "0.15.1",'
        ' "inference-engine-parameters": ["--enforce-eager=true", "-tp", "4"]}'
    )
    report, _, _ = fix_file(str(path), Judge(LintOptions()))
    assert '"--enforce-eager", "-tp"' in path.read_text()
    assert "too-few-gpus" in {one.code for one in report.diagnostics}


def test_note_about_a_default_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("- --gpu-memory-utilization=0.9\n")
    report, mended, _ = fix_file(str(path), Judge(LintOptions(engine_version="0.15.1")))
    assert [one.code for one in report.diagnostics] == ["default-value"]
    assert mended == ()
    assert path.read_text() == "- --gpu-memory-utilization=0.9\n"


def test_what_would_be_mended_is_a_diff_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    text = "# top\n- --enable-prefix-caching=true\n- --seed=1"
    path.write_text(text)
    made = mend_file(str(path), Judge(LintOptions(engine_version="0.15.1")))
    assert path.read_text() == text
    assert made.after == "# top\n- --enable-prefix-caching\n- --seed=1"
    assert made.diff.splitlines() == [
        f"--- {path}",
        f"+++ {path}",
        "@@ -1,3 +1,3 @@",
        " # top",
        "-- --enable-prefix-caching=true",
        "+- --enable-prefix-caching",
        " - --seed=1",
        "\\ No newline at end of file",
    ]
