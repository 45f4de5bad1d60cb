"""The whole suite: what a busy machine may do to it, and in which order it runs."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest test first: begun last, it would leave the other workers without work for its half minute."""
    items.sort(key=lambda item: "test_chaos.py" not in item.nodeid)
