"""The forecast's walk-forward, its refit and what proves them. Enters: rows, folds. Leaves: predictions.

Every fold's network learns from windows whose outcome its training span knows, ranks its confidence among the
last of them, and is tested on the fold's own span. The refit learns from everything; its confidence is ranked
among the folds' out-of-sample ones, as the experts' is.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import ForecastParams
from xrl.errors import DataError, TrainingError
from xrl.evaluation.forecasts import Forecasts
from xrl.experts import backend, forecaster
from xrl.experts.forecaster import Forecaster
from xrl.experts.windows import positions
from xrl.features import longbars
from xrl.labels.folds import Fold, Refit
from xrl.serve import confirmation
from xrl.stages.forecast_rows import ForecastRows, split_tail

log = logging.getLogger(__name__)

#: Largest difference between what the server and the training say; probabilities and training deviations.
TOLERANCE: Final = 1e-4
_KEYS: Final = [columns.SYMBOL, columns.TIMESTAMP]


class Walked(NamedTuple):
    """What the folds' networks said of their test windows.

    `predictions`: symbol, timestamp, fold, up, change, right, confidence, forward_return. `folds`: rows each.
    """

    predictions: pd.DataFrame
    folds: list[dict[str, int]]


class Refitted(NamedTuple):
    """The network trained on everything."""

    forecaster: Forecaster
    windows: int  # that it learned from
    among: NDArray[np.float64]  # quantiles of `right`


def walk_forward(rows: ForecastRows, laid: Sequence[Fold], params: ForecastParams) -> Walked:
    """Train and test every fold.

    Raises:
        DataError: no fold has a window to test.
        TrainingError: a fold has too few windows to learn from or to rank confidence among, or diverged.
    """
    backend.prepare()
    found, counts = [], []
    for fold in laid:
        training, testing = rows.training(fold), rows.testing(fold)
        learned, held = split_tail(rows, training, params.held_share)
        if not learned.any():
            raise TrainingError(
                f"fold {fold.index} of the forecast has {len(training)} training windows of "
                f"{longbars.BARS} bars; take more days (`snapshot.days`) or set `forecast.enabled: false`"
            )
        fitted = _fit(rows, training[learned], params)
        among = confirmation.quantiles(fitted.predict(rows.series, rows.ends[training[held]]).right)
        found.append(_said(fitted, rows, testing, among).assign(**{columns.FOLD: fold.index}))
        count = {"fold": fold.index, "learned": int(learned.sum()), "held": int(held.sum())}
        counts.append({**count, "tested": len(testing)})
        log.info("forecast, fold %s", counts[-1])
    predictions = pd.concat(found, ignore_index=True)
    if predictions.empty:
        raise DataError("no fold has a six-hour window to test; take more days (`snapshot.days`)")
    return Walked(predictions, counts)


def refit(rows: ForecastRows, span: Refit, predictions: pd.DataFrame, params: ForecastParams) -> Refitted:
    """Train on everything whose outcome is known by the end of `span`.

    Args:
        rows: all windows.
        span: of the experts' refit.
        predictions: what `walk_forward` found; their confidence ranks the refit's.
        params: network and schedule.
    """
    training = rows.training(span)
    among = confirmation.quantiles(predictions["right"].to_numpy(np.float64))
    return Refitted(_fit(rows, training, params), len(training), among)


def judged(predictions: pd.DataFrame) -> Forecasts:
    """The predictions whose outcome is known."""
    known = predictions[predictions[columns.FORWARD_RETURN].notna()]
    time = known[columns.TIMESTAMP].dt.tz_localize(None).to_numpy("datetime64[ms]")
    names = ("up", "change", "right", "confidence", columns.FORWARD_RETURN)
    up, change, right, confidence, outcome = (known[name].to_numpy(np.float64) for name in names)
    return Forecasts(time, up, change, right, confidence, outcome)


def golden_pairs(
    bars: pd.DataFrame, rows: ForecastRows, refitted: Refitted, count: int, seed: int
) -> list[dict[str, Any]]:
    """Requests as a client would send them, and what training's own path says of them.

    Each holds the hours that a request must, up to a moment 0 to 5 hours after a six-hour bar closed.

    Raises:
        DataError: fewer than `count` bars have so many hours up to them.
    """
    chosen = _choose(bars, rows, count, seed)
    numbers = np.array([number for number, _ in chosen])
    said = _said(refitted.forecaster, rows, numbers, refitted.among)
    names = ["up", "change", "right", "confidence"]
    return [
        {
            "symbol": str(own[columns.SYMBOL]),
            "candles": _candles(bars.iloc[last + 1 - longbars.REQUIRED_HOURS : last + 1]),
            "expected": {
                "bar": int(own[columns.TIMESTAMP].timestamp() * 1000),
                "close": float(rows.table[columns.CLOSE].iat[number]),
                **{name: float(own[name]) for name in names},
            },
        }
        for (number, last), (_, own) in zip(chosen, said.iterrows())
    ]


def export(refitted: Refitted, path: Path) -> float:
    """Write the refit's network as ONNX; the largest difference from Keras. Raises as `write_proven`."""
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)  # tells every optimisation it tried
    return forecaster.to_onnx(refitted.forecaster, path, TOLERANCE)


def _fit(rows: ForecastRows, numbers: NDArray[np.int64], params: ForecastParams) -> Forecaster:
    return forecaster.fit(rows.series, rows.ends[numbers], rows.outcome[numbers], params, params.seed)


def _said(
    fitted: Forecaster, rows: ForecastRows, numbers: NDArray[np.int64], among: NDArray[np.float64]
) -> pd.DataFrame:
    said = fitted.predict(rows.series, rows.ends[numbers])
    own = rows.table.iloc[numbers].reset_index(drop=True)
    keys = own[[columns.SYMBOL, columns.TIMESTAMP]]
    confidence = confirmation.percentiles(said.right, among)
    return keys.assign(
        **said._asdict(), confidence=confidence, **{columns.FORWARD_RETURN: own[columns.FORWARD_RETURN]}
    )


def _choose(bars: pd.DataFrame, rows: ForecastRows, count: int, seed: int) -> list[tuple[int, int]]:
    """(number of a window, row of `bars` that its request ends with), ascending."""
    codes = pd.factorize(bars[columns.SYMBOL])[0].astype(np.int64)
    unbroken = positions(codes, longbars.open_ms(bars), np.ones(len(bars), dtype=bool))
    last = bars[_KEYS].assign(row=np.arange(len(bars)))[unbroken >= longbars.REQUIRED_HOURS - 1]
    after = pd.to_timedelta(np.arange(len(rows.table)) % longbars.HOURS + longbars.HOURS - 1, unit="h")
    asked = rows.table[_KEYS].assign(**{columns.TIMESTAMP: rows.table[columns.TIMESTAMP] + after})
    found = asked.merge(last, on=_KEYS, how="left")["row"].to_numpy(np.float64)
    eligible = np.flatnonzero(~np.isnan(found))
    if len(eligible) < count:
        raise DataError(
            f"{count} golden pairs of the forecast need as many bars with {longbars.REQUIRED_HOURS} hours up "
            f"to them; received {len(eligible)}. Take more days (`snapshot.days`)."
        )
    chosen = np.sort(np.random.default_rng(seed).choice(eligible, count, replace=False))
    return [(int(number), int(found[number])) for number in chosen]


def _candles(bars: pd.DataFrame) -> dict[str, list[float]]:
    """Bars in the service's format, the required arrays alone."""
    return {
        columns.TIMESTAMP: longbars.open_ms(bars).tolist(),
        **{name: bars[name].to_numpy(np.float64).tolist() for name in columns.OHLCV},
    }
