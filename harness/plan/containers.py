"""Finds engine parameters in container descriptions (Kubernetes, compose) and in scripts inside other YAML. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from harness.plan.commands import (
    IMAGE,
    engine_target,
    looks_like_commands,
    targets_in_command,
    targets_in_script,
)
from harness.plan.nodes import Entries, Items, Node, Scalar
from harness.plan.shell import split_commands
from harness.plan.spans import LocatedText, Source
from harness.plan.targets import Target

SHELLS = ("sh", "bash", "ash", "dash", "zsh")
GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu")

_TEMPLATE = re.compile(r"\$\(|\$\{|\{\{|\$\w")


def targets_in_containers(source: Source, node: Node) -> Iterator[Target]:
    """Parameter lists of every container below a node, and of every script text below it."""
    if isinstance(node, Entries):
        arguments, command = node.get("args"), node.get("command")
        if arguments is not None or command is not None:
            yield from _container(source, node, command, arguments)
        for key, value in node.entries:
            if key.text not in ("args", "command"):
                yield from targets_in_containers(source, value)
    elif isinstance(node, Items):
        for item in node.items:
            yield from targets_in_containers(source, item)
    elif isinstance(node.value, str) and looks_like_commands(node.text):
        yield from targets_in_script(node.located(source))


def _container(
    source: Source, node: Entries, command: Node | None, arguments: Node | None
) -> Iterator[Target]:
    words = [*_words(source, command), *_words(source, arguments)]
    if not words:
        return
    script = _script(words)
    if script is not None:
        yield from targets_in_script(script)
        return
    found = list(targets_in_command(words))
    if found:
        yield from found
        return
    image_node = node.get("image")
    image = IMAGE.search(image_node.text) if isinstance(image_node, Scalar) else None
    if image is not None and all(word.text.rsplit("/", 1)[-1] not in SHELLS for word in words[:1]):
        yield engine_target(words, place=words[0], version=image["version"], gpu_count=_gpus(node))


def _words(source: Source, node: Node | None) -> Sequence[LocatedText]:
    """The words of ``args`` or ``command``: a list as it is, a text split as a shell would."""
    if isinstance(node, Items):
        return [_marked(item.located(source)) for item in node.items if isinstance(item, Scalar)]
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return [word for command in split_commands(node.located(source)) for word in command]
    return ()


def _marked(item: LocatedText) -> LocatedText:
    """The item, opaque when it holds a variable or a template."""
    if not _TEMPLATE.search(item.text):
        return item
    return LocatedText(item.source, item.text, item.whole, item.spans, item.form, is_opaque=True)


def _script(words: Sequence[LocatedText]) -> LocatedText | None:
    """The script of ``sh -c SCRIPT``, or None."""
    if words[0].text.rsplit("/", 1)[-1] not in SHELLS:
        return None
    for flag, script in itertools.pairwise(words):
        if flag.text.startswith("-") and not flag.text.startswith("--") and flag.text.endswith("c"):
            return script
    return None


def _gpus(node: Entries) -> int | None:
    """GPUs in a Kubernetes container's limits."""
    resources = node.get("resources")
    limits = resources.get("limits") if isinstance(resources, Entries) else None
    for name in GPU_RESOURCES:
        count = limits.get(name) if isinstance(limits, Entries) else None
        if (
            isinstance(count, Scalar)
            and count.text.isascii()
            and count.text.isdigit()
            and len(count.text) < 4
        ):
            return int(count.text)
    return None
