"""The shape of requests and answers, and plain words for what BentoML would say in its own.

Enters: JSON bodies. Leaves: typed requests; every refusal as `{"error": "what to fix"}` with a 4xx code.
"""

import json
from typing import Any

from bentoml import IODescriptor
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: A body beyond this is refused unread; 5,000 candles with every column take 1 MB.
MAX_BODY_BYTES = 4_000_000


#: Beyond any account: money in quote currency, and bars.
_LARGE, _BARS = 1e15, 10_000_000


class PredictRequest(BaseModel):
    """One symbol's newest closed candles, column by column.

    `candles` holds arrays of one length, oldest first: `timestamp` (opens in milliseconds UTC), `open`,
    `high`, `low`, `close`, `volume` and, where known, `quote_volume`, `trades`, `taker_buy_volume`,
    `taker_buy_quote_volume`, `funding_rate` (settled within the bar, null where none), `open_interest`
    (null where unknown). `status` tells how many are required.

    `context` holds candles of other symbols, `timestamp` and `close` at least, by symbol; only a model whose
    `status` names such symbols reads it.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=True)

    symbol: str
    candles: dict[str, list[float | None]]
    context: dict[str, dict[str, list[float | None]]] = {}


class GuardState(BaseModel):
    """What the risk limits remember of an account; a client keeps it and sends it back."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    closed: float = Field(ge=0, le=_LARGE, description="last close seen, milliseconds UTC")
    last_equity: float = Field(ge=0, le=_LARGE, description="equity at that close")
    day_equity: float = Field(
        ge=0, le=_LARGE, description="equity at the last close of the UTC day before, or at the opening since"
    )
    is_stopped: float = Field(ge=0, le=1, description="1: the day's loss is spent")
    is_killed: float = Field(ge=0, le=1, description="1: the drawdown is spent")
    cooling: float = Field(ge=0, le=_BARS, description="bars left of the cool-down after a liquidation")


class AccountRequest(BaseModel):
    """The sub-account at the newest close; the default is flat and untraded."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    exposure: float = Field(default=0.0, ge=-20, le=20, description="signed notional / equity")
    equity: float = Field(
        default=1.0, ge=0, le=_LARGE, description="quote currency; 0: it was lost, nothing is traded"
    )
    peak_equity: float | None = Field(
        default=None, ge=1e-9, le=_LARGE, description="largest so far; null: equity"
    )
    entry_price: float = Field(default=0.0, ge=0, le=_LARGE, description="average fill price; 0 when flat")
    bars_held: int = Field(default=0, ge=0, le=_BARS, description="closes seen by the position")
    bars_since_trade: int = Field(default=0, ge=0, le=_BARS)
    last_trade_return: float = Field(
        default=0.0, ge=-100, le=100, description="log return of the last closed trade"
    )
    target_exposure: float | None = Field(default=None, ge=-2, le=2, description="last asked for")
    was_liquidated: bool = Field(default=False, description="since the last answer")
    guard: GuardState | None = Field(
        default=None, description="as the last answer gave it; null: a new account"
    )


class ActRequest(PredictRequest):
    """Candles, and the account that is to act on them."""

    account: AccountRequest = AccountRequest()


class PredictAnswer(IODescriptor):
    """Answer of `predict`."""

    symbol: str
    timestamp: int = Field(description="open of the newest candle, milliseconds UTC")
    probabilities: dict[str, float] = Field(description="committee (the experts' weighted mean)")
    direction: str = Field(description="the most probable class")
    confidence: float = Field(description="training percentile of |P(buy) - P(sell)|, 0..1")
    experts: dict[str, dict[str, float]] = Field(description="each expert's sell, hold, buy")
    pattern_prob: float = Field(description="training percentile of P(buy) / (P(buy) + P(sell)), 0..1")
    indicator_prob: float = Field(description="the same of the indicator expert")
    uncertainty: float = Field(
        description="how far all who vote differ: mutual information in nats, 0: they say the same"
    )
    expert_uncertainty: dict[str, float] = Field(description="the same within each expert's own members")
    is_stale: bool = Field(description="the newest candle is long after the last one that trained the model")
    lineage: dict[str, str]


class ActAnswer(PredictAnswer):
    """Answer of `act`: what `predict` says, and the policy's action."""

    action: str
    target_exposure: float = Field(description="signed multiples of equity, after the risk limits")
    rebalances: bool = Field(description="trade back to the target although it already stands")
    limit: str | None = Field(description="what the risk limits forbid now; null: nothing")
    guard: GuardState = Field(description="to be sent with the next request for this account")
    action_probabilities: dict[str, float]


class StatusAnswer(IODescriptor):
    """Answer of `status`; all but the first four are null before the first promotion."""

    trained: bool
    model: str
    failure: str | None = Field(description="why the newest champion is not served, if so")
    following: bool = Field(description="whether promotions are still looked for")
    version: str | None
    digest: str | None
    as_of: str | None = Field(description="close of the newest candle of its data, held-out days included")
    trained_through: str | None = Field(
        description="it learned from nothing later; staleness counts from here"
    )
    git_commit: str | None
    samples: int | None
    symbols: list[str] | None
    required_bars: int | None
    bar_ms: int | None
    context: list[str] | None = Field(description="symbols whose candles a request brings besides its own")
    context_bars: int | None = Field(description="newest candles of each")
    confirm_bars: int | None = Field(description="candles that `confirm` needs; null without a forecast")
    is_stale: bool | None = Field(
        description="of the newest candle asked about; null before the first request"
    )


class PlainErrors:
    """ASGI middleware: refuses bodies that are not JSON, and says in one sentence what pydantic found."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "GET" and scope["path"] == "/status":
            scope = {**scope, "method": "POST"}  # the one question a browser asks
        refusal = _refusal(scope) if scope["method"] == "POST" else None
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        if scope["method"] == "POST" and not _declares_length(scope):
            body = await _whole(receive)
            if body is None:
                await _too_large()(scope, receive, send)
                return
            receive = _again(body, receive)
        await self.app(scope, receive, _Rewriter(send))


class _Rewriter:
    """Passes an answer on; holds a 400 back until its body is whole, to put it in plain words."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 400:
            self._held = message
            return
        if self._held is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        body = json.dumps({"error": _plain(self._body)}).encode()
        kept = [pair for pair in self._held["headers"] if pair[0].lower() != b"content-length"]
        length = (b"content-length", str(len(body)).encode())
        await self._send({**self._held, "headers": [*kept, length]})
        await self._send({"type": "http.response.body", "body": body})


def _refusal(scope: Scope) -> JSONResponse | None:
    headers = {key.lower(): value for key, value in scope["headers"]}
    kind = headers.get(b"content-type", b"application/json").split(b";")[0].strip().lower()
    if kind != b"application/json":
        shown = kind.decode("latin-1")
        return error(415, f"the body must be JSON with `Content-Type: application/json`; received {shown}")
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > MAX_BODY_BYTES:
        return _too_large()
    return None


def _declares_length(scope: Scope) -> bool:
    """Whether the server holds the client to a length that was checked; a chunked body has none."""
    return any(key.lower() == b"content-length" for key, _ in scope["headers"])


async def _whole(receive: Receive) -> bytes | None:
    """A body of unknown length, counted as it arrives; None where it is too large or the client has left."""
    body = b""
    while len(body) <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body if len(body) <= MAX_BODY_BYTES else None
    return None


def _again(body: bytes, receive: Receive) -> Receive:
    """`receive` with a body that was read before, whole, as its first message."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def first_the_body() -> Message:
        return waiting.pop() if waiting else await receive()

    return first_the_body


def _too_large() -> JSONResponse:
    return error(413, f"the body must be at most {MAX_BODY_BYTES} bytes; send `required_bars` candles")


def error(status: int, message: str) -> JSONResponse:
    """An answer that is an error, in the one form all of them have."""
    return JSONResponse({"error": message}, status_code=status)


def _plain(body: bytes) -> str:
    """What was wrong with a body, out of BentoML's answer."""
    answer: Any = json.loads(body)
    if isinstance(answer, list):
        answer = answer[0]
    found = answer.get("detail")
    if not found:
        return str(answer["error"])
    parts = [_sentence(item) for item in found[:3]]
    rest = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
    return "; ".join(parts) + rest


def _sentence(item: dict[str, Any]) -> str:
    if item["type"] == "json_invalid":
        return f"the body is not valid JSON: {item['msg'].removeprefix('Invalid JSON: ')}"
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "missing":
        return f"`{where}` is missing; send symbol and candles"
    if item["type"] == "extra_forbidden":
        return f"`{where}` is unknown; remove it"
    return f"`{where or 'body'}`: {item['msg']}"
