"""Reads texts as files would be read, without a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from harness.plan.detect import find_targets
from harness.plan.findings import Findings
from harness.plan.nodes import Entries, Items, Node, Scalar
from harness.plan.source import parse
from harness.plan.spans import LocatedText, Source
from harness.plan.targets import Target

Parse = Callable[..., Node]
FindTargets = Callable[..., Sequence[Target]]


@pytest.fixture
def parse_text() -> Parse:
    """``parse_text(text, path="x.yaml")``: the one document of a text that has no findings."""

    def read(text: str, path: str = "x.yaml") -> Node:
        source = Source.of(path, text)
        findings = Findings(source)
        (document,) = parse(source, findings)
        assert not findings.diagnostics
        return document

    return read


@pytest.fixture
def targets_of() -> FindTargets:
    """``targets_of(text, path)``: the parameter lists in a text; fails when it is not recognised."""

    def find(text: str, path: str) -> Sequence[Target]:
        source = Source.of(path, text)
        targets = find_targets(source, Findings(source))
        assert targets is not None
        return targets

    return find


@pytest.fixture
def scalars_of() -> Callable[[Node, str, str], list[LocatedText]]:
    """Every scalar below a node as a located text, in order."""

    def collect(node: Node, path: str, text: str) -> list[LocatedText]:
        source = Source.of(path, text)

        def walk(at: Node) -> list[LocatedText]:
            if isinstance(at, Scalar):
                return [at.located(source)]
            if isinstance(at, Items):
                return [found for item in at.items for found in walk(item)]
            assert isinstance(at, Entries)
            return [found for _, value in at.entries for found in walk(value)]

        return walk(node)

    return collect
