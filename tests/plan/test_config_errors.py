"""What is wrong with a sweep file is said at its place: line, column and width worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.diagnostics import Severity
from harness.errors import ConfigError
from harness.load.lengths import LARGEST
from harness.plan.config import LoadLevel, SearchLevel, load_config
from harness.plan.lint import lint_paths
from harness.plan.workload_reader import MOST

GOOD = """\
name: demo
model: m/m
matrix:
  gpu-type: [a, b]
  engine-version: ["0.12.0"]
  parameters: {base: [], wide: [--max-num-seqs=512]}
load: [{concurrency: [1, 8], duration: 20s}]
"""

# what to replace in GOOD, with what, then line:column+width, code, and words of the message or note
CASES = {
    "unknown key": ("name:", "nane:", "1:1+4", "config-unknown-key", "did you mean 'name'?"),
    "bad name": ("demo", "De mo", "1:7+5", "config-value", "a-z, 0-9 and -"),
    "float version": ('["0.12.0"]', "[0.15]", "5:20+4", "config-type", "the number 0.15"),
    "unknown axis": ("gpu-type", "gpu_type", "4:3+8", "config-unknown-key", "did you mean 'gpu-type'?"),
    "repeated value": ("[a, b]", "[a, a]", "4:17+1", "config-duplicate-value", "stands twice"),
    "empty axis": ("[a, b]", "[]", "4:13+2", "config-value", "has no values"),
    "missing model": ("model: m/m\n", "", "1:1+4", "config-missing", "model is missing"),
    "missing load": ("load:", "slo: x\nx-load:", "8:1+6", "config-unknown-key", "x-load"),
    "both kinds of load": (
        "duration: 20s", "rate: 2", "7:8+30", "config-value", "either concurrency, rate, ramp, steps or trace",
    ),
    "no end of load": (", duration: 20s", "", "7:8+21", "config-value", "either duration or requests"),
    "bad duration": ("20s", "20 parsecs", "7:40+10", "config-value", "not a duration"),
    "zero concurrency": ("[1, 8]", "[1, 0]", "7:26+1", "config-value", "1 to 100000"),
    "scalar set": ("base: []", "base: x", "6:22+1", "config-type", "a list of items or a mapping"),
    "switch as item": ("[--max-num-seqs=512]", "[true]", "6:33+4", "config-type", "an argument must be a text"),
    "same sets": ("[--max-num-seqs=512]", "[]", "6:26+4", "config-duplicate-set", "'base' and 'wide'"),
    "duplicate key": ("name: demo\n", "name: demo\nname: x\n", "2:1+4", "config-duplicate-key", "first on line 1"),
    "list at root": (GOOD, "- a\n", "1:1+1", "config-type", "one mapping"),
    "broken yaml": ("[a, b]", "[a, b", "5:17+1", "config-syntax", "not valid YAML"),
    "unknown alias": ("[a, b]", "[*a, b]", "4:14+2", "config-syntax", "no anchor &a"),
    "exclude of unknown set": (
        "load:", "exclude: [{parameters: wid}]\nload:", "7:24+3", "config-value", "did you mean 'wide'?",
    ),
    "exclude by no axis": ("load:", "exclude: [{replicas: 1}]\nload:", "7:22+1", "config-value", "not an axis"),
    "axis twice": ("model: m/m", "model: m/m\ngpu-type: a", "3:11+1", "config-duplicate-axis", "both here"),
    "gpu-count of nine": ("model: m/m", "model: m/m\ngpu-count: 9", "3:12+1", "config-value", "1 to 8"),
    "lengths that differ": (
        "base: []", "base: {link: [a, b], a: [1, 2], b: [1]}", "6:29+6", "config-link", "a 2, b 1",
    ),
    "linked without values": ("base: []", "base: {link: [c], a: 1}", "6:30+1", "config-link", "no values"),
    "search without an slo": (
        "{concurrency: [1, 8], duration: 20s}", "{find: rate, duration: 20s}", "7:8+27", "config-missing", "needs slo",
    ),
    "search for something else": (
        "{concurrency: [1, 8], duration: 20s}", "{find: peak, duration: 20s}", "7:15+4", "config-value", "rate, knee",
    ),
    "search without an end": (
        "{concurrency: [1, 8], duration: 20s}", "{find: knee}", "7:8+12", "config-value", "either duration or requests",
    ),
    "arrivals of a knee": (
        "{concurrency: [1, 8], duration: 20s}", "{find: knee, arrivals: gamma, duration: 2s}", "7:31+5",
        "config-value", "goes with find: rate",
    ),
    "concurrency in a search": (
        "{concurrency: [1, 8], duration: 20s}", "{find: knee, concurrency: 2, duration: 2s}", "7:21+11",
        "config-unknown-key", "'concurrency'",
    ),
    "early stop that is no switch": (
        "load:", "early-stop: maybe\nload:", "7:13+5", "config-type", "true or false",
    ),
    "no such config.json": (
        "model: m/m", "model: m/m\nmodels: {m/m: {config: no.json}}", "3:24+7", "config-value", "no such file",
    ),
    "ramp without its time": (
        "concurrency: [1, 8], duration: 20s", "ramp: [1, 8], requests: 9", "7:8+27", "config-value", "needs a duration",
    ),
    "ramp of three rates": ("concurrency: [1, 8]", "ramp: [1, 8, 2]", "7:15+9", "config-value", "two rates"),
    "steps of nothing": ("concurrency: [1, 8]", "steps: [0, 0]", "7:16+6", "config-value", "above 0"),
    "steps below nothing": ("concurrency: [1, 8]", "steps: [1, -2]", "7:20+2", "config-value", "0 or more"),
    "stretch without a trace": (
        "[1, 8]", "1, stretch: 2", "7:34+1", "config-value", "stretch goes with trace, not with concurrency",
    ),
    "limit on a closed loop": ("[1, 8]", "1, max-in-flight: 2", "7:40+1", "config-value", "not with concurrency"),
    "no trace": ("concurrency: [1, 8], duration: 20s", "trace: false", "7:16+5", "config-value", "left out"),
    "pause without turns": (
        "load:", "workload: {think-time: 1s}\nload:", "7:24+2", "config-value", "goes with turns",
    ),
    "no such prompts": ("load:", "workload: {prompts: no.jsonl}\nload:", "7:21+8", "config-value", "no such file"),
    "no such tokenizer": (
        "load:", "workload: {tokenizer: nowhere}\nload:", "7:23+7", "config-value", "no tokenizer at 'nowhere'",
    ),
    "no concurrency": ("[1, 8]", "[]", "7:22+2", "config-value", "at least one value"),
    "two lengths": (
        "load:", "workload: {input-tokens: 5, prompts: sweep.yaml}\nload:", "7:26+1", "config-value", "bring their own",
    ),
    "weights that do not match": (
        "load:", "workload: {turns: {distribution: empirical, values: [1, 2], weights: [1]}}\nload:",
        "7:70+3", "config-value", "1 weight for 2 values",
    ),
    "values that are not there": (
        "load:", "workload: {turns: {distribution: empirical}}\nload:", "7:19+25", "config-missing", "values or a file",
    ),
    "no levels": ("[{concurrency: [1, 8], duration: 20s}]", "[]", "7:7+2", "config-value", "load has no level"),
    "load that is no list": (
        "[{concurrency: [1, 8], duration: 20s}]", "8", "7:7+1", "config-type", "a list of levels, not the number 8",
    ),
    "objective of no metric": ("load:", "slo: ttfb_p95<=1s\nload:", "7:6+12", "config-value", "metrics: ttft, tpot"),
    "objective without a unit": ("load:", "slo: ttft_p95<=100\nload:", "7:6+13", "config-value", "try ttft_p95<=100ms"),
    "objective with no duration": ("load:", "slo: ttft<=1parsec\nload:", "7:6+13", "config-value", "not a duration"),
    "preset misspelt": (
        "load:", "slo: mlperf-llama-3.1-7b\nload:", "7:6+19", "config-value", "did you mean 'mlperf-llama-3.1-8b'?",
    ),
    "empty objective": ("load:", "slo: ''\nload:", "7:6+2", "config-value", "not an SLO"),
    "trace of no prompts": (
        "concurrency: [1, 8], duration: 20s", "trace: true", "7:8+13", "config-missing", "no prompts are named",
    ),
    "turns of no prompts": (
        "load:", "workload: {turns: all}\nload:", "7:19+3", "config-missing", "for prompts that bring their turns",
    ),
    "more tokens than are drawn": (
        "load:", "workload: {input-tokens: 10000001}\nload:", "7:26+8", "config-value", "1 to 10000000",
    ),
    "a mean beyond all": (
        "load:", "workload: {input-tokens: {distribution: normal, mean: 2e7, stddev: 1}}\nload:",
        "7:55+3", "config-value", "10,000,000 or less",
    ),
    "pause of three hours": (
        "load:", "workload: {turns: 2, think-time: 3h}\nload:", "7:34+2", "config-value", "10,000 s or less",
    ),
    "model of two words": ("model: m/m", "model: m m", "2:8+3", "config-value", "as owner/model"),
    "values of another shape": (
        "load:", "workload: {turns: {distribution: fixed, mean: 2, values: [1]}}\nload:",
        "7:58+3", "config-value", "goes with distribution: empirical",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_error_points_at_what_is_wrong(name: str, tmp_path: Path) -> None:
    old, new, place, code, words = CASES[name]
    assert old in GOOD
    path = tmp_path / "sweep.yaml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    found = [
        (
            f"{where.line}:{where.column}+{where.end_column - where.column}",
            one.code,
            f"{one.message} {one.note}",
        )
        for one in caught.value.diagnostics
        if (where := one.location) is not None
    ]
    assert (place, code) in [(at, what) for at, what, _ in found], found
    assert any(words in text for at, _, text in found if at == place), found


def test_most_that_a_file_may_ask_for_is_what_the_load_client_draws() -> None:
    assert MOST == LARGEST


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("model: m/m", "model: m/m\nzone: ch-gva", "3:7", "did you mean 'ch-gva-2'?"),
        ("model: m/m", "model: m/m\nzone: mars-1", "3:7", "known: at-vie-1, "),
        ("model: m/m", "model: m/m\nmodels: {m/n: {config: config.json}}", "3:10", "did you mean 'm/m'?"),
    ],
)
def test_name_that_leads_nowhere_is_a_warning(
    old: str, new: str, place: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{}")
    path = tmp_path / "sweep.yaml"
    path.write_text(GOOD.replace(old, new, 1))
    (one,) = [one for one in lint_paths([str(path)]).diagnostics if one.code.startswith("config-")]
    assert one.severity is Severity.WARNING
    assert str(one.location) == f"{path}:{place}"
    assert words in (one.note or "")


@pytest.mark.parametrize(
    ("level", "place"),
    [
        ("{concurrency: 2, duration: 10s, warmup: 20s}", "7:48"),
        ("{find: knee, duration: 10s, warmup: 20s}", "7:44"),
        ("{concurrency: 2, duration: 20s, warmup: 20s}", None),
        ("{concurrency: 2, requests: 9, warmup: 20s}", None),
    ],
)
def test_warmup_longer_than_what_is_measured_is_a_warning(
    level: str, place: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(GOOD.replace("{concurrency: [1, 8], duration: 20s}", level))
    found = [one for one in lint_paths([str(path)]).diagnostics if one.code.startswith("config-")]
    assert [str(one.location) for one in found] == ([] if place is None else [f"{path}:{place}"])
    assert all((one.code, one.severity) == ("config-long-warmup", Severity.WARNING) for one in found)


def test_pause_shorter_than_can_be_drawn_is_the_shortest_that_can(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    wanted = "{turns: 2, think-time: {distribution: uniform, min: 0.1ms, max: 0.4ms}}"
    path.write_text(GOOD.replace("load:", f"workload: {wanted}\nload:"))
    pause = load_config(str(path)).workload.think_time_ms
    assert pause is not None
    assert (pause.minimum, pause.maximum) == (1, 1)


def test_wrong_version_is_not_also_called_missing(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(
        GOOD.replace('  engine-version: ["0.12.0"]\n', "").replace(
            "model: m/m", "model: m/m\nengine-version: 0.12"
        )
    )
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    (only,) = caught.value.diagnostics
    assert only.hint == 'write the whole version in quotes, as "0.12.0"'


def test_unclosed_bracket_is_named_where_it_opens(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text("a: 1\nb: [1, 2\n")
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    assert caught.value.diagnostics[0].hint == "while parsing a flow sequence that starts at 2:4"


def test_matrix_that_nobody_could_pay_for_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    values = ", ".join(f"v{number}" for number in range(1001))
    path.write_text(GOOD.replace("[a, b]", f"[{values}]").replace('["0.12.0"]', f"[{values}]"))
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    # 1001 families x 1001 versions x 2 sets
    assert (
        caught.value.diagnostics[0].message
        == "the matrix has 2,004,002 combinations; at most 1,000,000 are expanded"
    )


def test_hundred_findings_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(GOOD + "".join(f"odd-{number}: 1\n" for number in range(150)))
    with pytest.raises(ConfigError, match="150 errors") as caught:
        load_config(str(path))
    assert len(caught.value.diagnostics) == 100


def test_every_mistake_of_a_file_is_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(GOOD.replace("demo", "DEMO").replace("20s", "-1").replace("[a, b]", "[a, 3]"))
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    assert [one.location.line for one in caught.value.diagnostics if one.location] == [1, 4, 7]
    assert str(caught.value) == f"{path} cannot be used: 3 errors"


def test_good_file_is_read_with_units_and_defaults(tmp_path: Path) -> None:
    path = tmp_path / "My Sweep.yaml"
    path.write_text(
        GOOD.replace("name: demo\n", "")
        + "workload: {input-tokens: 64, output-tokens: {distribution: uniform, min: 1, max: 9}}\n"
        "timeouts: {ready: 1h30m, request: 5}\nrepeats: 3\nslo: ttft_p95<=1s\n"
    )
    config = load_config(str(path))
    assert config.name == "my-sweep"
    assert [(level.concurrency, level.duration_s) for level in config.load] == [(1, 20.0), (8, 20.0)]
    assert (config.timeouts.ready_s, config.timeouts.request_s, config.timeouts.delete_s) == (
        5400.0,
        5.0,
        600.0,
    )
    assert (config.workload.input_tokens.distribution, config.workload.input_tokens.mean) == ("fixed", 64.0)
    assert (config.workload.output_tokens.minimum, config.workload.output_tokens.maximum) == (1, 9)
    assert (config.repeats, config.slo, config.question) == (3, "ttft_p95<=1s", None)


def test_a_search_is_read_with_its_first_step_and_defaults(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        GOOD.replace("[{concurrency: [1, 8], duration: 20s}]", "[]").replace("load: []\n", "")
        + "slo: ttft_p95<=1s\nearly-stop: false\nload:\n- {concurrency: 2, requests: 9}\n"
        "- {find: rate, from: 0.5, duration: 60s, arrivals: gamma, burstiness: 0.5}\n"
        "- {find: knee, requests: 80, warmup: 1s, steps: 6}\n"
    )
    config = load_config(str(path))
    plain, rate, knee = config.load
    assert plain == LoadLevel(concurrency=2, requests=9)
    assert rate == SearchLevel(
        "rate", LoadLevel(rate_per_s=0.5, arrivals="gamma", burstiness=0.5, duration_s=60.0), 16
    )
    assert knee == SearchLevel("knee", LoadLevel(concurrency=1, requests=80, warmup_s=1.0), 6)
    assert config.early_stop is False
