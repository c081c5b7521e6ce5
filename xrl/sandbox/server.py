"""The sandbox exchange: Binance USD-M futures' public REST API on localhost, one path prefix per world.

Enters: HTTP requests as the real ccxt client sends them. Leaves: answers and errors in Binance's own form
(`{"code": -1121, "msg": "Invalid symbol."}` with status 400).
"""

import socket
from collections.abc import Callable

import pandas as pd
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from xrl.errors import ConfigError, ExchangeError
from xrl.sandbox.api import Api, Query, Venue, VenueError

Clock = Callable[[], pd.Timestamp]


def application(venue: Venue, clock: Clock | None = None) -> Starlette:
    """The exchange as an ASGI application; `clock` says what time it is there (default: the wall clock)."""
    now = clock or (lambda: pd.Timestamp.now("UTC"))
    api = Api(venue, lambda: int(now().timestamp() * 1000))
    endpoints = {
        "/fapi/v1/ping": api.ping,
        "/fapi/v1/time": api.time,
        "/fapi/v1/exchangeInfo": api.exchange_info,
        "/fapi/v1/klines": api.klines,
        "/fapi/v1/fundingRate": api.funding_rate,
        "/futures/data/openInterestHist": api.open_interest,
    }
    routes = [Route("/{world}" + path, _answer(venue, endpoint)) for path, endpoint in endpoints.items()]
    return Starlette(routes=routes, exception_handlers={404: _unknown_path})


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


def server(venue: Venue, clock: Clock | None = None) -> uvicorn.Server:
    """A server to `run(sockets=[listen(host, port)])`; set `should_exit` to stop it."""
    config = uvicorn.Config(
        application(venue, clock), log_level="warning", access_log=False, lifespan="off", ws="none"
    )
    return uvicorn.Server(config)


def _answer(venue: Venue, endpoint: Callable[[str, Query], object]) -> Callable[[Request], JSONResponse]:
    def respond(request: Request) -> JSONResponse:
        world = request.path_params["world"]
        try:
            if world not in venue.worlds:
                raise VenueError(-4000, f"No world {world!r} here; there are {list(venue.worlds)}.", 404)
            return JSONResponse(endpoint(world, dict(request.query_params)))
        except VenueError as error:
            return JSONResponse({"code": error.code, "msg": error.message}, status_code=error.status)
        except ExchangeError as error:
            return JSONResponse({"code": -1121, "msg": str(error)}, status_code=400)

    return respond


async def _unknown_path(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return JSONResponse({"code": -5000, "msg": f"Path {request.url.path} is not served."}, status_code=status)
