"""What there is to lint: parameter lists with the facts that go with them, whatever file they come from. Pure."""

from __future__ import annotations

from typing import NamedTuple

from harness.diagnostics import Diagnostic
from harness.plan.request_lengths import CODE as TOO_LONG
from harness.plan.request_lengths import Requests
from harness.plan.spans import LocatedText, Source, Span

# Findings about the GPU family rather than about the list.
GPU_CODES = ("unknown-gpu-family", "gpu-not-authorized")


class Target(NamedTuple):
    """One parameter list to judge.

    ``engine_version`` None means: not said, so every known one. ``is_managed`` is False where no platform stands
    between the list and the engine (a container, a shell line), so that the platform's rules do not apply.
    ``may_hold_model`` is True for an engine's command whose model was not found: a word that no flag takes is it.
    ``place`` is where findings about the list as a whole point. ``cells`` names what is deployed with the list.
    ``gpu_place`` is where the GPU family stands. ``model`` is a Hugging Face id, ``model_config`` the path of its
    config.json. ``requests`` are what the engine will be asked, where that is known.
    """

    source: Source
    items: tuple[LocatedText, ...]
    place: Span
    engine_version: str | None = None
    gpu_type: str | None = None
    gpu_place: Span | None = None
    gpu_count: int | None = None
    replicas: int | None = None
    model: str | None = None
    model_config: str | None = None
    is_managed: bool = True
    may_hold_model: bool = False
    cells: tuple[str, ...] = ()
    requests: Requests | None = None

    def without_model(self, index: int) -> Target:
        """The same list without the item that turned out to be the model."""
        items = (*self.items[:index], *self.items[index + 1 :])
        return self._replace(items=items, model=self.items[index].text, may_hold_model=False)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The list as texts."""
        return tuple(item.text for item in self.items)

    def span(self, found: Diagnostic) -> Span:
        """Where in the file stands what a finding is about: an item's characters, GPUs, requests, or the whole."""
        index = found.index
        if found.code == TOO_LONG and self.requests is not None and self.requests.place is not None:
            return self.requests.place
        if index is None and found.code in GPU_CODES and self.gpu_place is not None:
            return self.gpu_place
        if index is None or not 0 <= index < len(self.items):
            return self.place
        return self.items[index].span(found.start, found.end)

    def is_opaque_at(self, index: int | None) -> bool:
        """True when the item is known only when it is run; for the list as a whole, when any item is."""
        if index is None or not 0 <= index < len(self.items):
            return any(item.is_opaque for item in self.items)
        return self.items[index].is_opaque
