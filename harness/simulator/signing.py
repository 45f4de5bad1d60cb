"""How the simulated API checks a signature. Written apart from the client's signer, so that they can disagree. Pure."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from urllib.parse import unquote_plus

from harness.secret import Secret

SCHEME = "EXO2-HMAC-SHA256 "
LONGEST_LIFE_S = 3600.0


def is_genuine(
    header: str | None,
    *,
    method: str,
    raw_path: bytes,
    query: bytes,
    body: bytes,
    keys: Mapping[str, Secret],
    now: float,
) -> bool:
    """True when the header signs exactly this request with a known key and has not expired at ``now`` (Unix).

    Every query parameter that occurs once has to be signed, as the vendor's clients do it.
    """
    if header is None or not header.startswith(SCHEME):
        return False
    fields = dict(part.split("=", 1) for part in header[len(SCHEME) :].split(",") if "=" in part)
    secret = keys.get(fields.get("credential", ""))
    expires = fields.get("expires", "")
    if secret is None or not (expires.isascii() and expires.isdigit()):
        return False
    if not now < int(expires) <= now + LONGEST_LIFE_S:
        return False
    signed = [name for name in fields.get("signed-query-args", "").split(";") if name]
    given = _query(query)
    if signed != sorted(name for name, values in given.items() if len(values) == 1):
        return False
    message = method.upper().encode() + b" " + raw_path + b"\n" + body + b"\n"
    message += "".join(given[name][0] for name in signed).encode() + b"\n\n" + expires.encode()
    try:
        claimed = b64decode(fields.get("signature", ""), validate=True)
    except (Base64Error, ValueError):
        return False
    return hmac.compare_digest(claimed, hmac.new(secret.reveal().encode(), message, hashlib.sha256).digest())


def _query(query: bytes) -> dict[str, list[str]]:
    """Decoded values by name; names without a value are left out."""
    found: dict[str, list[str]] = {}
    for part in query.decode("ascii", "replace").split("&"):
        name, _, value = part.partition("=")
        if name and value:
            found.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return found
