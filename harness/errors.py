"""The one error tree. The second level says whose fault it is; ``exit_code`` is what the command ends with.

    HarnessError
    ├── UserError             yours: configuration, usage, unusable input        exit 2
    │   ├── ConfigError         a file that cannot be used; may carry diagnostics
    │   ├── UsageError          options that do not go together
    │   └── CredentialsError    credentials missing, or refused                   exit 3
    ├── PlatformError         the platform's: its API refused, failed or hung    exit 3
    │   ├── ApiError            an answer that is not a success
    │   │   ├── NotFoundError     404
    │   │   ├── ConflictError     409
    │   │   ├── CapacityError     412 on create or scale
    │   │   ├── InvalidError      400 and 422
    │   │   ├── ForbiddenError    401 and 403
    │   │   │   └── QuotaError      of this request alone: a quota, or a right that is missing
    │   │   └── RateLimitedError  429
    │   ├── NetworkError        no answer: refused, reset, timed out
    │   ├── OperationFailed     an operation ended in failure or timeout
    │   └── LeftRunningError    something paid for may still be running
    ├── EngineError           the engine's: it did not start or does not serve   exit 1
    │   ├── EngineStartError    the deployment ended in error
    │   └── EndpointError       the endpoint answers, but not as an OpenAI server
    └── InternalError         ours: a state that should not exist                exit 3

Findings are values (``Diagnostic``), failures of one request or one cell are outcomes; an exception means
that something could not go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.diagnostics import Diagnostic


class HarnessError(Exception):
    """Base of everything this package raises on purpose; its text is one line fit for a user."""

    exit_code = 3


class UserError(HarnessError):
    """Something in what the user gave: a file, an option, a value."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration that cannot be used. ``diagnostics`` holds each finding with its place, if known."""

    def __init__(self, message: str, *, diagnostics: Sequence[Diagnostic] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


class UsageError(UserError):
    """Options that do not go together, or a value of an option that cannot be used."""


class CredentialsError(UserError):
    """No credentials, half of them, or credentials the API refuses."""

    exit_code = 3


class PlatformError(HarnessError):
    """The platform's API refused, failed or did not answer."""


class ApiError(PlatformError):
    """An API answer that is not a success.

    ``operation`` is the OpenAPI operation id, ``status`` the HTTP status, ``detail`` the body's own words and
    ``errors`` its list of particulars (strings; empty when the body has none).
    """

    def __init__(
        self, operation: str, *, status: int, detail: str, errors: Sequence[str] = (), subject: str = ""
    ) -> None:
        self.operation = operation
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        named = f" {subject}" if subject else ""
        particulars = f" ({'; '.join(self.errors)})" if self.errors else ""
        super().__init__(f"{operation} refused{named} ({status}): {detail}{particulars}")


class NotFoundError(ApiError):
    """404: the resource does not exist in this zone."""


class ConflictError(ApiError):
    """409: another operation on the resource is in flight."""


class CapacityError(ApiError):
    """412 on create or scale: not enough GPUs of this family."""


class InvalidError(ApiError):
    """400 or 422: the request itself is wrong; ``errors`` names the parameters."""


class ForbiddenError(ApiError):
    """401 or 403: bad signature, revoked key, or a key without the right."""


class QuotaError(ForbiddenError):
    """403 for this one request, while the key is good for others: beyond a quota, or without the right to it."""


class RateLimitedError(ApiError):
    """429; ``retry_after_s`` is the server's wish, or None when it gave none."""

    retry_after_s: float | None = None


class NetworkError(PlatformError):
    """No answer: refused, reset, timed out, or not HTTP."""


class OperationFailed(PlatformError):
    """An asynchronous operation ended in ``failure`` or ``timeout``."""


class LeftRunningError(PlatformError):
    """Something that costs money may still be running; the message names it."""


class EngineError(HarnessError):
    """The engine's fault: it did not start, or does not serve."""

    exit_code = 1


class EngineStartError(EngineError):
    """The engine did not become ready.

    ``cause`` is a class of failure, ``log_tail`` the engine's last lines, ``rule`` the lint rule that catches this.
    """

    def __init__(
        self, message: str, *, cause: str = "unknown", log_tail: Sequence[str] = (), rule: str | None = None
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.log_tail = tuple(log_tail)
        self.rule = rule


class EndpointError(EngineError):
    """Something answers at the URL, but not as an OpenAI-compatible server should."""


class InternalError(HarnessError):
    """A state that should not exist; a defect of this program."""


def was_interrupted(error: BaseException) -> bool:
    """True when a Ctrl-C is somewhere in what led to this error: it then says how the program was cut off, no more."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, KeyboardInterrupt):
        seen = seen.__cause__ or seen.__context__
    return seen is not None
