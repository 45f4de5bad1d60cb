"""One HTTP/1.1 connection on a non-blocking socket, with the kernel's receive time for every read.

Works on any event loop that has ``add_reader``. On the hot path bytes are stamped and kept; reading them comes later
(``harness.load.response``).
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
import time

import httptools

from harness.load.records import Outcome
from harness.load.response import Response

READ_BYTES = 65536
ANCILLARY_BYTES = 128
MAX_RESPONSE_BYTES = 64 << 20
MAX_HEAD_BYTES = 1 << 20
MAX_HELD_BYTES = 1 << 30
TIMESPEC = struct.Struct("@ll")
CREDIBLE_AGE_NS = 5_000_000_000


class ConnectionLost(Exception):
    """The server closed or reset the connection. ``unused`` is True when no byte of a response had come."""

    def __init__(self, detail: str, *, unused: bool) -> None:
        super().__init__(detail)
        self.unused = unused


class ConnectFailed(Exception):
    """No connection came about; ``outcome`` is ``connect`` or ``tls``."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome


class Connection:
    """Opened by ``open_connection``; one exchange at a time; ``close`` frees the socket.

    ``connect_ns`` and ``tls_ns`` are what opening took, ``idle_since_ns`` when it was last in use.
    """

    __slots__ = (
        "_arrived_ns", "_incoming", "_loop", "_outbox", "_outgoing", "_parser", "_response", "_sock", "_tls",
        "_waiter", "closed", "connect_ns", "connected_ns", "idle_since_ns", "reusable", "tls_ns", "used",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, *, loop: asyncio.AbstractEventLoop) -> None:
        self._sock = sock
        self._loop = loop
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._outbox: memoryview | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._response: Response | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._arrived_ns = 0
        self.connect_ns = 0
        self.tls_ns: int | None = None
        self.connected_ns = 0
        self.idle_since_ns = 0
        self.closed = False
        self.reusable = True
        self.used = False

    async def handshake(self, context: ssl.SSLContext, *, host: str) -> None:
        """TLS on the connected socket; ConnectFailed when the certificate or the peer will not do."""
        began = time.monotonic_ns()
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        try:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await self._flush_handshake()
                    data = await self._loop.sock_recv(self._sock, READ_BYTES)
                    if not data:
                        raise ConnectFailed(Outcome.TLS, "closed during the TLS handshake") from None
                    self._incoming.write(data)
            await self._flush_handshake()
        except ssl.SSLCertVerificationError as error:
            raise ConnectFailed(Outcome.TLS, f"certificate not trusted: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise ConnectFailed(Outcome.TLS, f"TLS handshake failed: {error.reason or error}") from error
        except OSError as error:
            raise ConnectFailed(Outcome.TLS, f"TLS handshake failed: {reason(error)}") from error
        self._tls = tls
        self.tls_ns = time.monotonic_ns() - began

    async def _flush_handshake(self) -> None:
        pending = self._outgoing.read()
        if pending:
            await self._loop.sock_sendall(self._sock, pending)

    def start_reading(self) -> None:
        """Watch the socket from now on, idle times included: a close by the server is seen at once."""
        self._loop.add_reader(self._sock.fileno(), self._on_readable)

    async def exchange(self, request: bytes, response: Response) -> None:
        """Send a whole request and fill ``response`` until it is complete.

        Raises ConnectionLost when nothing of a response came; any other failure is noted in ``response``. A
        cancelled exchange closes the connection.
        """
        self._response = response
        self._parser = httptools.HttpResponseParser(self)
        self._waiter = self._loop.create_future()
        response.connected_ns = self.connected_ns
        try:
            self._send(request)
            await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._response = self._parser = self._waiter = None
            response.leave_room()
            self.used = True
            self.idle_since_ns = time.monotonic_ns()
            if not response.complete or not self.reusable:
                self.close()

    def close(self) -> None:
        """Free the socket; harmless when done before."""
        if self.closed:
            return
        self.closed = True
        self.reusable = False
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        self._finish()

    def _finish(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Sending

    def _send(self, request: bytes) -> None:
        if self._tls is not None:
            self._tls.write(request)
            request = self._outgoing.read()
        self._outbox = memoryview(request)
        self._on_writable()

    def _on_writable(self) -> None:
        """Hand what the kernel takes; the request is sent when its last byte is handed over."""
        response, outbox, sent_ns = self._response, self._outbox, 0
        if response is None or outbox is None:
            return
        try:
            while outbox:
                # Before the call: on loopback the answer can be on its way before the call returns.
                sent_ns = time.monotonic_ns()
                outbox = outbox[self._sock.send(outbox) :]
        except (BlockingIOError, InterruptedError):
            self._outbox = outbox
            self._loop.add_writer(self._sock.fileno(), self._on_writable)
            return
        except OSError as error:
            self._lost(reason(error))
            return
        response.sent_ns = sent_ns
        self._outbox = None
        self._loop.remove_writer(self._sock.fileno())

    # Receiving

    def _on_readable(self) -> None:
        try:
            data, ancillary, _, _ = self._sock.recvmsg(READ_BYTES, ANCILLARY_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost(reason(error))
            return
        now_ns = time.monotonic_ns()
        response = self._response
        if response is None or not data:
            self._on_unasked(data)
            return
        before_ns, self._arrived_ns = self._arrived_ns, now_ns
        if ancillary:
            seconds, nanoseconds = TIMESPEC.unpack_from(ancillary[0][2])
            # The kernel stamps CLOCK_REALTIME: its age carries the stamp over to the monotonic clock.
            age_ns = time.time_ns() - (seconds * 1_000_000_000 + nanoseconds)
            if seconds and 0 <= age_ns < CREDIBLE_AGE_NS:
                # Held up between the two clocks, it would seem older than it is, and than what came before it.
                self._arrived_ns = max(before_ns, now_ns - age_ns)
                response.kernel_reads += 1
            else:
                response.user_reads += 1
        else:
            response.user_reads += 1
        self._feed(data, response)

    def _feed(self, data: bytes, response: Response) -> None:
        try:
            if self._tls is None:
                self._parse(data, response)
                return
            self._incoming.write(data)
            while self._parser is not None and not self.closed:
                plain = self._tls.read(READ_BYTES)
                if not plain:
                    self._on_unasked(b"")
                    return
                self._parse(plain, response)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLZeroReturnError:
            self._on_unasked(b"")
        except ssl.SSLError as error:
            response.fail(Outcome.TLS, f"TLS broke off: {error.reason or error}")
            self.close()
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not response.complete:  # what follows a whole response is no part of it
                response.fail(Outcome.MALFORMED, f"not valid HTTP: {error}")
            self.close()

    def _parse(self, data: bytes, response: Response) -> None:
        """Feed the parser, within the limits: headers, and body with its framing and trailers."""
        if response.headers_ns is None:
            response.headers_ns = self._arrived_ns
        response.came(len(data))
        flood = self._flood(response)
        if flood is not None:
            response.fail(Outcome.MALFORMED, flood)
            response.body.clear()
            # At once: others that are read before this exchange has ended have its room.
            response.leave_room()
            self.close()
        elif self._parser is not None and not self.closed:
            self._parser.feed_data(data)

    def _flood(self, response: Response) -> str | None:
        """Which limit on what is kept has been passed, if any."""
        if response.status is None and response.read_bytes > MAX_HEAD_BYTES:
            return f"more than {MAX_HEAD_BYTES >> 20} MiB of response headers"
        if response.read_bytes > MAX_RESPONSE_BYTES:
            return f"more than {MAX_RESPONSE_BYTES >> 20} MiB in one response"
        if response.room.held > MAX_HELD_BYTES:
            return f"more than {MAX_HELD_BYTES >> 20} MiB in all responses in flight"
        return None

    def _on_unasked(self, data: bytes) -> None:
        """End of file, or bytes nobody asked for: either way this connection is over."""
        response = self._response
        if response is not None and not data and self._ends_with_the_connection(response):
            response.complete = True
            response.ended_ns = self._arrived_ns
            self.reusable = False
            self._finish()
            return
        self._lost("the server closed the connection")

    @staticmethod
    def _ends_with_the_connection(response: Response) -> bool:
        framed = "content-length" in response.headers or "transfer-encoding" in response.headers
        return response.status is not None and not framed

    def _lost(self, detail: str) -> None:
        response, waiter = self._response, self._waiter
        if response is not None and waiter is not None and not waiter.done():
            if not response.read_bytes:
                waiter.set_exception(ConnectionLost(detail, unused=True))
            else:
                response.fail(Outcome.TRUNCATED, f"{detail} within the response")
        self.close()

    # Callbacks of httptools

    def on_message_begin(self) -> None:
        """More than one response to one request: what this connection carries next is anyone's guess."""
        if self._response is not None and self._response.complete:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a response header, names in lower case."""
        if self._response is not None and not self._response.complete:
            self._response.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Keep the status; an interim response (1xx) leaves nothing behind."""
        response, parser = self._response, self._parser
        if response is None or parser is None or response.complete:
            return
        status = parser.get_status_code()
        if status >= 200:
            response.status = status
            response.headers_ns = self._arrived_ns if response.headers_ns is None else response.headers_ns
        else:
            response.headers.clear()
            response.headers_ns = None

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body with the time of the read it came in."""
        response = self._response
        if response is not None and not response.complete:
            response.add(self._arrived_ns, body)

    def on_message_complete(self) -> None:
        """The final response is whole."""
        response, parser = self._response, self._parser
        if response is None or parser is None or response.status is None or response.complete:
            return
        response.complete = True
        response.ended_ns = self._arrived_ns
        self.reusable = self.reusable and parser.should_keep_alive() and self._outbox is None
        self._finish()


def reason(error: OSError) -> str:
    """The system's words for an error; asyncio puts the address in their place."""
    return os.strerror(error.errno).lower() if error.errno else str(error)
