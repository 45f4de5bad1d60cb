"""The simulator's check of signatures, against the recorded ones and against tampering."""

from __future__ import annotations

from typing import Any

import pytest

from harness.secret import Secret
from harness.simulator.signing import is_genuine

KEY = "EXO0123456789abcdef01234567"
KEYS = {KEY: Secret("c2VjcmV0LWtleS1mb3ItdGVzdC12ZWN0b3JzLW9ubHk")}
PREFIX = f"EXO2-HMAC-SHA256 credential={KEY}"
NOW = 1772000000.0 - 600
DEPLOYMENT = b"/v2/ai/deployment/11111111-2222-3333-4444-555555555555"
LOGS: dict[str, Any] = {
    "header": f"{PREFIX},signed-query-args=stream;tail,expires=1772000000,"
    "signature=cnQj367KyUZlBpaWsLUAaQRTBrDyz26HViTfOg5J+Cs=",
    "method": "GET",
    "raw_path": DEPLOYMENT + b"/logs",
    "query": b"tail=100&stream=false",
    "body": b"",
}
SCALE: dict[str, Any] = {
    "header": f"{PREFIX},expires=1772000000,signature=P/dN8m0wntKEpR086QtsOR+0DoIlnWe7xEGIs8IzrBw=",
    "method": "POST",
    "raw_path": DEPLOYMENT + b"/scale",
    "query": b"",
    "body": b'{"replicas": 0}',
}
ESCAPED: dict[str, Any] = {
    "header": f"{PREFIX},signed-query-args=a;b,expires=1772000000,"
    "signature=GDK2voP3wtqmbfcYvXoJi3bkCb/K+IJca3lPN/kriak=",
    "method": "GET",
    "raw_path": b"/v2/resource",
    "query": b"b=x+y%26z&a=%C3%A9",
    "body": b"",
}


@pytest.mark.parametrize("request_", [LOGS, SCALE, ESCAPED])
def test_recorded_signatures_are_genuine(request_: dict[str, Any]) -> None:
    assert is_genuine(**request_, keys=KEYS, now=NOW)


TAMPERED = [
    (SCALE, {"body": b'{"replicas":0}'}),
    (SCALE, {"body": b""}),
    (SCALE, {"method": "PUT"}),
    (SCALE, {"raw_path": DEPLOYMENT[3:] + b"/scale"}),
    (SCALE, {"query": b"force=1"}),
    (LOGS, {"query": b"tail=200&stream=false"}),
    (LOGS, {"query": b"tail=100"}),
    (LOGS, {"header": LOGS["header"].replace("stream;tail", "tail;stream")}),
    (LOGS, {"header": LOGS["header"].replace("1772000000", "1772000001")}),
    (LOGS, {"header": LOGS["header"].replace(KEY, "EXOsomebody")}),
    (LOGS, {"header": None}),
    (LOGS, {"header": ""}),
    (LOGS, {"header": "Bearer x"}),
    (LOGS, {"header": f"{PREFIX},expires=soon,signature=AA=="}),
    (LOGS, {"header": f"{PREFIX},expires=1772000000,signature=%%%"}),
    (LOGS, {"now": 1772000000.0}),
    (LOGS, {"now": 1772000000.0 - 7200}),
    (LOGS, {"keys": {KEY: Secret("another")}}),
]


@pytest.mark.parametrize(("request_", "change"), TAMPERED)
def test_any_change_is_refused(request_: dict[str, Any], change: dict[str, Any]) -> None:
    assert not is_genuine(**({"keys": KEYS, "now": NOW} | request_ | change))
