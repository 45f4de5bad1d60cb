"""An engine's refusals of a request, worded as vLLM 0.12.0 and 0.15.1 word theirs. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError


class Refused(Exception):
    """An answer that is not 200: ``body`` is what the engine sends, JSON unless it is text."""

    def __init__(self, status: int, body: dict[str, Any] | str) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class FieldRefused(ValueError):
    """A field refused by a check of the whole body. Later versions name it, and show the value if one is at fault."""

    def __init__(self, message: str, field: str, value: object = None) -> None:
        super().__init__(message)
        self.field, self.value = field, value

    def __str__(self) -> str:
        value = "" if self.value is None else f", value={self.value}"
        return f"{self.args[0]} (parameter={self.field}{value})"

    def __repr__(self) -> str:
        return f"VLLMValidationError({self.args[0]!r})"


def error(message: str, kind: str, param: str | None, code: int) -> dict[str, Any]:
    """The body of an error."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def bad(message: str, *, param: str | None = None) -> Refused:
    """400, from beyond the body's own shape."""
    return Refused(400, error(message, "BadRequestError", param, 400))


def bad_value(
    message: str, param: str, value: object, *, named: bool, trailing_none: bool = False
) -> Refused:
    """400 for a value. With ``named`` the message ends in it, as of 0.13; before, it may end in a stray word."""
    if named:
        shown = "" if value is None else f", value={value}"
        return bad(f"{message} (parameter={param}{shown})", param=param)
    return bad(f"{message} None" if trailing_none else message)


def malformed(details: object, *, param: str | None = None) -> Refused:
    """400 for a body that is no request; ``details`` are the errors as a list."""
    return Refused(400, error(str(details), "Bad Request", param, 400))


def invalid(found: ValidationError) -> Refused:
    """400 with the errors that the body's model found."""
    details = []
    param = None
    for each in found.errors(include_url=False):
        told: dict[str, Any] = {"type": each["type"], "loc": ("body", *each["loc"]), "msg": each["msg"]}
        details.append(told | {key: value for key, value in each.items() if key in ("input", "ctx")})
        cause = each.get("ctx", {}).get("error")
        if isinstance(cause, FieldRefused):
            param = cause.field
    return malformed(details, param=param)


def not_simulated(what: str, *, param: str | None = None) -> Refused:
    """501: a real engine would have an answer, this one does not make one up."""
    message = (
        f"the simulated engine has no {what}: a real vLLM may answer this request, the simulator does not"
    )
    return Refused(501, error(message, "NotImplementedError", param, 501))
