"""Faults of an answer as a whole: its status, its JSON, its connection, the venue's clock.

Enters: a good answer. Leaves: the spoilt one, or None where this answer cannot be spoilt that way.
"""

import json
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from xrl.sandbox.faults import Fault
from xrl.sandbox.wire import Asked, Dialect, rows, with_rows


class Answer(NamedTuple):
    """Status, headers, body. `share` of the body goes out, then comes a silence, then the rest or a `cut`."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    share: float = 0.0
    silent_s: float = 0.0
    cut: bool = False


class Page(NamedTuple):
    """One firing: what was asked, the fault, its own random generator, the venue's time."""

    asked: Asked
    fault: Fault
    rng: random.Random
    now_ms: int


Spoil = Callable[[Answer, Page], Answer | None]

_HTML: Final = b"<html><head><title>%s</title></head><body><h1>%s</h1></body></html>"
_JSON: Final = (b"content-type", b"application/json")


def error(
    page: Page, status: int, codes: Mapping[Dialect, tuple[int, str]], *headers: tuple[bytes, bytes]
) -> Answer:
    """An error in the venue's own form."""
    code, message = codes[page.asked.dialect]
    forms: dict[Dialect, dict[str, Any]] = {
        "binance": {"code": code, "msg": message},
        "bybit": {
            "retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": page.now_ms
        },
        "okx": {"code": str(code), "msg": message, "data": []},
    }  # fmt: skip
    return Answer(status, (_JSON, *headers), json.dumps(forms[page.asked.dialect]).encode())


def parsed(answer: Answer) -> Any:
    """The JSON of an answer that is still whole; None for an error or what another fault has spoilt."""
    if answer.status != 200:
        return None
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def replaced(answer: Answer, value: Any) -> Answer:
    return answer._replace(body=json.dumps(value, separators=(",", ":")).encode())


def _rate_limit(answer: Answer, page: Page) -> Answer:
    codes: dict[Dialect, tuple[int, str]] = {
        "binance": (-1003, "Too many requests; current limit is 2400 requests per minute."),
        "bybit": (10006, "Too many visits. Exceeded the API Rate Limit."),
        "okx": (50011, "Too Many Requests"),
    }
    return error(page, 429, codes, _retry_after(page))


def _ban(answer: Answer, page: Page) -> Answer:
    until = page.now_ms + int(page.fault.arg("seconds") * 1000)
    codes: dict[Dialect, tuple[int, str]] = {
        "binance": (-1003, f"Way too many requests; IP banned until {until}."),
        "bybit": (10018, "Exceeded the IP Rate Limit."),
        "okx": (50011, "Too Many Requests"),
    }
    return error(page, 418, codes, _retry_after(page))


def _retry_after(page: Page) -> tuple[bytes, bytes]:
    return b"retry-after", b"%d" % page.fault.arg("seconds")


def _server_error(answer: Answer, page: Page) -> Answer:
    status = int(page.fault.arg("status"))
    if page.rng.random() < 0.5:
        title = b"%d Server Error" % status
        return Answer(status, ((b"content-type", b"text/html"),), _HTML % (title, title))
    codes: dict[Dialect, tuple[int, str]] = {
        "binance": (-1001, "Internal error; unable to process your request. Please try again."),
        "bybit": (10016, "Server error."),
        "okx": (50001, "Service temporarily unavailable. Try again later."),
    }
    return error(page, status, codes)


def _cut(answer: Answer, page: Page) -> Answer:
    return answer._replace(share=page.fault.arg("share"), cut=True)


def _stall(answer: Answer, page: Page) -> Answer:
    return answer._replace(share=page.fault.arg("share"), silent_s=page.fault.arg("seconds"))


def _truncated_json(answer: Answer, page: Page) -> Answer:
    return answer._replace(body=answer.body[: int(page.fault.arg("share") * len(answer.body))])


def _malformed_json(answer: Answer, page: Page) -> Answer:
    html = _HTML % (b"Access denied", b"Please verify that you are human")
    return answer._replace(body=page.rng.choice((answer.body[1:], answer.body * 2, html)))


def _wrong_shape(answer: Answer, page: Page) -> Answer | None:
    value = parsed(answer)
    if value is None:
        return None
    others: list[Any] = [None, {}]
    if rows(page.asked, value) is not None and not isinstance(value, list):
        others += [with_rows(page.asked, value, None), with_rows(page.asked, value, {})]
    return replaced(answer, page.rng.choice(others))


def _clock_skew(answer: Answer, page: Page) -> Answer | None:
    value = parsed(answer)
    if value is None:
        return None
    now_ms = page.now_ms + int(page.fault.arg("seconds") * 1000)
    if page.asked.dialect == "binance":
        return replaced(answer, {**value, "serverTime": now_ms})
    if page.asked.dialect == "okx":
        return replaced(answer, {**value, "data": [{"ts": str(now_ms)}]})
    result = {"timeSecond": str(now_ms // 1000), "timeNano": str(now_ms * 1_000_000)}
    return replaced(answer, {**value, "result": result, "time": now_ms})


FAILURES: Final[Mapping[str, Spoil]] = MappingProxyType(
    {
        "rate_limit": _rate_limit,
        "ban": _ban,
        "server_error": _server_error,
        "cut": _cut,
        "stall": _stall,
        "truncated_json": _truncated_json,
        "malformed_json": _malformed_json,
        "wrong_shape": _wrong_shape,
        "clock_skew": _clock_skew,
    }
)
