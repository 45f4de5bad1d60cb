"""Where connections go: an endpoint's URL taken apart, its name looked up once, its trust set up."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from harness.errors import NetworkError, UsageError
from harness.secret import Secret

# What users paste with the base URL.
ROUTES = ("/chat/completions", "/completions", "/models")
Address = tuple[socket.AddressFamily, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy; ``credentials`` is the value of its ``Proxy-Authorization`` header, None without one."""

    host: str
    port: int
    credentials: Secret | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A server to connect to. ``path`` is the URL's own path without a closing slash; ``tls`` is None for http.

    With a proxy the ``addresses`` are the proxy's.
    """

    host: str
    port: int
    path: str
    addresses: tuple[Address, ...]
    tls: ssl.SSLContext | None
    proxy: Proxy | None = None

    @property
    def host_header(self) -> str:
        """The value of the ``Host`` header: the port is left out where it is the scheme's own."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.tls else 80
        return name if self.port == usual else f"{name}:{self.port}"

    @property
    def request_path(self) -> str:
        """The path to name in a request line: a proxy for plain http wants the whole URL."""
        return f"http://{self.host_header}{self.path}" if self.proxy and self.tls is None else self.path


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
    proxy = proxy_for(parts.scheme, host)
    addresses = await _look_up(proxy.host, proxy.port) if proxy else await _look_up(host, port)
    return Target(host, port, parts.path, addresses, _tls_context(ca_file) if secure else None, proxy)


async def _look_up(host: str, port: int) -> tuple[Address, ...]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a host name"
        raise NetworkError(f"cannot look up {host!r}: {reason or error}") from error
    return tuple(dict.fromkeys((family, tuple(address)) for family, _, _, _, address in found))


def proxy_for(scheme: str, host: str) -> Proxy | None:
    """The proxy that the environment names for ``host``; never one for this machine itself.

    ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in either case; UsageError for one of another kind.
    """
    named = getproxies_environment()
    text = named.get(scheme) or named.get("all")
    if not text or is_loopback(host) or proxy_bypass(host):
        return None
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme != "http" or not parts.hostname:
        raise UsageError(f"a proxy of this kind is not used: '{parts.scheme}://{parts.hostname}'; http:// is")
    credentials = None
    if parts.username:
        plain = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        credentials = Secret("Basic " + base64.b64encode(plain.encode()).decode())
    return Proxy(parts.hostname, parts.port or 80, credentials)


def is_loopback(host: str) -> bool:
    """True for this machine's own addresses and name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


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
