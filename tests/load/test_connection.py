"""HTTP/1.1 as servers and proxies write it, TLS, keep-alive and its races, against a server that knows what it sent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trustme

from harness.errors import UsageError
from harness.load.arrivals import ClosedLoop
from harness.load.pool import Pool
from harness.load.records import Outcome
from harness.load.request import get_bytes, post_bytes
from harness.load.response import Response
from harness.load.stage import Stage
from harness.load.target import Target, proxy_for, resolve
from harness.secret import Secret

Serve = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("no_leak")


def exchange(url: str, *requests: bytes, pause_s: float = 0.0) -> list[Response]:
    """Send ``requests`` one after another through one pool (a GET of /x when there are none)."""

    async def run() -> list[Response]:
        target = await resolve(url)
        pool = Pool(target)
        responses = []
        for request in requests or (get_bytes(target, path="/x", key=None),):
            response = Response()
            async with asyncio.timeout(5):
                await pool.exchange(request, response)
            responses.append(response)
            await asyncio.sleep(pause_s)
        pool.close()
        return responses

    return asyncio.run(run())


def answer_with(data: bytes, *, close: bool = False) -> Any:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(data)
        if close:
            reply.close()

    return handle


GET = b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n"


def test_a_body_with_a_length(serve: Serve) -> None:
    [response] = exchange(serve(answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")).url)
    assert (response.status, response.content, response.complete) == (200, b"hello", True)


def test_chunks_with_extensions_and_trailers(serve: Serve) -> None:
    data = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nx-sum: 1\r\n\r\n"
    [response] = exchange(serve(answer_with(data)).url)
    assert (response.content, response.complete, response.outcome) == (b"abcde", True, None)


def test_a_body_that_ends_with_the_connection(serve: Serve) -> None:
    server = serve(answer_with(b"HTTP/1.1 200 OK\r\n\r\nto the end", close=True))
    [response] = exchange(server.url)
    assert (response.content, response.complete, response.outcome) == (b"to the end", True, None)


def test_an_interim_response_is_passed_over(serve: Serve) -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    [response] = exchange(serve(answer_with(data)).url)
    assert (response.status, response.content) == (200, b"ok")


def test_the_headers_time_is_the_final_answers_not_an_interim_ones(serve: Serve) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(b"HTTP/1.1 102 Processing\r\nx: 1\r\n\r\n")
        await reply.write(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
        await asyncio.sleep(0.05)
        await reply.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    server = serve(handle)
    [response] = exchange(server.url)
    assert (response.status, response.headers) == (200, {"content-length": "2"})
    assert response.headers_ns >= server.replies[0].sent_ns[2]


def test_a_body_shorter_than_its_length_is_truncated(serve: Serve) -> None:
    [response] = exchange(
        serve(answer_with(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nearly", close=True)).url
    )
    assert (response.outcome, response.complete) == (Outcome.TRUNCATED, False)


def test_a_connection_idle_for_longer_than_servers_keep_it_is_not_trusted(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.load.pool.IDLE_LIMIT_S", 0.02)
    server = serve(answer_with(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
    exchange(server.url, GET, GET, pause_s=0.05)
    assert server.connections == 2


def test_a_kept_connection_is_used_again(serve: Serve) -> None:
    server = serve(answer_with(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
    first, second = exchange(server.url, GET, GET)
    assert server.connections == 1
    assert first.connect_ns is not None
    assert second.connect_ns is None
    assert second.connected_ns == first.connected_ns


def test_a_connection_the_server_will_close_is_not_used_again(serve: Serve) -> None:
    server = serve(answer_with(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"))
    exchange(server.url, GET, GET)
    assert server.connections == 2


def test_a_connection_closed_while_idle_is_replaced_unnoticed(serve: Serve) -> None:
    server = serve(answer_with(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", close=True))
    first, second = exchange(server.url, GET, GET, pause_s=0.1)
    assert first.complete
    assert second.complete
    assert second.retries == 0
    assert server.connections == 2


def test_a_close_that_races_with_the_request_is_retried_before_the_clock_starts(serve: Serve) -> None:
    async def handle(request: Any, reply: Any) -> None:
        # The server closes when the second request of a connection is already on its way.
        earlier = [r for r in server.requests if r.connection == request.connection]
        if len(earlier) > 1:
            await asyncio.sleep(0.15)
            reply.close()
        else:
            await reply.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    server = serve(handle)
    first, second = exchange(server.url, GET, GET)
    assert first.retries == 0
    assert (second.complete, second.retries, second.outcome) == (True, 1, None)
    # The clock starts with the second try: after the server sat on the first one.
    assert second.sent_ns - first.ended_ns > 100_000_000


def test_a_fresh_connection_that_is_closed_is_not_tried_again(serve: Serve) -> None:
    async def handle(request: Any, reply: Any) -> None:
        reply.close()

    server = serve(handle)
    [response] = exchange(server.url)
    assert response.outcome is Outcome.TRUNCATED
    assert len(server.requests) == 1


def test_a_megabyte_of_prompt_arrives_whole(serve: Serve) -> None:
    prompt = "wörter " * 150_000

    async def run() -> Response:
        target = await resolve(server.url)
        pool, response = Pool(target), Response()
        await pool.exchange(
            post_bytes(target, api="completions", body={"prompt": prompt}, key=None), response
        )
        pool.close()
        return response

    server = serve(answer_with(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"))
    response = asyncio.run(run())
    assert response.complete
    assert server.requests[0].body == {"prompt": prompt}
    assert server.replies[0].sent_ns[0] >= response.sent_ns - 50_000_000


def test_a_request_is_sent_when_its_last_byte_is_taken(serve: Serve) -> None:
    read_on = asyncio.Event()
    taken_ns: list[int] = []

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.2)
        taken_ns.append(time.monotonic_ns())
        read = 0
        while read < SIZE:
            read += len(await reader.read(1 << 20))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await reader.read()
        writer.close()
        read_on.set()

    async def run() -> Response:
        server = await asyncio.start_server(slow, "127.0.0.1", 0)
        target = await resolve(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        pool, response = Pool(target), Response()
        # More than the buffers of both ends hold: the kernel takes the end of it only once the server reads on.
        await pool.exchange(
            post_bytes(target, api="completions", body={"prompt": "x" * SIZE}, key=None), response
        )
        pool.close()
        await read_on.wait()
        server.close()
        return response

    SIZE = 30_000_000
    response = asyncio.run(run())
    assert response.status == 200
    assert response.sent_ns >= taken_ns[0]
    assert response.headers_ns >= response.sent_ns


def test_a_large_response_arrives_whole(serve: Serve) -> None:
    data = bytes(range(256)) * 20_000
    server = serve(answer_with(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(data) + data))
    [response] = exchange(server.url)
    assert response.content == data


def test_an_answer_before_the_request_is_sent_is_taken(serve: Serve) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()
        over.set()

    async def run() -> Response:
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        target = await resolve(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        pool, response = Pool(target), Response()
        body = {"prompt": "x" * 30_000_000}
        await pool.exchange(post_bytes(target, api="completions", body=body, key=None), response)
        pool.close()
        await over.wait()
        server.close()
        return response

    over = asyncio.Event()
    response = asyncio.run(run())
    assert response.status == 413


def test_reads_carry_the_kernels_time(serve: Serve) -> None:
    [response] = exchange(serve(answer_with(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")).url)
    assert response.kernel_reads == 1
    assert response.user_reads == 0


def test_the_clock_falls_back_to_user_space_and_counts_it(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.load.dial.sys.platform", "other")
    [response] = exchange(serve(answer_with(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")).url)
    assert (response.kernel_reads, response.user_reads) == (0, 1)
    assert response.complete


def test_ipv6(serve: Serve) -> None:
    try:
        server = serve(answer_with(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), host="::1")
    except AssertionError:
        pytest.skip("no IPv6 on loopback here")
    [response] = exchange(server.url)
    assert response.status == 200
    assert server.requests[0].method == "GET"


def exchange_at(target: Target) -> Response:
    async def run() -> Response:
        pool, response = Pool(target), Response()
        await pool.exchange(get_bytes(target, path="/x", key=None), response)
        pool.close()
        return response

    return asyncio.run(run())


@pytest.mark.parametrize("silent", [False, True])
def test_the_next_address_is_tried_when_one_refuses_or_does_not_answer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    monkeypatch.setattr("harness.load.dial.NEXT_ADDRESS_S", 0.2)
    server = serve(answer_with(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
    target = asyncio.run(resolve(server.url))
    with socket.socket() as dead, contextlib.ExitStack() as fillers:
        dead.bind(("127.0.0.1", 0))
        if silent:  # a full backlog: the kernel drops what knocks
            dead.listen(0)
            for _ in range(4):
                filler = fillers.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(dead.getsockname())
        addresses = ((socket.AF_INET, dead.getsockname()), *target.addresses)
        response = exchange_at(replace(target, addresses=addresses))
    assert response.status == 200, response.detail


def test_a_name_is_looked_up_once_a_stage(
    serve: Serve, lab: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = socket.getaddrinfo, []

    def counting(host: Any, *args: Any, **options: Any) -> Any:
        asked.append(host)
        return real(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", counting)

    async def handle(request: Any, reply: Any) -> None:
        await lab.answering()(request, reply)
        reply.close()  # so that every request needs a connection of its own

    server = serve(handle)
    asked.clear()
    url = server.url.replace("127.0.0.1", "localhost")
    result = lab.load(url, Stage(arrivals=ClosedLoop(2), requests=6))
    assert {record.outcome for record in result.records} == {Outcome.SUCCEEDED}
    assert server.connections >= 6
    assert asked.count("localhost") == 1


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, str]:
    """A certificate authority of our own and the file of its certificate."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made, str(tmp_path / "ca.pem")


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_tls_with_a_private_authority(
    serve: Serve, lab: ModuleType, authority: tuple[trustme.CA, str]
) -> None:
    server = serve(lab.answering(), tls=server_context(authority[0], "127.0.0.1"))
    record = lab.load_once(server.url, ca_file=authority[1], key=Secret("sesame"))
    assert record.outcome is Outcome.SUCCEEDED, record.detail
    assert record.chunk_tokens.tolist() == [1] * 5
    assert server.requests[0].headers["authorization"] == "Bearer sesame"
    assert record.kernel_reads > 5


def test_the_handshake_is_timed_by_itself_and_ends_before_the_request_is_sent(
    authority: tuple[trustme.CA, str],
) -> None:
    context = server_context(authority[0], "127.0.0.1")

    def serve_late(listener: socket.socket) -> None:
        time.sleep(1.0)  # the kernel has taken the connection long since
        accepted, _ = listener.accept()
        with context.wrap_socket(accepted, server_side=True) as secured:
            secured.recv(65536)
            secured.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    async def run(port: int) -> tuple[int, Response]:
        target = await resolve(f"https://127.0.0.1:{port}/v1", ca_file=authority[1])
        began_ns, response = time.monotonic_ns(), Response()
        await Pool(target).exchange(GET, response)
        return began_ns, response

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve_late, args=(listener,), daemon=True)
        server.start()
        began_ns, response = asyncio.run(run(listener.getsockname()[1]))
        server.join(5)
    assert response.status == 200, response.detail
    assert response.tls_ns >= 100_000_000
    assert response.connect_ns < response.tls_ns
    assert began_ns + response.connect_ns + response.tls_ns <= response.connected_ns <= response.sent_ns


def test_tls_from_an_unknown_authority_is_refused(
    serve: Serve, lab: ModuleType, authority: tuple[trustme.CA, str]
) -> None:
    server = serve(lab.answering(), tls=server_context(authority[0], "127.0.0.1"))
    record = lab.load_once(server.url)
    assert record.outcome is Outcome.TLS
    assert "certificate not trusted" in record.detail
    assert server.requests == []


def test_tls_for_another_name_is_refused(
    serve: Serve, lab: ModuleType, authority: tuple[trustme.CA, str]
) -> None:
    server = serve(lab.answering(), tls=server_context(authority[0], "elsewhere.example"))
    assert lab.load_once(server.url, ca_file=authority[1]).outcome is Outcome.TLS


def test_tls_to_a_server_without_it_is_refused(lab: ModuleType) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def run() -> Response:
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        target = await resolve(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        response = Response()
        await Pool(target).exchange(GET, response)
        server.close()
        return response

    response = asyncio.run(run())
    assert response.outcome is Outcome.TLS
    assert "handshake failed" in response.detail


@contextlib.asynccontextmanager
async def proxy(port: int, heads: list[bytes], *, refuses: bool = False) -> AsyncIterator[int]:
    """A proxy that leads everywhere to ``port`` of this machine; the heads of what it was asked are kept."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        if refuses:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            writer.close()
            return
        onward, outward = await asyncio.open_connection("127.0.0.1", port)
        if head.startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            outward.write(head)
        await asyncio.gather(pipe(reader, outward), pipe(onward, writer))

    server = await asyncio.start_server(lead, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.05)


def through_proxy(
    monkeypatch: pytest.MonkeyPatch, url: str, port: int, *, ca_file: str | None = None, refuses: bool = False
) -> tuple[Response, list[bytes]]:
    heads: list[bytes] = []

    async def run() -> Response:
        async with proxy(port, heads, refuses=refuses) as proxy_port:
            for name in ("http_proxy", "https_proxy"):
                monkeypatch.setenv(name, f"http://me:p%40ss@127.0.0.1:{proxy_port}")
            target = await resolve(url, ca_file=ca_file)
            pool, response = Pool(target), Response()
            await pool.exchange(get_bytes(target, path="/v1/models", key=None), response)
            pool.close()
            await asyncio.sleep(0.05)
            return response

    return asyncio.run(run()), heads


# base64 of me:p@ss
CREDENTIALS = b"proxy-authorization: Basic bWU6cEBzcw=="


def test_https_goes_through_a_tunnel_of_the_environments_proxy(
    serve: Serve, lab: ModuleType, authority: tuple[trustme.CA, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lab.answering(), tls=server_context(authority[0], "inference.test"))
    response, [head] = through_proxy(
        monkeypatch, "https://inference.test/v1", server.port, ca_file=authority[1]
    )
    assert response.status == 200, response.detail
    assert head.startswith(b"CONNECT inference.test:443 HTTP/1.1\r\n")
    assert CREDENTIALS in head
    assert "proxy-authorization" not in server.requests[0].headers


def test_plain_http_names_the_whole_url_to_the_proxy(
    serve: Serve, lab: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lab.answering())
    response, [head] = through_proxy(monkeypatch, "http://inference.test:81/v1", server.port)
    assert response.status == 200
    assert head.startswith(b"GET http://inference.test:81/v1/models HTTP/1.1\r\n")
    assert CREDENTIALS in head


def test_a_proxy_that_refuses_is_a_connect_failure_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    response, _ = through_proxy(monkeypatch, "https://inference.test/v1", 9, refuses=True)
    assert response.outcome is Outcome.CONNECT
    assert "407 Proxy Authentication Required" in response.detail
    assert not any(secret in response.detail for secret in ("p@ss", "p%40ss", "bWU6cEBzcw"))


def test_a_proxys_credentials_are_in_no_text_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:p%40ss@127.0.0.1:9")
    found = proxy_for("https", "other.test")
    assert found is not None
    assert found.credentials is not None
    shown = f"{found!r} {found} {found.credentials!r} {found.credentials}"
    assert not any(secret in shown for secret in ("p@ss", "p%40ss", "bWU6cEBzcw"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "spared.test"])
def test_this_machine_and_what_no_proxy_names_are_reached_directly(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "spared.test")
    assert proxy_for("http", host.strip("[]")) is None
    assert proxy_for("http", "other.test") is not None


def test_a_proxy_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://user:secret@127.0.0.1:9")
    with pytest.raises(UsageError) as raised:
        proxy_for("https", "other.test")
    assert "secret" not in str(raised.value)
