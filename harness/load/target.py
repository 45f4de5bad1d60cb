"""Where connections go: an endpoint's URL taken apart, its name looked up once, its trust set up."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from harness.errors import NetworkError, UsageError

# What users paste with the base URL.
ROUTES = ("/chat/completions", "/completions", "/models")
Address = tuple[socket.AddressFamily, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Target:
    """A server to connect to. ``path`` is the URL's own path without a closing slash; ``tls`` is None for http."""

    host: str
    port: int
    path: str
    addresses: tuple[Address, ...]
    tls: ssl.SSLContext | None

    @property
    def host_header(self) -> str:
        """The value of the ``Host`` header: the port is left out where it is the scheme's own."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.tls else 80
        return name if self.port == usual else f"{name}:{self.port}"


def normal_url(text: str) -> str:
    """The base URL ending in ``/v1``, whether or not the user typed that; UsageError when it is no http(s) URL."""
    text = text.strip()
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port
    except ValueError as error:
        raise UsageError(f"not a URL: {text!r}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise UsageError(f"not an http or https URL: {text!r}; try http://127.0.0.1:8000/v1")
    if parts.username is not None:
        raise UsageError(
            "a URL with a user name or password in it is not used; give the key with --api-key-env"
        )
    path = parts.path.rstrip("/")
    for tail in ROUTES:
        path = path.removesuffix(tail)
    return f"{parts.scheme}://{parts.netloc}{path if path.endswith('/v1') else path + '/v1'}"


async def resolve(url: str, *, ca_file: str | None = None) -> Target:
    """Look the host up and prepare TLS; UsageError for a bad URL or CA file, NetworkError for an unknown host."""
    parts = urlsplit(normal_url(url))
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NetworkError(f"cannot look up {host!r}: {error.strerror or error}") from error
    addresses = tuple(dict.fromkeys((family, tuple(address)) for family, _, _, _, address in found))
    return Target(host, port, parts.path, addresses, _tls_context(ca_file) if secure else None)


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Verifies certificates and names; a private CA file is trusted besides the system's."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"cannot use the CA file {ca_file!r}: {error}") from error
    return context
