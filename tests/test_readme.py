"""README's first example is what the linter really prints, and every command shown anywhere is one."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click

from harness.cli.main import COMMANDS, command
from tests.command import run_here

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", README, flags=re.DOTALL)


def test_the_first_example_is_the_linters_real_output(tmp_path: Path) -> None:
    config = next(block for block in blocks("yaml") if block.startswith("# broken.yaml"))
    shown = next(block for block in blocks("console") if block.startswith("$ harness lint broken.yaml"))
    (tmp_path / "broken.yaml").write_text(config, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "harness", "lint", "broken.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    assert shown == f"$ harness lint broken.yaml\n{ran.stdout}"


def test_the_first_example_is_accepted_once_it_is_mended_as_the_linter_says(tmp_path: Path) -> None:
    config = next(block for block in blocks("yaml") if block.startswith("# broken.yaml"))
    for wrong, right in (
        ("fp_8", "fp8"),
        ("batched-token=", "batched-tokens="),
        ("  - --task=generate\n", ""),
        ('"--gpu-memory-utilization 0.9"', "--gpu-memory-utilization\n  - 0.9"),
    ):
        assert wrong in config
        config = config.replace(wrong, right)
    path = tmp_path / "mended.yaml"
    path.write_text(config, encoding="utf-8")
    assert run_here("lint", "--fail-on", "warning", str(path), environment=os.environ).returncode == 0
    planned = run_here("plan", str(path), environment=os.environ)
    assert planned.returncode == 0
    assert "prod: 1 cell, 0 refused" in planned.stdout


def test_every_command_is_shown_and_every_shown_command_exists() -> None:
    shown = set(re.findall(r"^\$ harness ([a-z-]+)", README, flags=re.MULTILINE)) | set(
        re.findall(r"`harness ([a-z-]+)`", README)
    )
    assert shown >= set(COMMANDS) - {"simulate"}
    assert shown <= set(COMMANDS)


def examples() -> list[str]:
    """Every ``harness`` command that README or a command's own help shows."""
    shown = re.findall(r"^\$ (harness [a-z].*?)(?:\s+#.*)?$", README, flags=re.MULTILINE)
    for name in COMMANDS:
        helped = command.get_command(click.Context(command), name)
        assert helped is not None
        groups = helped.commands.values() if isinstance(helped, click.Group) else [helped]
        for each in groups:
            found = re.findall(
                r"^ *(harness [a-z].*)$", re.sub(r"\\\n\s*", "", each.help or ""), flags=re.MULTILINE
            )
            assert found, f"harness {name}: no example in its help"
            shown += found
    return shown


def test_every_example_in_readme_and_help_is_a_call_the_commands_take() -> None:
    calls = examples()
    assert len(calls) > 40
    for call in calls:
        words = list(itertools.takewhile(lambda word: word not in ("|", "&&", ">"), shlex.split(call)[1:]))
        context = command.make_context("harness", words, resilient_parsing=True)
        name, helped, rest = command.resolve_command(context, words)
        assert helped is not None
        helped.make_context(name, rest, parent=context, resilient_parsing=True)


def test_every_linked_file_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_the_rooms_of_the_table_are_the_rooms_of_the_house() -> None:
    table = README.partition("| room | subject |")[2].partition("\n\n")[0]
    named = set(
        re.findall(r"`([a-z]+)`", "\n".join(line.split("|")[1] for line in table.splitlines() if "|" in line))
    )
    rooms = {path.stem for path in (ROOT / "harness").iterdir() if not path.name.startswith(("_", "py"))}
    assert named == rooms
