"""Which cells a sweep leaves out by their forecast: ``prune:`` in its file, ``--prune`` on the command line. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import UsageError
from harness.plan.nodes import Entries, Node, Scalar
from harness.plan.reader import Reader

PRUNE_KEYS = ("keep", "within", "equivalent")


@dataclass(frozen=True, slots=True)
class PruneRule:
    """Keep the best ``keep`` share of the cells, or those ``within`` a factor of the best predicted cost; not both.

    ``equivalent`` leaves out those that would run the same as an earlier one.
    """

    keep: float | None = None
    within: float | None = None
    equivalent: bool = False

    @property
    def text(self) -> str:
        """The rule as ``parse_prune`` takes it: ``keep=20%,equivalent``."""
        words = [f"keep={self.keep * 100:g}%"] if self.keep is not None else []
        words += [f"within={self.within:g}"] if self.within is not None else []
        return ",".join([*words, "equivalent"] if self.equivalent else words)


def parse_prune(text: str) -> PruneRule:
    """The rule in ``keep=20%``, ``within=1.5``, ``equivalent``, joined by commas; UsageError for anything else."""
    keep = within = None
    equivalent = False
    for word in text.split(","):
        name, _, value = word.strip().partition("=")
        if name == "keep":
            keep = _share(value)
        elif name == "within":
            within = _factor(value)
        equivalent = equivalent or word.strip() == "equivalent"
        if (name == "keep" and keep is None) or (name == "within" and within is None):
            raise UsageError(f"a rule to prune by is keep=20% or within=1.5, not {word.strip()!r}")
        if name not in PRUNE_KEYS or (name == "equivalent" and value):
            raise UsageError(
                f"no rule to prune by {word.strip()!r}; there are: keep=20%, within=1.5, equivalent"
            )
    if keep is not None and within is not None:
        raise UsageError("prune by keep or within, not both")
    return PruneRule(keep, within, equivalent)


def read_prune(reader: Reader, node: Node) -> PruneRule | None:
    """The rule in a sweep file; problems go to the reader's findings."""
    entries = reader.entries(node, "prune", PRUNE_KEYS)
    if isinstance(node, Entries) and not entries:
        reader.error("missing", node, "prune needs a rule", hint="prune: {keep: 20%}")
        return None
    if "keep" in entries and "within" in entries:
        reader.error("value", node, "prune takes either keep or within")
        return None
    keep, within, equivalent = (entries.get(key) for key in PRUNE_KEYS)
    share = None if keep is None else _share(_text(keep))
    factor = None if within is None else _factor(_text(within))
    switch = None if equivalent is None else reader.switch(equivalent, "equivalent")
    if keep is not None and share is None:
        reader.wrong(keep, "keep", "a share of the cells, such as 20%")
    if within is not None and factor is None:
        reader.wrong(within, "within", "a factor of the best predicted cost, 1 or more, such as 1.5")
    return PruneRule(share, factor, switch or False)


def _text(node: Node) -> str:
    known = isinstance(node, Scalar) and not isinstance(node.value, bool)
    return str(node.value) if known and isinstance(node, Scalar) else ""


def _share(text: str) -> float | None:
    """``20%`` or ``0.2``: above 0 and at most 1."""
    number = _number(text.removesuffix("%"))
    share = None if number is None else number / 100 if text.endswith("%") else number
    return share if share is not None and 0 < share <= 1 else None


def _factor(text: str) -> float | None:
    number = _number(text)
    return number if number is not None and 1 <= number < 1e6 else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
