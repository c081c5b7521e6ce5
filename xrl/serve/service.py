"""The HTTP service: `predict`, `act`, `status`. A thin shell around the predictor that `reload` keeps newest.

Enters: JSON over HTTP. Leaves: JSON; what a client can mend is a 4xx with one sentence, no champion yet
is a 503. Run it with `bentoml serve xrl.serve.service:Service`.
"""

import logging
from typing import Any, cast

import bentoml
from starlette.responses import JSONResponse, Response

from xrl import columns
from xrl.config import load_settings
from xrl.errors import DataError, RequestError
from xrl.serve.answers import (
    ActAnswer,
    ActRequest,
    PlainErrors,
    PredictAnswer,
    PredictRequest,
    StatusAnswer,
    error,
)
from xrl.serve.candles import read_candles
from xrl.serve.confirm import ConfirmAnswer, ConfirmRequest, confirmed, required_bars
from xrl.serve.predictor import AccountState, Prediction
from xrl.serve.reload import Registry, Reloader, Served

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5


def _registry() -> Registry:
    """The registry of the settings; MLflow takes seconds to import, which the reloading thread spends."""
    from xrl.registry.store import Store

    return Store(load_settings().tracking_url)


@bentoml.service(
    name="xrl",
    workers=1,
    traffic={"timeout": 10},
    logging={"access": {"enabled": False}},
)
class Service:
    """Serves the champion of one market's registered model."""

    def __init__(self) -> None:
        self.model = load_settings().model_name
        self.newest_ms: int | None = None
        self.reloader = Reloader(_registry, self.model, _POLL_SECONDS)
        self.reloader.start()

    @bentoml.on_shutdown
    def shutdown(self) -> None:
        self.reloader.stop()

    @bentoml.api(output_spec=PredictAnswer)
    async def predict(self, request: PredictRequest, /) -> Response:
        """Class probabilities, direction and confidence for the newest of a symbol's candles."""
        served = self.reloader.current
        if served is None:
            return self._not_ready()
        try:
            window = read_candles(request.symbol, request.candles, served.predictor.needs, request.context)
            prediction = served.predictor.predict(window)
        except (RequestError, DataError) as refusal:
            return error(400, str(refusal))
        return JSONResponse(self._predicted(request.symbol, prediction, served))

    @bentoml.api(output_spec=ActAnswer)
    async def act(self, request: ActRequest, /) -> Response:
        """The policy's action for an account at the newest of a symbol's candles."""
        served = self.reloader.current
        if served is None:
            return self._not_ready()
        state = request.account.model_dump()
        state["peak_equity"] = max(state["peak_equity"] or 0.0, state["equity"])
        if state["exposure"] and not state["entry_price"]:
            return error(400, "`account.entry_price` must be above zero while `exposure` is not zero")
        try:
            window = read_candles(request.symbol, request.candles, served.predictor.needs, request.context)
            prediction, action = served.predictor.act(window, AccountState(**state))
        except (RequestError, DataError) as refusal:
            return error(400, str(refusal))
        return JSONResponse(
            {
                **self._predicted(request.symbol, prediction, served),
                "action": action.action,
                "target_exposure": action.target_exposure,
                "action_probabilities": dict(zip(columns.ACTIONS, action.probabilities.tolist())),
            }
        )

    @bentoml.api(output_spec=ConfirmAnswer)
    async def confirm(self, request: ConfirmRequest, /) -> Response:
        """Whether the six-hour forecast confirms a signal, and what experts and forecast vote together."""
        served = self.reloader.current
        if served is None:
            return self._not_ready()
        try:
            answer = confirmed(served.predictor, request)
        except (RequestError, DataError) as refusal:
            return error(400, str(refusal))
        return JSONResponse({**answer, "lineage": self._lineage(served)})

    @bentoml.api(output_spec=StatusAnswer)
    async def status(self) -> Response:
        """What is served, since when, and what a request needs."""
        served = self.reloader.current
        answer: dict[str, object] = dict.fromkeys(StatusAnswer.model_fields)
        answer |= {
            "trained": served is not None,
            "model": self.model,
            "failure": self.reloader.failure,
            "following": self.reloader.is_following,
        }
        if served is not None:
            lineage, needs = served.predictor.lineage, served.predictor.needs
            answer |= {
                "version": served.version.number,
                "digest": served.predictor.digest,
                "as_of": lineage["as_of"],
                "trained_through": lineage["trained_through"],
                "git_commit": lineage["git_commit"],
                "samples": lineage["samples"],
                "symbols": needs.symbols,
                "required_bars": needs.bars,
                "bar_ms": needs.bar_ms,
                "context": needs.context,
                "context_bars": needs.context_bars,
                "confirm_bars": required_bars(served.predictor),
                "is_stale": None if self.newest_ms is None else served.predictor.is_stale(self.newest_ms),
            }
        return JSONResponse(answer)

    def _not_ready(self) -> Response:
        why = self.reloader.failure or f"no version of {self.model} is champion yet"
        return error(503, f"{why}; train and promote one (`make demo`), it is picked up within a second")

    def _predicted(self, symbol: str, prediction: Prediction, served: Served) -> dict[str, object]:
        self.newest_ms = max(self.newest_ms or 0, prediction.timestamp)
        return {
            "symbol": symbol,
            "timestamp": prediction.timestamp,
            "probabilities": dict(zip(columns.CLASSES, prediction.probabilities.tolist())),
            "direction": prediction.direction,
            "confidence": prediction.confidence,
            "experts": {
                name: dict(zip(columns.CLASSES, found.tolist())) for name, found in prediction.experts.items()
            },
            "pattern_prob": prediction.leaning["pattern"],
            "indicator_prob": prediction.leaning["indicator"],
            "uncertainty": prediction.uncertainty,
            "expert_uncertainty": prediction.expert_uncertainty,
            "is_stale": served.predictor.is_stale(prediction.timestamp),
            "lineage": self._lineage(served),
        }

    def _lineage(self, served: Served) -> dict[str, object]:
        lineage = served.predictor.lineage
        return {
            "model": self.model,
            "version": served.version.number,
            "digest": served.predictor.digest,
            "as_of": lineage["as_of"],
            "git_commit": lineage["git_commit"],
        }


cast(Any, Service).add_asgi_middleware(PlainErrors)
