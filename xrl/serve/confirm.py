"""The endpoint `confirm`: does the forecast agree with a signal, and what do all together vote.

Enters: a signal with its symbol's candles. Leaves: the answer as plain values.
"""

from typing import Literal

import numpy as np
from bentoml import IODescriptor
from pydantic import Field

from xrl import columns
from xrl.errors import RequestError
from xrl.serve.answers import PredictRequest
from xrl.serve.candles import Needs, Window, read_candles
from xrl.serve.confirmation import ballots, verdict, weighted_vote
from xrl.serve.forecast import Forecaster
from xrl.serve.predictor import Predictor


class ConfirmRequest(PredictRequest):
    """Candles (`confirm_bars` of `status` tells how many), and the signal to confirm or contradict."""

    signal: Literal["buy", "sell"]
    minimum_confidence: float | None = Field(
        default=None, ge=0, le=1, description="below it the forecast is silent; null: the model's own"
    )


class ConfirmAnswer(IODescriptor):
    """Answer of `confirm`."""

    symbol: str
    timestamp: int = Field(description="open of the newest candle, milliseconds UTC")
    signal: str
    verdict: str = Field(description="confirms, contradicts, or silent where the forecast is not sure")
    matches_signal: bool | None = Field(description="null where the forecast is silent")
    direction: str = Field(description="up, down, or none where odds and change disagree")
    change_percent: float = Field(
        description="of the newest closed six-hour bar's close, until the next one's"
    )
    predicted_price: float = Field(description="quote currency, at `expected_at`")
    confidence: float = Field(description="percentile of how sure the forecast is to be right, 0..1")
    minimum_confidence: float
    probability_up: float
    close: float = Field(description="of the newest closed six-hour bar, quote currency")
    known_at: int = Field(description="when that bar closed, milliseconds UTC")
    expected_at: int = Field(description="when the forecast bar closes, milliseconds UTC")
    vote: str = Field(description="sell, hold or buy: experts and, unless silent, the forecast")
    vote_share: float = Field(description="of all weight, for that class")
    is_stale: bool
    lineage: dict[str, str]


def confirmed(predictor: Predictor, request: ConfirmRequest) -> dict[str, object]:
    """Everything of `ConfirmAnswer` but the lineage.

    Raises:
        RequestError: the candles do not do, or the bundle brings no forecast.
    """
    forecaster = _forecaster(predictor)
    needs = predictor.needs._replace(bars=_bars(predictor, forecaster), told="confirm_bars")
    window = read_candles(request.symbol, request.candles, needs, request.context)
    made = forecaster.make(window)
    prediction = predictor.predict(_newest(window, predictor.needs))
    asked = request.minimum_confidence
    minimum = forecaster.minimum_confidence if asked is None else asked
    said = verdict(made.forecast, request.signal, minimum)
    calls = [columns.CLASSES[int(np.argmax(own))] for own in prediction.experts.values()]
    tally = weighted_vote(ballots(calls, made.forecast, minimum, forecaster.vote_weight))
    return {
        "symbol": request.symbol,
        "timestamp": prediction.timestamp,
        "signal": request.signal,
        "verdict": said,
        "matches_signal": None if said == "silent" else said == "confirms",
        "direction": made.forecast.direction,
        "change_percent": made.change_percent,
        "predicted_price": made.predicted_price,
        "confidence": made.forecast.confidence,
        "minimum_confidence": minimum,
        "probability_up": made.forecast.up,
        "close": made.close,
        "known_at": made.known_at,
        "expected_at": made.expected_at,
        "vote": tally.direction,
        "vote_share": tally.share,
        "is_stale": predictor.is_stale(prediction.timestamp),
    }


def required_bars(predictor: Predictor) -> int | None:
    """Candles that a request must bring; None where the bundle brings no forecast."""
    return None if predictor.forecaster is None else _bars(predictor, predictor.forecaster)


def _bars(predictor: Predictor, forecaster: Forecaster) -> int:
    """Those of the forecast, or of the experts who vote beside it if they read more."""
    return max(predictor.needs.bars, forecaster.hours)


def _forecaster(predictor: Predictor) -> Forecaster:
    if predictor.forecaster is None:
        raise RequestError(
            "the served model brings no forecast; set `forecast.enabled: true` in params.yaml, train and "
            "promote"
        )
    return predictor.forecaster


def _newest(window: Window, needs: Needs) -> Window:
    """The candles that the experts read, as `predict` would read them."""
    bars = {name: values[-needs.bars :] for name, values in window.bars.items()}
    return window._replace(timestamp=window.timestamp[-needs.bars :], bars=bars)
