"""Opening connections: sockets with receive timestamps, each address in turn, TLS."""

from __future__ import annotations

import asyncio
import socket
import sys
import time

from harness.load.connection import ConnectFailed, Connection, reason
from harness.load.records import Outcome
from harness.load.target import Proxy, Target

# linux/net_tstamp.h and asm-generic/socket.h; the socket module does not name them before Python 3.14.
SO_TIMESTAMPING = 37
LONGEST_PROXY_ANSWER = 65536
# An address that does not answer is given up for the next one after this; the last has the request's own timeout.
NEXT_ADDRESS_S = 3.0
RX_SOFTWARE, REPORT_SOFTWARE = 1 << 3, 1 << 4


async def open_connection(target: Target) -> Connection:
    """A connected, reading Connection to the first of the target's addresses that takes one.

    Raises ConnectFailed, with the last address's reason, when none does.
    """
    loop = asyncio.get_running_loop()
    failure = ConnectFailed(Outcome.CONNECT, f"no address for {target.host!r}")
    for number, (family, address) in enumerate(target.addresses, 1):
        patience_s = NEXT_ADDRESS_S if number < len(target.addresses) else None
        began = time.monotonic_ns()
        try:
            sock = _new_socket(family)
        except OSError as error:
            failure = ConnectFailed(Outcome.CONNECT, f"no socket: {reason(error)}")
            continue
        connection = Connection(sock, loop=loop)
        try:
            async with asyncio.timeout(patience_s):
                await loop.sock_connect(sock, address)
            if target.proxy is not None and target.tls is not None:
                await _tunnel(sock, target, target.proxy, loop=loop)
            connection.connect_ns = time.monotonic_ns() - began
            if target.tls is not None:
                await connection.handshake(target.tls, host=target.host)
            connection.connected_ns = connection.idle_since_ns = time.monotonic_ns()
            connection.start_reading()
            return connection
        except OSError as error:
            sock.close()
            failure = ConnectFailed(Outcome.CONNECT, f"connecting failed: {reason(error) or 'no answer'}")
        except BaseException:
            sock.close()
            raise
    raise failure


def _new_socket(family: socket.AddressFamily) -> socket.socket:
    """A non-blocking TCP socket without Nagle's delay, with receive timestamps where the system has them."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "linux":
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RX_SOFTWARE | REPORT_SOFTWARE)
        except OSError:
            return sock  # sandboxes may refuse it; reads then count as user-space ones
    return sock


async def _tunnel(
    sock: socket.socket, target: Target, proxy: Proxy, *, loop: asyncio.AbstractEventLoop
) -> None:
    """Have the proxy connect to the target; ConnectFailed with its own words when it will not."""
    authority = f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"host: {authority}"]
    if proxy.credentials is not None:
        lines.append(f"proxy-authorization: {proxy.credentials.reveal()}")
    await loop.sock_sendall(sock, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < LONGEST_PROXY_ANSWER:
        data = await loop.sock_recv(sock, 4096)
        if not data:
            break
        answer += data
    status = answer.split(b"\r\n", 1)[0].decode("latin-1")
    if not status.partition(" ")[2].startswith("2"):
        raise ConnectFailed(
            Outcome.CONNECT, f"the proxy {proxy.host}:{proxy.port} refused: {status or 'no answer'}"
        )
