"""Truths of what a request may hold: every number has a bound, and every body a length."""

import asyncio
import json
import warnings
from typing import Any

import pytest
from pydantic import ValidationError

from tests.serve import tiny

with warnings.catch_warnings():  # BentoML 1.4 calls pathspec and pydantic by names that they deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    from xrl.serve.answers import MAX_BODY_BYTES, ActRequest, PlainErrors

_HUGE = "1" + "0" * 400


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *((name, _HUGE) for name in ("bars_held", "bars_since_trade", "equity", "peak_equity", "exposure")),
        *((name, "1e308") for name in ("equity", "peak_equity", "entry_price", "last_trade_return")),
        ("peak_equity", "1e-300"),
        *((name, "-1") for name in ("bars_held", "bars_since_trade", "entry_price", "equity")),
        ("last_trade_return", "-1e308"),
        ("bars_held", "10000001"),
    ],
)
def test_an_account_number_beyond_its_bound_is_refused_by_name(name: str, number: str) -> None:
    body = json.dumps({**tiny.request(), "account": {}}).replace(
        '"account": {}', f'"account": {{"{name}": {number}}}'
    )
    with pytest.raises(ValidationError, match=f"account.{name}"):
        ActRequest.model_validate_json(body)


def test_a_common_account_passes() -> None:
    found = ActRequest.model_validate({**tiny.request(), "account": tiny.LONG})
    assert found.account.bars_held == 5


def answered(chunks: list[bytes], *headers: tuple[bytes, bytes]) -> tuple[int, bytes, int]:
    """Status, the body that the service read, and the chunks that were asked for."""
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": i < len(chunks) - 1}
        for i, chunk in enumerate(chunks)
    ]
    asked, codes, read = 0, [], b""

    async def receive() -> Any:
        nonlocal asked
        asked += 1
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            codes.append(message["status"])

    async def service(scope: Any, receive: Any, send: Any) -> None:
        nonlocal read
        more = True
        while more:
            message = await receive()
            read += message["body"]
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": list(headers)}
    asyncio.run(PlainErrors(service)(scope, receive, send))
    return codes[0], read, asked


def test_a_chunked_body_arrives_whole() -> None:
    assert answered([b"ab", b"cd", b"e"], (b"transfer-encoding", b"chunked")) == (200, b"abcde", 3)


def test_a_chunked_body_is_counted_and_refused_before_its_end() -> None:
    half = b"x" * (MAX_BODY_BYTES // 2 + 1)
    assert answered([half] * 9, (b"transfer-encoding", b"chunked")) == (413, b"", 2)


def test_a_body_with_a_length_is_passed_on_as_it_comes() -> None:
    assert answered([b"ab", b"cd"], (b"content-length", b"4")) == (200, b"abcd", 2)
