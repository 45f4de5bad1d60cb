"""The findings that are about a file rather than about an engine's parameters: what each code means. Pure."""

from __future__ import annotations

from collections.abc import Mapping

FILE_CODES: Mapping[str, str] = {
    "config-unreadable": "The file cannot be read: missing, forbidden, too large or not UTF-8 text.",
    "config-unrecognised": "The file holds no engine parameters in any form the linter knows.",
    "config-syntax": "The file is not valid YAML, JSON or TOML, or goes beyond the limits on depth and size.",
    "config-duplicate-key": "A key stands twice in one mapping; most readers would keep only the last.",
    "config-unknown-key": "A key that a sweep file, or the body of a create-deployment request, does not have.",
    "config-type": "A value of another type than the key takes.",
    "config-value": "A value outside what the key takes.",
    "config-missing": "Something that a sweep or a deployment cannot do without is not there.",
    "config-link": "Linked flags without values, or with lists of different lengths.",
    "config-duplicate-set": "Two parameter sets have one name, or are the same list.",
    "config-duplicate-value": "A value stands twice on one axis of the matrix.",
    "config-duplicate-axis": "An axis is given both inside the matrix and beside it.",
    "config-no-effect": "An exclude entry that matches nothing.",
    "config-long-warmup": "A load level that warms up for longer than it measures.",
    "request-too-long": "Requests whose prompt and answer are longer than the engine's context, which it refuses.",
    "suppression-without-code": "A suppression comment that does not name what it silences.",
    "suppression-unknown-code": "A suppression comment that names a code no finding has.",
    "suppression-without-reason": "A suppression comment that does not say why.",
    "suppression-unused": "A suppression comment that silences nothing.",
}
