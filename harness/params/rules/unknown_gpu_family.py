"""No GPU family of this name is known.

The API takes a family as free text and refuses an unknown one only when the deployment is made. Families come and go
(``gpub300`` is younger than the API document of this package), so this is a warning; ``--live`` asks the zone and makes
an error of it. Not said of ``cpu``, which stands for an engine on this machine.

Wrong::

    --seed 1    # gpu-type: gpua500

Right::

    --seed 1    # gpu-type: gpua5000
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.names import near_text
from harness.params.quoting import quote

CODE = "unknown-gpu-family"
STAGE = Stage.PLATFORM
SEVERITY = Severity.WARNING
# Families of the compute API that the tables have no figures of.
WITHOUT_FIGURES = ("gpu", "gpub300")
NO_GPU = "cpu"
# Below, everything is spelt alike.
SHORTEST = 3


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding, with the family that was likely meant; silent once the zone was asked."""
    family = context.gpu_type
    if family is None or family == NO_GPU or context.authorized_gpu_types is not None:
        return
    cards = names_of_cards()
    if family in cards or family in WITHOUT_FIGURES:
        return
    near = near_family(family)
    known = ", ".join((*cards, *WITHOUT_FIGURES))
    yield context.warning(
        CODE,
        None,
        f"no GPU family {quote(family)} is known",
        note=f"known: {known}" if near is None else f"did you mean {near!r}?",
    )


def names_of_cards() -> dict[str, str]:
    """The card of each of Exoscale's families that the tables have figures of."""
    # Here, so that a list without a GPU is linted without loading the tables.
    from harness.forecast.tables import exoscale_gpus

    return {family: card.name for family, card in exoscale_gpus().items()}


def near_family(text: str) -> str | None:
    """The family that is spelt alike, or whose card is meant: ``a40`` is ``gpu3``; None when neither is clear."""
    cards = names_of_cards()
    plain = re.sub(r"[^a-z0-9]", "", text.lower())
    if plain in (*cards, *WITHOUT_FIGURES):
        return plain
    card = plain.removeprefix("nvidia").removeprefix("gpu").removeprefix("rtx")
    if len(card) < SHORTEST:
        return None
    meant = [family for family, name in cards.items() if _plain_card(name).startswith(card)]
    return meant[0] if meant else near_text(plain, tuple(cards))


def _plain_card(name: str) -> str:
    """``RTX PRO 6000 BW SE`` as ``pro6000bwse``."""
    return name.lower().removeprefix("rtx ").replace(" ", "")
