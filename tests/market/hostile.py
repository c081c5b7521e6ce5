"""A real HTTP server on localhost that answers as a test tells it to: the faults of transport."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Writes one whole answer, or what shall be left of it.
Reply = Callable[[BaseHTTPRequestHandler], None]

SERVER_TIME_MS = 1_717_236_000_000  # 2024-06-01 10:00
CLOCKS = {
    "/fapi/v1/time": b'{"serverTime":1717236000000}',
    "/v5/market/time": b'{"retCode":0,"retMsg":"OK","result":{},"time":1717236000000}',
    "/api/v5/public/time": b'{"code":"0","data":[{"ts":"1717236000000"}],"msg":""}',
}


class Hostile:
    """`replies` in their order, then the clock of whichever venue is asked; `heard` are all requests."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.heard: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.heard.append((handler.path, dict(handler.headers)))
        reply = self.replies.pop(0) if self.replies else _clock
        reply(handler)


def _clock(handler: BaseHTTPRequestHandler) -> None:
    body = next(body for path, body in CLOCKS.items() if handler.path.partition("?")[0].endswith(path))
    said(200, body)(handler)


def said(status: int, body: bytes = b"", content_type: str = "application/json", **headers: str) -> Reply:
    """A whole answer; a header `Retry_After` goes out as `Retry-After`."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def cut(body: bytes, after: int) -> Reply:
    """An answer whose connection ends after some bytes of its body."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:after])
        handler.close_connection = True

    return reply


def hung_up(handler: BaseHTTPRequestHandler) -> None:
    """No answer at all: the connection closes."""
    handler.close_connection = True


def silent(seconds: float) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        handler.close_connection = True

    return reply


@contextmanager
def hostile() -> Iterator[Hostile]:
    host = Hostile()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            host.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the requests are in `heard`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    host.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
