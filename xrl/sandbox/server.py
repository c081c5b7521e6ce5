"""The sandbox exchange: the public REST APIs of Binance USD-M, Bybit and OKX on localhost, one path prefix
per world, all three with the same rows.

Enters: HTTP requests as the real ccxt clients send them. Leaves: answers and errors in the venue's own form.
`GET /_clock` tells the exchange's time; `PUT /_clock` with `{"now": "2024-06-01T10:20:00Z"}` stops it there,
with `{"now": null}` lets it go. `/_faults` makes it misbehave (see `faults`).
"""

import json
import socket
from collections.abc import Callable
from typing import Any

import pandas as pd
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from xrl.errors import ConfigError, ExchangeError
from xrl.sandbox.binance import Binance
from xrl.sandbox.bybit import Bybit
from xrl.sandbox.clock import Clock
from xrl.sandbox.dialect import Dialect, Malformed, Question, Refusal
from xrl.sandbox.faults import Script
from xrl.sandbox.misbehave import Misbehaving
from xrl.sandbox.okx import Okx
from xrl.sandbox.venue import Venue


def application(
    venue: Venue, clock: Callable[[], pd.Timestamp] | None = None, faults: Script | None = None
) -> ASGIApp:
    """The exchange as an ASGI application.

    Args:
        venue: whose worlds it serves.
        clock: what time it is there; None: the wall clock.
        faults: how it misbehaves from the start; `PUT /_faults` changes it.
    """
    now = Clock(clock)
    speakers: tuple[Dialect, ...] = (Binance(venue), Bybit(venue), Okx(venue))
    spoken = {path: (dialect, endpoint) for dialect in speakers for path, endpoint in dialect.paths.items()}

    async def answer(request: Request) -> Response:
        world, path = request.path_params["world"], "/" + request.path_params["path"]
        if path not in spoken:
            return _json({"code": -5000, "msg": f"Path {request.url.path} is not served."}, 404)
        if world not in venue.worlds:
            message = f"No world {world!r} here; there are {list(venue.worlds)}."
            return _json({"code": -4000, "msg": message}, 404)
        question = Question(world, request.query_params, int(now().timestamp() * 1000))
        return _answer(*spoken[path], question)

    async def time(request: Request) -> Response:
        if request.method == "PUT":
            try:
                now.set(_moment(await request.body()))
            except ConfigError as error:
                return _json({"msg": str(error)}, 422)
        return _json({"now": now().isoformat()})

    routes = [Route("/_clock", time, methods=["GET", "PUT"]), Route("/{world}/{path:path}", answer)]
    return Misbehaving(Starlette(routes=routes), now, faults)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that a taken port is one clear error.

    Raises:
        ConfigError: the port is in use or not ours to bind.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise ConfigError(
            f"the sandbox exchange cannot listen on {host}:{port}: {error.strerror}. Stop what uses the port "
            "(`make down` stops ours) or choose another with XRL_SANDBOX_PORT."
        ) from error
    return sock


def server(
    venue: Venue, clock: Callable[[], pd.Timestamp] | None = None, faults: Script | None = None
) -> uvicorn.Server:
    """A server to `run(sockets=[listen(host, port)])`; set `should_exit` to stop it."""
    config = uvicorn.Config(
        application(venue, clock, faults),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=60,
    )
    return uvicorn.Server(config)


def _answer(dialect: Dialect, endpoint: Callable[[Question], bytes], question: Question) -> Response:
    try:
        return Response(endpoint(question), media_type="application/json")
    except Refusal as refused:
        refusal = refused
    except Malformed as name:
        refusal = dialect.malformed(str(name), question)
    except ExchangeError as error:
        refusal = dialect.unavailable(str(error), question)
    return _json(refusal.body, refusal.status)


def _moment(body: bytes) -> str | None:
    try:
        value: Any = json.loads(body)["now"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError('the body must be {"now": "2024-06-01T10:20:00Z"} or {"now": null}') from error
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"`now` must be a time as text, or null; received {value!r}")
    return value


def _json(body: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(body, status_code=status)
