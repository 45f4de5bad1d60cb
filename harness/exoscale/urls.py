"""Which URLs the client will speak to: the API's endpoint and the deployments' own."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from harness.errors import CredentialsError, NetworkError, PlatformError

Resolve = Callable[[str], Sequence[str]]


def zone_endpoint(zone: str) -> str:
    """The API's base URL in a zone."""
    return f"https://api-{zone}.exoscale.com/v2"


def is_loopback(url: str) -> bool:
    """True when the host is spelled as a loopback address or ``localhost``; names are not resolved."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_endpoint(url: str) -> str:
    """The API endpoint without a trailing slash and with its ``/v2``; CredentialsError for one not to be used."""
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise CredentialsError(f"the API endpoint {url!r} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise CredentialsError(
            f"the API endpoint {url!r} is not a URL; try 'https://api-ch-gva-2.exoscale.com/v2'"
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise CredentialsError(f"the API endpoint at {host!r} may hold no user, query or fragment")
    if parts.scheme == "http" and not is_loopback(url):
        raise CredentialsError(
            f"the API endpoint {url!r} is not encrypted; http is for loopback only, use https"
        )
    stripped = url.strip().rstrip("/")
    return stripped if parts.path.strip("/") else f"{stripped}/v2"


def normalise_deployment_url(text: str | None) -> str | None:
    """The URL without trailing slashes and ending in ``/v1``; None for an absent or empty one."""
    stripped = (text or "").strip().rstrip("/")
    if not stripped:
        return None
    return stripped if stripped.endswith("/v1") else f"{stripped}/v1"


def resolve_host(host: str) -> list[str]:
    """The addresses a host name has now; NetworkError when it has none, or none yet."""
    try:
        return sorted({str(entry[4][0]) for entry in socket.getaddrinfo(host, None)})
    except (OSError, UnicodeError) as error:
        raise NetworkError(f"the deployment's host {host!r} has no address: {error}") from error


def check_deployment_url(url: str, *, endpoint: str, resolve: Resolve = resolve_host) -> str:
    """``url`` itself, once it is safe to send a key and load to.

    From a real zone it must be https and lead to public addresses only; a loopback endpoint (the simulator) may
    hand out loopback URLs. PlatformError otherwise.
    """
    if is_loopback(endpoint) and is_loopback(url):
        return url
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise PlatformError(f"the deployment-url {url!r} is not https; nothing was sent to it")
    for address in resolve(parts.hostname):
        if not ipaddress.ip_address(address.partition("%")[0]).is_global:
            raise PlatformError(
                f"the deployment-url {url!r} leads to the private address {address}; nothing was sent to it"
            )
    return url
