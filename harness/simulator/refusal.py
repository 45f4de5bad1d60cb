"""The simulated API's own way of saying no, and the two dialects it says it in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

TITLES = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    412: "Precondition Failed",
    422: "Invalid Request Body",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


class Dialect(StrEnum):
    """``SEED`` is the API of March 2026: four states, ``{"error"}``. ``RFC9457`` is what followed it."""

    SEED = "seed"
    RFC9457 = "rfc9457"


class Refusal(Exception):
    """An answer that is not a success. ``places`` are JSONPath and words of a body that breaks the schema."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[str] = (),
        places: Sequence[tuple[str, str]] = (),
        document: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.places = tuple(places)
        self.document = document

    def body(self, dialect: Dialect) -> tuple[int, dict[str, Any]]:
        """Status and body; a broken schema is 400 in the older dialect and 422 without a detail in the newer."""
        if self.document is not None:
            return self.status, self.document
        if dialect is Dialect.SEED:
            words = [self.detail, *self.errors, *(f"{place}: {what}" for place, what in self.places)]
            return 400 if self.status == 422 else self.status, {"error": " ".join(words)}
        title = TITLES.get(self.status, "Error")
        slug = "request-invalid-body" if self.status == 422 else title.lower().replace(" ", "-")
        document: dict[str, Any] = {"type": f"#/http-problem-types/{slug}", "title": title}
        if self.places:
            document["errors"] = [
                {"path": place.strip("$[]'"), "location": place, "detail": what}
                for place, what in self.places
            ]
            return self.status, document
        document["detail"] = self.detail
        if self.errors:
            document["errors"] = list(self.errors)
        return self.status, document


def not_found(what: str) -> Refusal:
    """404 about one resource."""
    return Refusal(404, f"{what} was not found.")
