"""``harness lint --live`` against the embedded cloud, which answers help and GPU families over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.cli.live import describe_difference, with_live_facts
from harness.errors import NetworkError, PlatformError
from harness.params.help import EngineHelp, parse_help
from harness.params.snapshots import load_help
from harness.plan.lint import Judge, LintOptions, lint_source
from harness.plan.spans import Source
from harness.simulator.process import SimulatorProcess
from harness.simulator.server import Options


@pytest.fixture(scope="module")
def cloud() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(Options(time_scale=1000.0)) as process:
        yield process


@pytest.fixture
def credentials(cloud: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cloud.credentials
    monkeypatch.setenv("EXOSCALE_API_ENDPOINT", found.endpoint)
    monkeypatch.setenv("EXOSCALE_API_KEY", found.key)
    monkeypatch.setenv("EXOSCALE_API_SECRET", found.secret.reveal())
    monkeypatch.setenv("EXOSCALE_ZONE", found.zone)


@pytest.mark.usefixtures("credentials")
def test_live_help_of_a_known_version_gives_the_same_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    options = with_live_facts(LintOptions(), None)
    assert options.live
    assert options.authorized
    source = Source.of(
        "x.json", '{"inference-engine-version": "0.15.1", "inference-engine-parameters": ["--bogus"]}'
    )
    report = lint_source(source, Judge(options))
    assert [one.code for one in report.diagnostics if one.is_error] == ["unknown-flag"]
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("SIMULATED: the API asked is http://127.0.0.1:")


@pytest.mark.usefixtures("credentials")
def test_cloud_without_help_for_a_version_is_an_error_of_the_platform() -> None:
    options = with_live_facts(LintOptions(engine_version="9.9.9"), None)
    with pytest.raises(PlatformError):
        lint_source(Source.of("x.yaml", "- --seed=1\n"), Judge(options))


def test_cloud_that_is_not_there_is_a_network_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOSCALE_API_ENDPOINT", "http://127.0.0.1:9/v2")
    monkeypatch.setenv("EXOSCALE_API_KEY", "EXO123")
    monkeypatch.setenv("EXOSCALE_API_SECRET", "s")
    with pytest.raises(NetworkError):
        with_live_facts(LintOptions(), None, patience_s=0.0)


def test_difference_between_live_and_shipped_help_is_described() -> None:
    shipped = load_help("0.15.1")
    entries = [
        {"name": spec.name, "flags": spec.flags, "type": spec.type, "default": spec.default,
         "allowed-values": spec.allowed_values, "section": "other", "description": "other"}
        for spec in shipped.parameters
    ]  # fmt: skip
    assert describe_difference(as_help(entries)) == ""
    changed = [{**entry, "default": "5"} if entry["name"] == "seed" else entry for entry in entries[1:]]
    text = describe_difference(as_help([*changed, {"name": "brand-new"}]))
    first = str(entries[0]["name"])
    assert text == (
        "the API's parameters for 0.15.1 differ from the shipped ones: "
        f"1 more (brand-new), 1 fewer ({first}), 1 changed (seed)"
    )


def as_help(entries: list[dict[str, object]]) -> EngineHelp:
    return parse_help({"parameters": entries}, version="0.15.1")
