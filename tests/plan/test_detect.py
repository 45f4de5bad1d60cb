"""Which lists are found in which file, and what is known beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.plan.detect import find_targets
from harness.plan.files import discover
from harness.plan.findings import Findings
from harness.plan.spans import Source
from harness.plan.targets import Target

FindTargets = Callable[[str, str], Sequence[Target]]


def test_deployment_gives_version_gpus_replicas_and_model(targets_of: FindTargets) -> None:
    text = (
        '{"gpu-type": "gpua5000", "gpu-count": 2, "replicas": 3, "model": {"name": "m/m"},'
        ' "inference-engine-version": "0.15.1", "inference-engine-parameters": ["--a", "b"]}'
    )
    (target,) = targets_of(text, "x.json")
    assert target.parameters == ("--a", "b")
    assert (target.gpu_type, target.gpu_count, target.replicas) == ("gpua5000", 2, 3)
    assert (target.engine_version, target.model, target.is_managed) == ("0.15.1", "m/m", True)


def test_deployment_as_the_exo_command_prints_it_is_known_too(targets_of: FindTargets) -> None:
    text = '{"gpu_type": "gpu3", "inference_engine_version": "0.12.0", "inference_engine_parameters": null}'
    (target,) = targets_of(text, "x.json")
    assert (target.parameters, target.gpu_type, target.engine_version) == ((), "gpu3", "0.12.0")


def test_parameter_file_has_a_list_or_a_mapping_with_facts_beside_it(targets_of: FindTargets) -> None:
    (listed,) = targets_of('engine-version = "0.15.1"\nparameters = ["--a"]\n', "x.toml")
    assert (listed.parameters, listed.engine_version) == (("--a",), "0.15.1")
    mapped = targets_of("gpu-count: 2\nparameters: {a: [1, 2], b: true}\n", "x.yaml")
    assert [target.parameters for target in mapped] == [("--a=1", "--b"), ("--a=2", "--b")]
    assert [target.gpu_count for target in mapped] == [2, 2]


@pytest.mark.parametrize(
    ("line", "parameters", "model"),
    [
        ("vllm serve m/m --a 1", ("--a", "1"), "m/m"),
        ("exec /opt/bin/vllm serve --model m/m --a", ("--a",), "m/m"),
        ("A=1 nohup vllm serve --model=m/m --a &", ("--a",), "m/m"),
        ("python3 -m vllm.entrypoints.openai.api_server --a --model m/m", ("--a",), "m/m"),
        ("docker run --gpus all -p 80:80 vllm/vllm-openai:v0.12.0 --model m/m --a", ("--a",), "m/m"),
        ("vllm serve $MODEL --a", ("--a",), None),
        ("vllm serve --a", ("--a",), None),
    ],
)
def test_engine_command_is_read_without_its_model(
    line: str, parameters: tuple[str, ...], model: str | None, targets_of: FindTargets
) -> None:
    (target,) = targets_of(line, "x.sh")
    assert (target.parameters, target.model, target.is_managed) == (parameters, model, False)
    assert target.engine_version == ("0.12.0" if "v0.12.0" in line else None)


def test_exo_line_gives_its_flags_as_facts(targets_of: FindTargets) -> None:
    line = (
        "exo inference deployment create n --gpu-type=gpua5000 --gpu-count 2 --model-name m/m --replicas 1 "
        "--inference-engine-version 0.15.1 --inference-engine-params='--a=1  --b 2'"
    )
    (target,) = targets_of(line, "x.sh")
    assert target.parameters == ("--a=1", "--b", "2")
    assert (target.gpu_type, target.gpu_count, target.model, target.replicas) == ("gpua5000", 2, "m/m", 1)
    assert (target.engine_version, target.is_managed) == ("0.15.1", True)


def test_kubernetes_container_gives_image_version_and_gpus(targets_of: FindTargets) -> None:
    text = (
        "spec:\n  containers:\n  - image: registry/vllm/vllm-openai:v0.15.1-cu129\n    args: [--model, m/m, --a]\n"
        "    resources: {limits: {nvidia.com/gpu: 4}}\n  - image: nginx\n    args: [--b]\n"
    )
    (target,) = targets_of(text, "x.yaml")
    assert (target.parameters, target.model, target.gpu_count) == (("--a",), "m/m", 4)
    assert target.is_managed is False


@pytest.mark.parametrize(
    "container",
    [
        "{image: IMAGE, command: [vllm, serve, m/m], args: [--a]}",
        "{image: IMAGE, command: [sh, -c], args: [exec vllm serve m/m --a]}",
        "{image: IMAGE, command: [python3, -m, vllm.entrypoints.openai.api_server, --model, m/m, --a]}",
        "{image: IMAGE, command: --model m/m --a}",
        "{image: IMAGE, entrypoint: [vllm, serve], command: m/m --a}",
        "{image: IMAGE, entrypoint: [/bin/bash, -c], command: [vllm serve m/m --a]}",
        "{image: {repository: vllm/vllm-openai, tag: v0.12.0}, args: [--model, m/m, --a]}",
        "{image: IMAGE, command: [sh, -c, 'docker run vllm/vllm-openai:v0.12.0 m/m --a']}",
    ],
)
def test_a_containers_image_gives_the_version_however_it_is_started(
    container: str, targets_of: FindTargets
) -> None:
    image = "vllm/vllm-openai:v0.15.1" if "docker" in container else "docker.io/vllm/vllm-openai:v0.12.0"
    (target,) = targets_of(f"containers:\n- {container.replace('IMAGE', image)}\n", "x.yaml")
    assert (target.parameters, target.model, target.engine_version) == (("--a",), "m/m", "0.12.0")


def test_a_containers_gpus_count_for_a_command_of_its_own_too(targets_of: FindTargets) -> None:
    text = "- {command: [vllm, serve, m/m], resources: {limits: {nvidia.com/gpu: 2}}}\n"
    (target,) = targets_of(text, "x.yaml")
    assert (target.gpu_count, target.engine_version) == (2, None)


def test_a_tag_without_a_version_says_nothing_of_it(targets_of: FindTargets) -> None:
    (target,) = targets_of("- {image: 'vllm/vllm-openai:latest', args: [--a]}\n", "x.yaml")
    assert (target.parameters, target.engine_version) == (("--a",), None)


@pytest.mark.parametrize(
    "words",
    [
        "--entrypoint vllm vllm/vllm-openai:v0.12.0 serve m/m --a",
        "--entrypoint=/bin/bash vllm/vllm-openai:v0.12.0 -lc 'pip install x && vllm serve m/m --a'",
        "--entrypoint python3 vllm/vllm-openai:v0.12.0 -m vllm.entrypoints.openai.api_server --model m/m --a",
        "--entrypoint '' vllm/vllm-openai:v0.12.0 vllm serve m/m --a",
    ],
)
def test_docker_run_with_an_entrypoint_gives_the_images_version(words: str, targets_of: FindTargets) -> None:
    (target,) = targets_of(f"docker run --gpus all {words}", "x.sh")
    assert (target.parameters, target.model, target.engine_version) == (("--a",), "m/m", "0.12.0")


def test_several_documents_and_scripts_inside_texts_are_all_found(targets_of: FindTargets) -> None:
    text = "a: 1\n---\njobs: [{run: 'vllm serve m --a'}, {run: 'ls'}]\n---\nrun: vllm serve m --b\n"
    assert [target.parameters for target in targets_of(text, "x.yaml")] == [("--a",), ("--b",)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("x.yaml", "a: 1\n"),
        ("x.json", "{}"),
        ("x.toml", "a = 1\n"),
        ("x.sh", "ls -l\n"),
        ("x.txt", "hello\nthere\n"),
        ("x.txt", "# only a comment\n"),
        ("-", ""),
        ("x.yaml", "args: [--a]\nimage: nginx\n"),
    ],
)
def test_other_files_are_not_recognised(path: str, text: str) -> None:
    source = Source.of(path, text)
    assert find_targets(source, Findings(source)) is None


def test_cells_that_agree_in_list_version_and_gpus_are_one_target(targets_of: FindTargets) -> None:
    text = (
        "model: m/m\ngpu-type: a\nmatrix:\n  engine-version: ['0.12.0', '0.15.1']\n  replicas: [1, 2]\n"
        "  parameters: {one: [--a], two: [--b]}\nload: [{concurrency: 1, requests: 1}]\n"
    )
    targets = targets_of(text, "x.yaml")
    assert len(targets) == 8
    assert targets[0].cells == ("a×1 0.12.0 one",)
    assert sum(len(target.cells) for target in targets) == 8


def test_folders_are_walked_in_order_without_hidden_ones_environments_and_results(tmp_path: Path) -> None:
    for name in (
        "b/x.yaml",
        "a/y.json",
        "a/readme.md",
        ".git/z.yaml",
        "env/w.yaml",
        "results/v.yaml",
        "c.sh",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "dangling.yaml").symlink_to(tmp_path / "nothing")
    found = [candidate.path.removeprefix(f"{tmp_path}/") for candidate in discover([str(tmp_path)])]
    assert found == ["c.sh", "a/y.json", "b/x.yaml"]
    named = [(one.path, one.is_named) for one in discover(["q.md", str(tmp_path / "a"), "q.md"])]
    assert named == [("q.md", True), (str(tmp_path / "a" / "y.json"), False)]
