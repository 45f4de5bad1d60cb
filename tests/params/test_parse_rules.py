"""What the parse-stage rules say: code, place, the text under the caret, and the fix."""

from __future__ import annotations

import pytest

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.lint import lint_parameters, rule_table
from harness.params.meaning import plain_number
from harness.params.reading import ProblemKind

NEW = "0.15.1"
OLD = "0.12.0"


def parse_findings(items: list[str], version: str = NEW) -> list[Diagnostic]:
    return [found for found in lint_parameters(items, engine_version=version) if found.stage is Stage.PARSE]


def only(items: list[str], version: str = NEW) -> Diagnostic:
    found = parse_findings(items, version)
    assert len(found) == 1, found
    return found[0]


def marked(items: list[str], finding: Diagnostic) -> str:
    assert finding.index is not None
    return items[finding.index][finding.start : finding.end]


@pytest.mark.parametrize(
    ("items", "code", "place"),
    [
        (["--gpu-memory-usage=0.8"], "unknown-flag", "--gpu-memory-usage"),
        (["--disable-mm-preprocessor-cache"], "removed-flag", "--disable-mm-preprocessor-cache"),
        (["--rope-scaling", "{}"], "removed-flag", "--rope-scaling"),
        (["--no-max-num-seqs"], "no-on-non-switch", "--no-max-num-seqs"),
        (["--no-headless"], "no-on-non-switch", "--no-headless"),
        (["--max-num-seqs=1k"], "wrong-type", "1k"),
        (["--swap-space", "0,9"], "wrong-type", "0,9"),
        (["--kv-cache-dtype=fp_8"], "value-not-allowed", "fp_8"),
        (["--block-size", "7"], "value-not-allowed", "7"),
        (["--max-num-seqs"], "missing-value", "--max-num-seqs"),
        (["--served-model-name"], "missing-value", "--served-model-name"),
        (["-cc.mode"], "missing-value", "-cc.mode"),
        (["--enforce-eager=true"], "value-for-switch", "true"),
        (["--enforce-eager", "true"], "value-for-switch", "true"),
        (["--gpu=0.9", "--data-parallel-s", "2"], "ambiguous-abbreviation", "--data-parallel-s"),
        (["--seed", "1", "2"], "stray-token", "2"),
        (["–seed", "1"], "stray-token", "–seed"),
        (["--max-model-len 4096"], "two-tokens-in-one-item", " "),
        (["--seed=1 --port 2"], "two-tokens-in-one-item", " "),
        (["--speculative-config", '{"method":', '"ngram"}'], "torn-by-white-space", '{"method":'),
        (["--speculative-config", "{'method': 'ngram'}"], "malformed-json", "'"),
        (["--speculative-config", '{"method": ngram}'], "malformed-json", "n"),
        (["--compilation-config", '{"mod": 3}'], "unknown-key", '"mod"'),
        (["-cc.pass_config.enable_spp=true"], "unknown-key", "-cc.pass_config.enable_spp"),
        (["--eplb-config", '{"window_size": "many"}'], "mistyped-key", '"many"'),
        (["--kv-transfer-config", '{"kv_connector": "X"}'], "refused-combination", '"kv_connector"'),
        (["--model", "a/b"], "model-given", "--model"),
        (["--config", "serve.yaml"], "config-file", "--config"),
        (["--hel"], "help-flag", "--hel"),
    ],
)
def test_one_finding_with_the_narrowest_place(items: list[str], code: str, place: str) -> None:
    finding = only(items)
    assert (finding.code, finding.severity) == (code, Severity.ERROR)
    assert marked(items, finding) == place


@pytest.mark.parametrize("version", ["0.12.0", "0.15.1"])
def test_a_flag_that_nothing_replaces_is_to_be_left_out(version: str) -> None:
    """Both real parsers refuse it: `unrecognized arguments: --device=cuda`."""
    (found,) = lint_parameters(["--device=cuda"], engine_version=version)
    assert (found.code, found.message) == ("removed-flag", f"'--device' is gone from vLLM {version}")
    assert found.note == "nothing replaces it; leave it out"
    assert found.fix is None


def test_a_flag_of_a_later_version_says_which() -> None:
    finding = only(["--attention-backend", "FLASHINFER"], OLD)
    assert (finding.code, finding.note) == ("newer-flag", "in vLLM 0.15.1 and later")


def test_an_unknown_flag_suggests_what_people_mean_by_it() -> None:
    assert only(["--gpu-memory-usage=0.8"]).note == "did you mean --gpu-memory-utilization?"
    assert only(["--max-tokens=4096"]).note == "did you mean --max-model-len?"
    assert "--max-num-seqs" in (only(["--max-num-seq-s=4"]).note or "")
    assert only(["-tp2"]).note == "write -tp 2 as two items"
    assert only(["--MAX-MODEL-LEN=1"]).note == "did you mean --max-model-len?"


def test_an_unknown_flags_value_is_not_a_second_finding() -> None:
    assert [found.code for found in parse_findings(["--bogus-thing", "1", "--seed", "2"])] == ["unknown-flag"]


def test_a_negative_fraction_is_explained_once() -> None:
    finding = only(["--gpu-memory-utilization", "-0.5"])
    assert finding.hint is not None
    assert "--gpu-memory-utilization=-0.5" in finding.hint


@pytest.mark.parametrize(
    ("items", "mended"),
    [
        (["--max-model-len 4096"], ["--max-model-len", "4096"]),
        (["--enforce-eager "], ["--enforce-eager"]),
        (["--seed=1 --enforce-eager"], ["--seed=1", "--enforce-eager"]),
        (["--enforce-eager=true"], ["--enforce-eager"]),
        (["--enforce-eager=false"], ["--no-enforce-eager"]),
        (["--enforce-eager", "true"], ["--enforce-eager"]),
        (["--dtype=HALF"], ["--dtype=half"]),
        (["--max-num-seqs", "1k"], ["--max-num-seqs", "1000"]),
        (["--max-num-seqs=1,024"], ["--max-num-seqs=1024"]),
        (["--disable-mm-preprocessor-cache"], ["--mm-processor-cache-gb", "0"]),
        (["--cuda-graph-sizes", "1", "2"], ["--cudagraph-capture-sizes", "1", "2"]),
        (["-cc", '{"mode":', "3}"], ["-cc", '{"mode": 3}']),
        (["-cc", "{'mode': 3}"], ["-cc", '{"mode": 3}']),
        (["--max-model-len", "-1k"], None),
        (["--help"], []),
        (["--gpu-memory-utilization=90%"], ["--gpu-memory-utilization=0.9"]),
        (["--gpu-memory-utilization", "0,9"], ["--gpu-memory-utilization", "0.9"]),
        (["--cudagraph-capture-sizes", "1,2,4"], ["--cudagraph-capture-sizes", "1", "2", "4"]),
        (["--cudagraph-capture-sizes=[1, 2]"], ["--cudagraph-capture-sizes", "1", "2"]),
        (["--limit-mm-per-prompt", "image=2"], ["--limit-mm-per-prompt", '{"image": 2}']),
        (["--allowed-origins=*"], ['--allowed-origins=["*"]']),
        (["max-model-len=4096"], ["--max-model-len=4096"]),
        (["'--max-model-len'", "4096"], ["--max-model-len", "4096"]),
        (["—max-model-len", "4096"], ["--max-model-len", "4096"]),
        (["--trust_remote_code True"], ["--trust_remote_code"]),
        (["-cc '{\"mode\": 3}'"], ["-cc", '{"mode": 3}']),
        (
            ["--reasoning-parser qwen3 --enable-auto-tool-choice"],
            ["--reasoning-parser", "qwen3", "--enable-auto-tool-choice"],
        ),
    ],
)
def test_a_fix_makes_the_list_right(items: list[str], mended: list[str] | None) -> None:
    finding = only(items)
    if mended is None:
        assert finding.fix is None
        return
    fix = finding.fix
    assert fix is not None
    after = [*items[: fix.first], *fix.items, *items[fix.last :]]
    assert after == mended
    assert parse_findings(after) == []


def test_a_dropped_key_is_a_warning_where_the_engine_ignores_it() -> None:
    finding = only(["--eplb-config", '{"windw_size": 3}'])
    assert (finding.code, finding.severity) == ("unknown-key", Severity.WARNING)
    assert finding.note == "did you mean 'window_size'?"
    assert only(["--speculative-config", '{"num_speculative_token": 3}']).severity is Severity.WARNING


def test_a_long_value_is_cut_in_the_message() -> None:
    assert len(only(["--seed", "9" * 4_000 + "x"]).message) < 160


def test_findings_are_sorted_by_item_and_character() -> None:
    items = ["--zzz", "--dtype", "HALF", "--seed=x", "--enforce-eager=1"]
    places = [(found.index, found.start) for found in lint_parameters(items, engine_version=NEW)]
    assert len(places) >= 4
    assert places == sorted(places)


def test_start_up_rules_are_not_asked_about_a_list_the_parser_refuses() -> None:
    stages = {
        found.stage for found in lint_parameters(["--max-num-seqs", "0", "--bogus"], engine_version=NEW)
    }
    assert Stage.STARTUP not in stages
    stages = {found.stage for found in lint_parameters(["--max-num-seqs", "0"], engine_version=NEW)}
    assert Stage.STARTUP in stages


def test_no_break_space_inside_a_flag_is_not_left_to_another_rule() -> None:
    assert only(["--compilation-config\u00a0.mode+rms", "-n=2"], OLD).code == "unknown-flag"


def test_every_kind_of_problem_has_a_rule() -> None:
    assert set(rule_table().by_problem) == set(ProblemKind)


def test_further_values_after_a_joined_one_are_explained() -> None:
    assert "without '='" in (only(["--served-model-name=a", "b"]).note or "")


def test_ordinary_words_are_not_taken_for_flags() -> None:
    assert only(["--max-num-seqs", "1", "seed"]).fix is None
    assert "the platform starts the engine itself" in parse_findings(["vllm", "serve"])[0].message


@pytest.mark.parametrize("text", ["1,000", "90", "a%", "1,2,3"])
def test_a_number_that_could_mean_two_things_is_not_guessed(text: str) -> None:
    assert plain_number(text) is None


@pytest.mark.parametrize(
    ("value", "meant"), [("fp16", "float16"), ("FP32", "float32"), ("bf16", "bfloat16"), ("f16", "float16")]
)
def test_a_type_of_numbers_by_another_name_is_told_by_the_engines(value: str, meant: str) -> None:
    (found,) = lint_parameters([f"--dtype={value}"], engine_version="0.15.1")
    assert found.code == "value-not-allowed"
    assert (found.note or "").endswith(f"did you mean {meant!r}?")
    assert found.fix is None


def test_another_name_is_not_told_where_the_flag_does_not_take_it() -> None:
    (found,) = lint_parameters(["--kv-cache-dtype=fp16"], engine_version="0.15.1")
    assert "float16?" not in (found.note or "")
