"""The layer around the sandbox exchange that spoils its real answers as a fault script says.

Enters: an ASGI application, its clock, a script. Leaves: an ASGI application that also answers `/_faults`:
`PUT` loads a script (JSON), its counts at zero, `GET` shows it and what has fired, `DELETE` ends it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import pandas as pd
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xrl.errors import ConfigError
from xrl.sandbox import altered
from xrl.sandbox.failures import FAILURES, Answer, Page, error, parsed, replaced
from xrl.sandbox.faults import Script, read_script
from xrl.sandbox.wire import Asked, Dialect, asked, rows, with_rows

CONTROL: Final = "/_faults"
_NOT_TRADING: Final[Mapping[Dialect, tuple[int, str]]] = {
    "binance": (-1122, "Invalid symbol status."),
    "bybit": (110074, "This contract is not live."),
    "okx": (51022, "Contract suspended."),
}


class Misbehaving:
    """`application` with faults."""

    def __init__(
        self, application: ASGIApp, now: Callable[[], pd.Timestamp], script: Script | None = None
    ) -> None:
        self._application, self._now = application, now
        self._running = _Running(script or Script())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == CONTROL:
            await (await self._control(Request(scope, receive)))(scope, receive, send)
            return
        if scope["type"] != "http" or not self._running.script.faults:
            await self._application(scope, receive, send)
            return
        about = asked(scope["path"], dict(Request(scope).query_params))
        if about is None:
            await self._application(scope, receive, send)
            return
        answer = await _collect(self._application, scope, receive)
        now_ms = int(self._now().timestamp() * 1000)
        await _deliver(self._running.spoil(answer, about, scope["path"], now_ms), receive, send)

    async def _control(self, request: Request) -> JSONResponse:
        if request.method == "PUT":
            try:
                self._running = _Running(read_script(await request.body()))
            except ConfigError as wrong:
                return JSONResponse({"msg": str(wrong)}, status_code=422)
        elif request.method == "DELETE":
            self._running = _Running(Script())
        elif request.method != "GET":
            return JSONResponse({"msg": f"{CONTROL} knows GET, PUT and DELETE"}, status_code=405)
        return JSONResponse(self._running.report())


class _Running:
    """A script and its counts. Nothing here awaits, so that requests at once are counted one by one."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self._met: Counter[int] = Counter()  # requests that each fault concerned
        self._fired: Counter[int] = Counter()
        self._where: Counter[tuple[int, str]] = Counter()

    def report(self) -> dict[str, Any]:
        faults = self.script.faults
        fired = [
            {"fault": i, "kind": faults[i].kind, "path": path, "count": count}
            for (i, path), count in sorted(self._where.items())
        ]
        return {"script": self.script.model_dump(mode="json"), "fired": fired}

    def spoil(self, answer: Answer, about: Asked, path: str, now_ms: int) -> Answer:
        for i, fault in enumerate(self.script.faults):
            if not fault.concerns(about.on, about.symbol):
                continue
            count, self._met[i] = self._met[i], self._met[i] + 1
            if count < fault.after or (fault.times is not None and self._fired[i] >= fault.times):
                continue
            rng = random.Random(f"{self.script.seed} {i} {count}")
            spoilt = _spoilt(answer, Page(about, fault, rng, now_ms))
            if spoilt is not None and spoilt != answer:
                self._fired[i] += 1
                self._where[i, path] += 1
                answer = spoilt
        return answer


def _spoilt(answer: Answer, page: Page) -> Answer | None:
    """The answer with one fault more; None where that fault finds nothing to spoil."""
    kind = page.fault.kind
    if kind in FAILURES:
        return FAILURES[kind](answer, page)
    value = parsed(answer)
    found = rows(page.asked, value)
    if found is None:
        return None
    if page.asked.on == "instruments":
        return replaced(answer, with_rows(page.asked, value, altered.listings(found, page)))
    if kind == "maintenance":
        return error(page, 200 if page.asked.dialect == "bybit" else 400, _NOT_TRADING)
    changed = altered.ROWS[kind](found, page)
    return None if changed == found else replaced(answer, with_rows(page.asked, value, changed))


async def _collect(application: ASGIApp, scope: Scope, receive: Receive) -> Answer:
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await application(scope, receive, keep)
    start, *bodies = messages
    headers = tuple((name, value) for name, value in start["headers"] if name.lower() != b"content-length")
    return Answer(start["status"], headers, b"".join(body.get("body", b"") for body in bodies))


async def _deliver(answer: Answer, receive: Receive, send: Send) -> None:
    """Send the answer, its length declared in full whatever part of it comes."""
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    sent = int(answer.share * len(answer.body))
    if answer.silent_s and not sent:
        await _silence(receive, answer.silent_s)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if sent:
        await send({"type": "http.response.body", "body": answer.body[:sent], "more_body": True})
        await _silence(receive, answer.silent_s)
    if not answer.cut:  # else: a response that ends unfinished makes the server close the connection
        await send({"type": "http.response.body", "body": answer.body[sent:], "more_body": False})


async def _silence(receive: Receive, seconds: float) -> None:
    """Nothing, until the time is over or the client has gone."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(gone(), seconds)
    except TimeoutError:
        return
