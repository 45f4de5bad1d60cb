"""What a managed deployment owns, and what it should not be told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.diagnostics import Diagnostic, Severity, Stage

Find = Callable[..., list[Diagnostic]]
KEY = "sk-averylongsecretkeythatnobodymaysee"
TOKEN = "hf_averylongtokenthatnobodymayseeatall"


@pytest.mark.parametrize(
    "flag", ["--host 0.0.0.0", "--port 80", "--api-key k", "--ssl-keyfile k", "--headless"]
)
def test_address_keys_and_layout_are_the_platforms(find: Find, flag: str) -> None:
    (finding,) = find("managed-flag", flag)
    assert finding.is_error
    assert finding.stage is Stage.PLATFORM
    assert finding.fix is not None
    assert (finding.fix.first, finding.fix.last) == (0, len(flag.split()))


def test_another_served_name_is_a_warning(find: Find) -> None:
    (finding,) = find("managed-flag", "--served-model-name a b c")
    assert finding.severity is Severity.WARNING
    assert finding.fix is None  # somebody may ask for the model by this name


@pytest.mark.parametrize("words", ["--api-key ''", "--api-key None", "--api-key="])
def test_an_empty_key_is_an_error_of_its_own(find: Find, words: str) -> None:
    (finding,) = find("authentication-off", words)
    assert finding.is_error
    assert find("managed-flag", words) == []


@pytest.mark.parametrize(
    "words",
    [f"--hf-token {TOKEN}", f"--api-key {KEY}", f"--served-model-name {KEY}", f"--hf-token={TOKEN}"],
)
def test_no_finding_repeats_a_secret(find: Find, words: str) -> None:
    found = find("secret-in-parameters", words) + find("managed-flag", words)
    assert found
    for finding in found:
        said = f"{finding.message} {finding.hint} {finding.note} {finding.fix}"
        assert KEY not in said
        assert TOKEN not in said


def test_a_token_is_reported_once(find: Find) -> None:
    assert len(find("secret-in-parameters", f"--hf-token {TOKEN}")) == 1


@pytest.mark.parametrize(
    ("count", "gpu_type", "severity"),
    [
        (0, None, Severity.ERROR),
        (1, None, None),
        (8, None, None),
        (9, None, Severity.ERROR),
        (8, "gpua5000", Severity.WARNING),
        (8, "gpu3", None),
    ],
)
def test_gpu_counts(find: Find, count: int, gpu_type: str | None, severity: Severity | None) -> None:
    found = find("deployment-size", "", gpu_count=count, gpu_type=gpu_type)
    assert [finding.severity for finding in found] == ([] if severity is None else [severity])


def test_a_deployment_has_a_replica(find: Find) -> None:
    assert len(find("deployment-size", "", replicas=0)) == 1
    assert find("deployment-size", "", replicas=1) == []


def test_families_are_judged_only_when_they_are_known(find: Find) -> None:
    assert find("gpu-not-authorized", "", gpu_type="gpu3") == []
    assert len(find("gpu-not-authorized", "", gpu_type="gpu3", authorized=("gpua5000",))) == 1
    assert find("gpu-not-authorized", "", gpu_type="gpu3", authorized=("gpu3", "gpua5000")) == []


def test_idle_gpus_can_be_put_to_use(find: Find) -> None:
    (finding,) = find("idle-gpus", "--tensor-parallel-size=2", model="llama-8b", gpu_count=4)
    assert finding.fix is not None
    assert finding.fix.items == ("--tensor-parallel-size=4",)


def test_gpus_are_idle_only_where_sizes_are_given(find: Find) -> None:
    assert find("idle-gpus", "", gpu_count=4) == []
    assert find("idle-gpus", "-tp 2 -dp 2", gpu_count=4) == []


def test_heads_that_do_not_divide_are_not_offered(find: Find) -> None:
    (finding,) = find("idle-gpus", "-tp 4", model="qwen2.5-7b", gpu_count=8)
    assert finding.fix is None


@pytest.mark.parametrize("words", ["--trust-remote-code", "--middleware a.b", "--worker-cls x.Y"])
def test_foreign_code_is_a_warning(find: Find, words: str) -> None:
    (finding,) = find("foreign-code", words)
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize("words", ["--no-trust-remote-code", "--worker-cls auto"])
def test_defaults_run_nothing_foreign(find: Find, words: str) -> None:
    assert find("foreign-code", words) == []


@pytest.mark.parametrize(
    ("family", "meant"),
    [("gpua500", "gpua5000"), ("GPUA5000", "gpua5000"), ("rtx-a5000", "gpua5000"), ("A40", "gpu3")],
)
def test_gpu_family_that_is_not_known_is_told_with_the_one_that_was_meant(
    find: Find, family: str, meant: str
) -> None:
    (finding,) = find("unknown-gpu-family", "", gpu_type=family)
    assert finding.severity is Severity.WARNING
    assert finding.note == f"did you mean {meant!r}?"


def test_gpu_family_like_none_comes_with_all_that_are_known(find: Find) -> None:
    (finding,) = find("unknown-gpu-family", "", gpu_type="h100")
    assert finding.note == "known: gpu3080ti, gpua5000, gpu3, gpua30, gpurtx6000pro, gpu2, gpu, gpub300"


def test_gpu_family_is_left_to_the_zone_once_it_was_asked(find: Find) -> None:
    assert find("unknown-gpu-family", "", gpu_type="gpu4", authorized=("gpua5000",)) == []
    assert find("unknown-gpu-family", "", gpu_type="cpu") == []
    (finding,) = find("gpu-not-authorized", "", gpu_type="gpua500", authorized=("gpu3", "gpua5000"))
    assert finding.note == "authorized: gpu3, gpua5000; did you mean 'gpua5000'?"
