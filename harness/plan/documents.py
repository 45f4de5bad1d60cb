"""Finds the parameter lists in parsed files that are no sweep: deployments, lists, containers, scripts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.plan.commands import targets_in_script
from harness.plan.containers import targets_in_containers
from harness.plan.deployments import facts_beside, is_deployment, literal_items, targets_in_deployment
from harness.plan.findings import Findings
from harness.plan.nodes import Entries, Items, Node, Scalar, node_span
from harness.plan.parameter_sets import expand_set
from harness.plan.reader import Reader
from harness.plan.spans import Source
from harness.plan.targets import Target


def targets_in_documents(
    source: Source, documents: Sequence[Node], findings: Findings
) -> Sequence[Target] | None:
    """The lists in all documents of a file; None when there is none, and nothing wrong with the file either."""
    reader = Reader(source, findings)
    found = [list(_in_document(reader, document)) for document in documents]
    is_empty_list = any(isinstance(document, Items) and not document.items for document in documents)
    if not any(found) and not is_empty_list and not findings.diagnostics:
        return None
    return [target for targets in found for target in targets]


def _in_document(reader: Reader, node: Node) -> Iterator[Target]:
    if is_deployment(node):
        yield from targets_in_deployment(reader, node)
    elif isinstance(node, Entries) and isinstance(node.get("parameters"), Items | Entries):
        yield from _parameter_file(reader, node)
    elif isinstance(node, Items) and node.items and all(isinstance(item, Scalar) for item in node.items):
        items = literal_items(reader, node)
        yield Target(reader.source, items, items[0].whole if items else node_span(node))
    elif isinstance(node, Items) and any(is_deployment(item) for item in node.items):
        for item in node.items:
            yield from targets_in_deployment(reader, item) if is_deployment(item) else ()
    elif isinstance(node, Scalar) and isinstance(node.value, str):
        yield from targets_in_script(node.located(reader.source))
    else:
        yield from targets_in_containers(reader.source, node)


def _parameter_file(reader: Reader, node: Entries) -> Iterator[Target]:
    """``parameters`` (a list, or a mapping of flags) with the facts beside it."""
    facts = facts_beside(node)
    for key, value in node.entries:
        if key.text != "parameters":
            continue
        if isinstance(value, Items):
            yield Target(reader.source, literal_items(reader, value), node_span(key), **facts)
        else:
            for made in expand_set(reader, None, value):
                yield Target(reader.source, made.items, node_span(key), **facts)
