"""What a policy sees of a market and what its orders meet: one assembly for training, backtest, refit.

Enters: bars, unscaled features, out-of-fold predictions with their expert blocks, a fitted scaler. Leaves:
one `MarketTensor` per symbol, and `Panel`, the same stacked for compiled loops.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.account.contract import Contract, Contracts, stacked
from xrl.env.layout import FUSED, Layout
from xrl.errors import DataError
from xrl.market.candles import horizon_volatility

#: The feature columns an observation holds, in the order the policy's scaler is fitted on.
STATE_COLUMNS = (*columns.MARKET_STATE, *columns.REGIME_STATE)
#: Bars over whose mean the size of an order is compared with what is traded in a bar.
VOLUME_BARS: Final = 24
_HOUR_MS: Final = 3_600_000


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
    unrest: NDArray[np.float64]  # (bars,) standard deviation of one bar's log return
    volume: NDArray[np.float64]  # (bars,) quote currency traded in a bar, mean of the last day; 0: unknown
    block: NDArray[np.float32]  # (bars, 2 w) pattern block | indicator block
    market: NDArray[np.float32]  # (bars, 10) scaled MARKET_STATE
    regime: NDArray[np.float32]  # (bars, 5) scaled REGIME_STATE
    contract: Contract
    #: For rewards: each expert's percentile of P(BUY) against P(SELL), and the VSA signal. (bars, 3)
    #: No rows: nobody said anything.
    hints: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    layout: Layout = FUSED

    def __len__(self) -> int:
        return len(self.timestamp)

    def rows(self, keep: slice) -> "MarketTensor":
        """The same symbol over fewer bars."""
        return replace(self, **{name: getattr(self, name)[keep] for name in _PER_BAR})

    def between(self, start: np.datetime64, end: np.datetime64) -> "MarketTensor":
        """Bars with start <= timestamp < end."""
        first, last = np.searchsorted(self.timestamp, np.array([start, end]))
        return self.rows(slice(int(first), int(last)))


_PER_BAR: Final = tuple(
    f.name for f in fields(MarketTensor) if f.name not in ("symbol", "contract", "layout")
)


class Panel(NamedTuple):
    """Symbols stacked bar after bar; symbol s lies in rows starts[s]:ends[s]. Fields as in `MarketTensor`.

    What one bar needs lies side by side in memory: `prices` to `closed` are columns of one matrix, and
    `block`, `market` and `regime` are columns of `seen`, the observation with the account's part empty.
    """

    prices: NDArray[np.float64]
    funding: NDArray[np.float64]
    funding_last: NDArray[np.float64]
    volatility: NDArray[np.float64]
    unrest: NDArray[np.float64]
    volume: NDArray[np.float64]
    closed: NDArray[np.float64]  # (rows,) the bar's close, milliseconds UTC
    block: NDArray[np.float32]
    market: NDArray[np.float32]
    regime: NDArray[np.float32]
    seen: NDArray[np.float32]  # (rows, width)
    hints: NDArray[np.float64]
    account: NDArray[np.int64]  # which of columns.ACCOUNT_STATE an observation holds
    symbol: NDArray[np.int64]  # (rows,)
    contracts: Contracts
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
    contract: Callable[[str], Contract],
    layout: Layout = FUSED,
    hints: NDArray[np.float64] | None = None,
) -> tuple[MarketTensor, ...]:
    """Join bars, scaled features and expert blocks on symbol and time.

    Args:
        bars: `symbol` and `columns.BAR`, each symbol in time order.
        features: symbol, timestamp and at least `STATE_COLUMNS`, unscaled.
        keys: symbol and timestamp of each row of `blocks`.
        blocks: expert blocks. (rows, 2 w)
        scaler: fitted on `STATE_COLUMNS` of training bars alone.
        volatility_window, horizon_bars: as in the labels.
        contract: what the venue allows of a symbol.
        layout: of the observation; the scaler is fitted on its `features`.
        hints: of each row of `keys`, what rewards may read (`MarketTensor.hints`). (rows, 3)

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
        close = own_bars[columns.CLOSE].to_numpy(np.float64)
        priced = own_bars.assign(
            volatility=horizon_volatility(close, volatility_window, horizon_bars),
            traded_volume=_mean_volume(own_bars),
            funding_last=own_bars[columns.FUNDING_RATE].ffill().fillna(0.0),
            funding_now=own_bars[columns.FUNDING_RATE].fillna(0.0),
        )
        at = _select(priced, times, symbol, "bars")
        states = _select(_of_symbol(features, symbol), times, symbol, "features")
        scaled = np.nan_to_num(scaler.transform(states[list(layout.features)].to_numpy(np.float64)), nan=0.0)
        split = len(layout.market)
        block, market = blocks[rows], scaled[:, :split]
        if not layout.blocks_first:
            block, market = blocks[rows, :0], np.hstack([market, block])
        tensors.append(
            MarketTensor(
                symbol=str(symbol),
                timestamp=times.tz_localize(None).to_numpy().astype("datetime64[ms]"),
                prices=np.ascontiguousarray(at[list(columns.OHLCV[:4])].to_numpy(np.float64)),
                funding=at["funding_now"].to_numpy(np.float64),
                funding_last=at["funding_last"].to_numpy(np.float64),
                volatility=_finite(at["volatility"].to_numpy(np.float64), symbol),
                unrest=at["volatility"].to_numpy(np.float64) / np.sqrt(horizon_bars),
                volume=at["traded_volume"].to_numpy(np.float64),
                block=np.ascontiguousarray(block, dtype=np.float32),
                market=np.ascontiguousarray(market, dtype=np.float32),
                regime=np.ascontiguousarray(scaled[:, split:], dtype=np.float32),
                contract=contract(str(symbol)),
                hints=np.empty((0, 3)) if hints is None else np.asarray(hints, dtype=np.float64)[rows],
                layout=layout,
            )
        )
    return tuple(tensors)


def join(parts: Sequence[MarketTensor]) -> MarketTensor:
    """One symbol's tensors, each continuing the one before, as one."""
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in _PER_BAR
    }
    return replace(parts[0], **joined)


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
    names = ("funding", "funding_last", "volatility", "unrest", "volume")
    bar = np.empty((int(ends[-1]), 4 + len(names) + 1))
    np.concatenate([tensor.prices for tensor in tensors], out=bar[:, :4])
    for at, name in enumerate(names, start=4):
        np.concatenate([getattr(tensor, name) for tensor in tensors], out=bar[:, at])
    np.concatenate([_closes(tensor.timestamp) for tensor in tensors], out=bar[:, -1])
    block, market, regime, seen = _seen(tensors)
    return Panel(
        prices=bar[:, :4],
        **{name: bar[:, at] for at, name in enumerate((*names, "closed"), start=4)},
        block=block,
        market=market,
        regime=regime,
        seen=seen,
        hints=np.concatenate([_hints(tensor) for tensor in tensors]),
        account=np.array([columns.ACCOUNT_STATE.index(name) for name in tensors[0].layout.account]),
        symbol=np.repeat(np.arange(len(tensors)), lengths),
        contracts=stacked([tensor.contract for tensor in tensors]),
        starts=ends - lengths,
        ends=ends,
    )


def _seen(tensors: Sequence[MarketTensor]) -> tuple[NDArray[np.float32], ...]:
    """Blocks, market and regime as views of the observations, and these, the account's part empty."""
    block, market = tensors[0].block.shape[1], tensors[0].market.shape[1]
    rows = sum(len(tensor) for tensor in tensors)
    after = block + market + len(tensors[0].layout.account)
    seen = np.zeros((rows, after + tensors[0].regime.shape[1]), dtype=np.float32)
    views = seen[:, :block], seen[:, block : block + market], seen[:, after:]
    for view, name in zip(views, ("block", "market", "regime")):
        np.concatenate([getattr(tensor, name) for tensor in tensors], out=view)
    return *views, seen


def _hints(tensor: MarketTensor) -> NDArray[np.float64]:
    """What rewards may read; the middle where nobody said anything. (bars, 3)"""
    return tensor.hints if len(tensor.hints) else np.tile([0.5, 0.5, 0.0], (len(tensor), 1))


def _closes(opens: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """When each hourly bar closes, milliseconds UTC."""
    return opens.astype("datetime64[ms]").astype(np.float64) + _HOUR_MS


def _mean_volume(bars: pd.DataFrame) -> NDArray[np.float64]:
    """Mean of what was traded in each of the last day's bars, at the close; 0 before a bar is known."""
    traded = bars[columns.VOLUME] * bars[columns.CLOSE]
    mean = traded.rolling(VOLUME_BARS, min_periods=1).mean().fillna(0.0)
    return np.asarray(mean.to_numpy(np.float64))


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
