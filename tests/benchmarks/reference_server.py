"""The reference server in Python on uvloop, for machines without a C compiler. Arguments as reference_server.c."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import uvloop

MODELS = b'{"object":"list","data":[{"id":"ref","max_model_len":100000}]}'
WHOLE = (
    b'{"choices":[{"message":{"content":"x"},"finish_reason":"length"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":1}}'
)
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
TOKEN = (
    b'data: {"id":"chatcmpl-0","object":"chat.completion.chunk","created":1,"model":"ref","choices":'
    b'[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":%b,"token_ids":[7]}],"t":%d}\n\n'
)
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":%d}}\n\n'


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Stream(asyncio.Protocol):
    """One connection."""

    ttft_s, itl_s, tokens = 0.1, 0.02, 64

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        fields = [line.split(b":") for line in head.lower().split(b"\r\n")[1:]]
        length = next(
            (int(value) for name, value in (field[:2] for field in fields) if name == b"content-length"), 0
        )
        if not separator or len(body) < length:
            return
        is_get, self.buffer = self.buffer.startswith(b"GET"), b""
        if is_get or b'"stream":true' not in body:
            answer = MODELS if is_get else WHOLE
            self.transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                % (len(answer), answer)
            )
            return
        self.transport.write(HEAD)
        loop = asyncio.get_running_loop()
        loop.call_at(loop.time() + self.ttft_s, self.send, loop.time() + self.ttft_s, 0)

    def send(self, due: float, sent: int) -> None:
        if self.transport.is_closing():
            return
        last = sent + 1 == self.tokens
        data = chunk(ROLE) if sent == 0 else b""
        data += chunk(TOKEN % (b'"length"' if last else b"null", time.monotonic_ns()))
        if last:
            data += chunk(USAGE % self.tokens) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
        self.transport.write(data)
        if not last:
            asyncio.get_running_loop().call_at(due + self.itl_s, self.send, due + self.itl_s, sent + 1)


async def main() -> None:
    Stream.ttft_s, Stream.itl_s, Stream.tokens = (
        int(sys.argv[1]) / 1e6,
        int(sys.argv[2]) / 1e6,
        int(sys.argv[3]),
    )
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Stream, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main())
