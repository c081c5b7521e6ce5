"""What a policy sees of a market and what its orders meet: one assembly for training, backtest, refit.

Enters: bars, unscaled features, out-of-fold predictions with their expert blocks, a fitted scaler. Leaves:
one `MarketTensor` per symbol, and `Panel`, the same stacked for compiled loops.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.errors import DataError
from xrl.market.candles import horizon_volatility

#: The feature columns an observation holds, in the order the policy's scaler is fitted on.
STATE_COLUMNS = (*columns.MARKET_STATE, *columns.REGIME_STATE)


class Transform(Protocol):
    """Anything that scales a feature matrix; `xrl.features.scaling.Scaler` is one."""

    def transform(self, matrix: NDArray[np.float64]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class MarketTensor:
    """One symbol, consecutive bars; row t is what is known at close t."""

    symbol: str
    timestamp: NDArray[np.datetime64]  # (bars,) the bar's open, UTC
    prices: NDArray[np.float64]  # (bars, 4) open, high, low, close
    funding: NDArray[np.float64]  # (bars,) settled within the bar, 0 where none
    funding_last: NDArray[np.float64]  # (bars,) last settled by the close, 0 before the first
    volatility: NDArray[np.float64]  # (bars,) standard deviation of the horizon's log return
    block: NDArray[np.float32]  # (bars, 2 w) pattern block | indicator block
    market: NDArray[np.float32]  # (bars, 10) scaled MARKET_STATE
    regime: NDArray[np.float32]  # (bars, 5) scaled REGIME_STATE

    def __len__(self) -> int:
        return len(self.timestamp)

    def rows(self, keep: slice) -> "MarketTensor":
        """The same symbol over fewer bars."""
        return MarketTensor(
            self.symbol,
            self.timestamp[keep],
            self.prices[keep],
            self.funding[keep],
            self.funding_last[keep],
            self.volatility[keep],
            self.block[keep],
            self.market[keep],
            self.regime[keep],
        )

    def between(self, start: np.datetime64, end: np.datetime64) -> "MarketTensor":
        """Bars with start <= timestamp < end."""
        first, last = np.searchsorted(self.timestamp, np.array([start, end]))
        return self.rows(slice(int(first), int(last)))


class Panel(NamedTuple):
    """Symbols stacked bar after bar; symbol s lies in rows starts[s]:ends[s]. Fields as in `MarketTensor`."""

    prices: NDArray[np.float64]
    funding: NDArray[np.float64]
    funding_last: NDArray[np.float64]
    volatility: NDArray[np.float64]
    block: NDArray[np.float32]
    market: NDArray[np.float32]
    regime: NDArray[np.float32]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


def assemble(
    bars: pd.DataFrame,
    features: pd.DataFrame,
    keys: pd.DataFrame,
    blocks: NDArray[np.float32],
    scaler: Transform,
    volatility_window: int,
    horizon_bars: int,
) -> tuple[MarketTensor, ...]:
    """Join bars, scaled features and expert blocks on symbol and time.

    Args:
        bars: `symbol` and `columns.BAR`, each symbol in time order.
        features: symbol, timestamp and at least `STATE_COLUMNS`, unscaled.
        keys: symbol and timestamp of each row of `blocks`.
        blocks: expert blocks. (rows, 2 w)
        scaler: fitted on `STATE_COLUMNS` of training bars alone.
        volatility_window, horizon_bars: as in the labels.

    Returns:
        One tensor per symbol, in order of first appearance in `keys`. A feature that is NaN (unknown) becomes
        0, the centre of its training distribution.

    Raises:
        DataError: a predicted bar is missing from bars or features, or blocks and keys differ in length.
    """
    if len(keys) != len(blocks):
        raise DataError(
            f"blocks must have one row per key; received {len(blocks)} != {len(keys)}. Run `xrl oof`."
        )
    tensors = []
    for symbol in keys[columns.SYMBOL].unique():
        rows = np.flatnonzero((keys[columns.SYMBOL] == symbol).to_numpy())
        times = pd.DatetimeIndex(keys[columns.TIMESTAMP].iloc[rows])
        own_bars = _of_symbol(bars, symbol)
        priced = own_bars.assign(
            volatility=horizon_volatility(
                own_bars[columns.CLOSE].to_numpy(np.float64), volatility_window, horizon_bars
            ),
            funding_last=own_bars[columns.FUNDING_RATE].ffill().fillna(0.0),
            funding_now=own_bars[columns.FUNDING_RATE].fillna(0.0),
        )
        at = _select(priced, times, symbol, "bars")
        states = _select(_of_symbol(features, symbol), times, symbol, "features")
        scaled = np.nan_to_num(scaler.transform(states[list(STATE_COLUMNS)].to_numpy(np.float64)), nan=0.0)
        split = len(columns.MARKET_STATE)
        tensors.append(
            MarketTensor(
                symbol=str(symbol),
                timestamp=times.tz_localize(None).to_numpy().astype("datetime64[ms]"),
                prices=np.ascontiguousarray(at[list(columns.OHLCV[:4])].to_numpy(np.float64)),
                funding=at["funding_now"].to_numpy(np.float64),
                funding_last=at["funding_last"].to_numpy(np.float64),
                volatility=_finite(at["volatility"].to_numpy(np.float64), symbol),
                block=np.ascontiguousarray(blocks[rows], dtype=np.float32),
                market=np.ascontiguousarray(scaled[:, :split], dtype=np.float32),
                regime=np.ascontiguousarray(scaled[:, split:], dtype=np.float32),
            )
        )
    return tuple(tensors)


def join(parts: Sequence[MarketTensor]) -> MarketTensor:
    """One symbol's tensors, each continuing the one before, as one."""
    names = [field.name for field in fields(MarketTensor) if field.name != "symbol"]
    return MarketTensor(
        parts[0].symbol, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    )


def stack(tensors: Sequence[MarketTensor]) -> Panel:
    """Stack symbols into one `Panel`.

    Raises:
        DataError: there is no tensor, or one has fewer than two bars.
    """
    lengths = np.array([len(tensor) for tensor in tensors], dtype=np.int64)
    if len(lengths) == 0 or lengths.min() < 2:
        raise DataError(
            f"a market to trade needs at least 2 bars of every symbol; received {lengths.tolist()}. "
            "Widen `snapshot.days` or lower the number of folds."
        )
    ends = np.cumsum(lengths)
    stacked = {
        name: np.concatenate([getattr(tensor, name) for tensor in tensors]) for name in Panel._fields[:7]
    }
    return Panel(**stacked, starts=ends - lengths, ends=ends)


def _of_symbol(frame: pd.DataFrame, symbol: str) -> pd.DataFrame:
    return frame[frame[columns.SYMBOL] == symbol].set_index(columns.TIMESTAMP)


def _select(frame: pd.DataFrame, times: pd.DatetimeIndex, symbol: str, table: str) -> pd.DataFrame:
    at = frame.index.get_indexer(times)
    if (at < 0).any():
        missing = times[at < 0]
        raise DataError(
            f"{symbol}: {len(missing)} predicted bars are missing from {table}, first {missing[0]}. "
            "Run `dvc repro` so that all stages see the same snapshot."
        )
    return frame.iloc[at]


def _finite(volatility: NDArray[np.float64], symbol: str) -> NDArray[np.float64]:
    bad = int((~np.isfinite(volatility)).sum())
    if bad:
        raise DataError(
            f"{symbol}: volatility is unknown on {bad} predicted bars; predictions must start after its "
            "warm-up. Raise `labels.first_train_share`."
        )
    return volatility
