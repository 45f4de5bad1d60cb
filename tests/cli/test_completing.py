"""What a shell is offered at a Tab, asked of click's own completion."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import CompletionItem, ShellComplete

from harness.cli.main import command


def completions(*words: str) -> list[CompletionItem]:
    """The items for a command line whose last word is being typed."""
    return ShellComplete(command, {}, "harness", "_HARNESS_COMPLETE").get_completions(
        list(words[:-1]), words[-1]
    )


def offered(*words: str) -> list[str]:
    return [item.value for item in completions(*words)]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No fetched documents of this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize(
    "words",
    [
        ("params", "list", "--engine-version"),
        ("params", "show", "seed", "--engine-version"),
        ("params", "diff"),
        ("params", "diff", "0.12.0"),
        ("migrate", "x.yaml", "--to"),
        ("migrate", "x.yaml", "--from"),
        ("import-vllm", "--engine-version"),
    ],
    ids=" ".join,
)
def test_engine_versions_are_offered_where_one_is_wanted(words: tuple[str, ...]) -> None:
    assert offered(*words, "") == ["0.12.0", "0.15.1"]
    assert offered(*words, "0.15") == ["0.15.1"]


def test_lint_may_be_given_all_versions() -> None:
    assert offered("lint", "--engine-version", "") == ["0.12.0", "0.15.1", "all"]


@pytest.mark.parametrize("name", ["lint", "import-vllm"])
def test_gpu_families_of_the_platform_are_offered(name: str) -> None:
    assert offered(name, "--gpu-type", "gpua") == ["gpua5000", "gpua30"]


def test_rule_codes_are_offered_with_their_titles() -> None:
    (found,) = completions("explain", "value-not-a")
    assert found.value == "value-not-allowed"
    assert str(found.help).startswith("The flag takes one of a fixed list of values")
    assert offered("explain", "config-unk") == ["config-unknown-key"]


@pytest.mark.parametrize("option", ["--metric", "--fail-if"])
def test_metrics_are_offered_to_compare(option: str) -> None:
    assert offered("compare", "a", "b", option, "ttft_p9") == ["ttft_p90", "ttft_p95", "ttft_p99"]


@pytest.mark.parametrize("words", [("load", "http://localhost", "--slo"), ("capacity", "results/x", "--slo")])
def test_slo_presets_are_offered_with_their_bounds(words: tuple[str, ...]) -> None:
    (found, interactive) = completions(*words, "mlperf-llama-3.1-8b")
    assert (found.value, found.help) == ("mlperf-llama-3.1-8b", "ttft_p99<=2000ms,tpot_p99<=100ms")
    assert interactive.value == "mlperf-llama-3.1-8b-interactive"


def test_formats_are_offered() -> None:
    assert offered("lint", "--format", "") == ["text", "json", "sarif", "github", "gitlab", "junit"]


def test_parameters_are_offered_by_name_and_by_flag_of_the_version_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert offered("params", "show", "max-model") == ["max-model-len"]
    assert offered("params", "show", "--max-model") == ["--max-model-len"]
    assert offered("params", "show", "-t") == ["-tp"]
    assert offered("params", "show", "--engine-version", "0.12.0", "--tas") == ["--task"]
    assert offered("params", "show", "--engine-version", "0.15.1", "--tas") == []
    assert offered("params", "show", "--engine-version", "0.12", "--tas") == ["--task"]
    assert capsys.readouterr().err == ""
    assert "--json" in offered("params", "show", "--js")


def test_after_two_dashes_lint_is_offered_the_engines_flags_and_their_values() -> None:
    assert offered("lint", "--engine-version", "0.12.0", "--", "--tas") == ["--task"]
    assert offered("lint", "--", "--seed", "1", "--kv-cache-d") == ["--kv-cache-dtype"]
    assert offered("lint", "--", "--kv-cache-dtype", "fp8_e") == ["fp8_e4m3", "fp8_e5m2"]


@pytest.mark.parametrize(
    "words",
    [
        ("lint", "con"),
        ("lint", "a.yaml", "con"),
        ("lint", "--model-config", ""),
        ("lint", "--batch", ""),
        ("migrate", "con"),
        ("import-vllm", "--serve-params", ""),
        ("import-vllm", "--output-dir", ""),
        ("plan", "con"),
        ("sweep", "con"),
        ("report", "res"),
        ("compare", "res"),
        ("load", "http://localhost", "--json", ""),
        ("load", "http://localhost", "--tokenizer", ""),
        ("load", "http://localhost", "--records", ""),
    ],
    ids=" ".join,
)
def test_the_shell_is_told_to_offer_files(words: tuple[str, ...]) -> None:
    assert [(item.value, item.type) for item in completions(*words)] == [(words[-1], "file")]


def test_bash_is_answered_by_the_program_itself() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("harness")],
        env={"_HARNESS_COMPLETE": "bash_complete", "COMP_WORDS": "harness explain tool", "COMP_CWORD": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("plain,tool-call-parser\n", "")


def test_lint_loads_nothing_for_completion_when_it_runs() -> None:
    program = "import sys; from harness.cli.main import main\ntry: main(['lint', '--', '--seed=1'])\n"
    program += "except SystemExit: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "harness.cli.completing" in loaded
    assert loaded.isdisjoint(
        {
            "click.shell_completion",
            "harness.cli.engine_versions",
            "harness.forecast.tables",
            "harness.load.slo",
            "harness.params.explain",
            "harness.results.compare",
        }
    )
