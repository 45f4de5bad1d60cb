"""Finds engine parameters in container descriptions (Kubernetes, compose) and in scripts inside other YAML. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.plan.commands import IMAGE, looks_like_commands, targets_in_process, targets_in_script
from harness.plan.nodes import Entries, Items, Node, Scalar
from harness.plan.shell import split_commands
from harness.plan.spans import LocatedText, Source
from harness.plan.targets import Target

# In the order of the process's words: compose has the first two, Kubernetes the last two.
COMMAND_KEYS = ("entrypoint", "command", "args")
GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu")

_TEMPLATE = re.compile(r"\$\(|\$\{|\{\{|\$\w")


def targets_in_containers(source: Source, node: Node) -> Iterator[Target]:
    """Parameter lists of every container below a node, and of every script text below it."""
    if isinstance(node, Entries):
        yield from _container(source, node)
        for key, value in node.entries:
            if key.text not in COMMAND_KEYS:
                yield from targets_in_containers(source, value)
    elif isinstance(node, Items):
        for item in node.items:
            yield from targets_in_containers(source, item)
    elif isinstance(node.value, str) and looks_like_commands(node.text):
        yield from targets_in_script(node.located(source))


def _container(source: Source, node: Entries) -> Iterator[Target]:
    words = [word for key in COMMAND_KEYS for word in _words(source, node.get(key))]
    if words:
        image = IMAGE.search(_image(node.get("image")))
        yield from targets_in_process(
            words,
            version=image["version"] if image is not None else None,
            is_engine_image=image is not None,
            gpu_count=_gpus(node),
        )


def _image(node: Node | None) -> str:
    """An image's name with its tag, which Helm values keep apart."""
    if isinstance(node, Scalar):
        return node.text
    if not isinstance(node, Entries):
        return ""
    parts = [node.get("repository"), node.get("tag")]
    return ":".join(part.text for part in parts if isinstance(part, Scalar) and part.text)


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
