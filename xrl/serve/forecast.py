"""The bundle's six-hour forecast, if it brings one. Enters: a bundle, then hourly candles. Leaves: forecasts.

It reads the newest bar of 6 hours that has closed, which at 11:59 UTC is the one that closed at 06:00: what
it says is then six hours old and concerns the close at 12:00. The answer names both moments.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xrl import columns
from xrl.errors import BundleError, RequestError
from xrl.features import longbars
from xrl.features.longbars import STEP_MS
from xrl.features.scaling import Scaler
from xrl.registry.bundle import Bundle
from xrl.serve.candles import Needs, Window, at_time, read_candles
from xrl.serve.confirmation import Forecast, percentiles
from xrl.serve.onnx_model import OnnxModel

_OUTPUTS = ("up", "change", "right")


@dataclass(frozen=True)
class Made:
    """A forecast and the bar that it was made at.

    Attributes:
        forecast: what is said.
        right: probability, as the network says it, that the direction is right; the percentile is of it.
        bar: open of the newest closed bar of 6 hours, milliseconds since 1970 UTC.
        close: its close, quote currency.
    """

    forecast: Forecast
    right: float
    bar: int
    close: float

    @property
    def known_at(self) -> int:
        """When that bar closed, milliseconds."""
        return self.bar + STEP_MS

    @property
    def expected_at(self) -> int:
        """When the bar closes that is forecast, milliseconds."""
        return self.bar + 2 * STEP_MS

    @property
    def change_percent(self) -> float:
        return 100.0 * float(np.expm1(self.forecast.change))

    @property
    def predicted_price(self) -> float:
        """Close that is forecast, quote currency."""
        return self.close * float(np.exp(self.forecast.change))


class Forecaster:
    """The forecast of one bundle, ready to answer. Build it with `read`."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the three files.

        Raises:
            BundleError: it reads other inputs than this version computes, or is no such model.
        """
        spec = bundle.json("forecast.json")
        if spec["definition"] != longbars.definition():
            raise BundleError(
                f"{bundle.path / 'forecast.json'} was trained on other inputs: expected "
                f"{longbars.definition()}, received {spec['definition']}; serve it with the version of xrl "
                "that wrote it, or train again"
            )
        self.hours = int(spec["required_hours"])
        self.minimum_confidence = float(spec["minimum_confidence"])
        self.vote_weight = float(spec["vote_weight"])
        self._golden: Mapping[str, Any] = spec["golden"]
        self._scale = float(spec["change_scale"])
        self._among = np.asarray(spec["quantiles"], dtype=np.float64)
        self._scaler = Scaler.from_json((bundle.path / "scaler_forecast.json").read_text())
        shape = (longbars.BARS, len(longbars.COLUMNS))
        self._model = OnnxModel(bundle.path / "forecast.onnx", shape, _OUTPUTS)

    def make(self, window: Window) -> Made:
        """The forecast at the newest closed bar of 6 hours in `window`, which holds `hours` candles or more.

        Raises:
            RequestError: the candles give no finite input.
        """
        with np.errstate(all="ignore"):  # what overflows is refused below
            bars = longbars.long_bars(_frame(window))
            ends = longbars.window_ends(bars)[-1:]
            x = self._scaler.transform(longbars.windows(bars.series, ends))  # (1, 60, 7)
        if not len(ends) or not np.isfinite(x).all():
            raise RequestError(
                f"no forecast can be made of the {len(window.timestamp)} candles up to "
                f"{at_time(window.timestamp[-1])}: prices or volumes are out of range; send them in quote "
                "currency and in coins"
            )
        up, change, right = (float(found[0, 0]) for found in self._model(x))
        confidence = float(percentiles(np.array([right]), self._among)[0])
        forecast = Forecast(up, change * self._scale, confidence)
        return Made(forecast, right, int(bars.open_ms[ends[0]]), float(bars.close[ends[0]]))

    def replayed(self, needs: Needs) -> float:
        """Largest difference between what the golden pairs say and what is answered now.

        Probabilities and training deviations; infinite where another bar is read.

        Raises:
            RequestError: a pair cannot be answered.
            LookupError, TypeError, ValueError: the pairs are not what the stage `forecast` writes.
        """
        if not self._golden["pairs"]:
            raise ValueError("no golden pairs of the forecast")
        return max(self._difference(pair, needs) for pair in self._golden["pairs"])

    def _difference(self, pair: Mapping[str, Any], needs: Needs) -> float:
        window = read_candles(pair["symbol"], pair["candles"], self.needs(needs))
        made, expected = self.make(window), pair["expected"]
        if (made.bar, made.close) != (expected["bar"], expected["close"]):
            return float("inf")
        found = {
            "up": made.forecast.up,
            "right": made.right,
            "change": made.forecast.change / self._scale,
        }
        wanted = {**expected, "change": expected["change"] / self._scale}
        apart = max(abs(value - float(wanted[name])) for name, value in found.items())
        return apart if np.isfinite(apart) else float("inf")

    def needs(self, needs: Needs) -> Needs:
        """What a request must bring for the forecast alone, of a bundle that otherwise `needs`."""
        return Needs(needs.symbols, self.hours, needs.bar_ms)


def read(bundle: Bundle) -> Forecaster | None:
    """The forecast of `bundle`; None where it brings none. Raises as `Forecaster`."""
    return Forecaster(bundle) if (bundle.path / "forecast.onnx").is_file() else None


def _frame(window: Window) -> pd.DataFrame:
    times = pd.to_datetime(window.timestamp, unit="ms", utc=True).astype(columns.TIME_DTYPE)
    bars = {name: window.bars[name] for name in columns.CANDLE[1:]}
    return pd.DataFrame({columns.TIMESTAMP: times, **bars})
