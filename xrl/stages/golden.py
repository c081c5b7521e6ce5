"""Golden pairs: raw candles as a client would send them, and what training's own path says of them.

Enters: bars, features built over the full history, the refit's Keras answers and policy. Leaves: pairs
for `golden.json`. The server sees only the newest bars of a window and ONNX files; that it answers the
same proves warm-up, scaling, export and observation at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.account.contract import Contract, contract_of
from xrl.account.step import Account, margined
from xrl.config import Config
from xrl.env.market import MarketTensor, assemble
from xrl.env.observation import account_features, observation
from xrl.errors import DataError
from xrl.evaluation.committee import Vote, vote
from xrl.experts.windows import positions
from xrl.features.scaling import Scaler
from xrl.paths import Paths
from xrl.policy.exported import ExportedPolicy
from xrl.serve.candles import CONTEXT_REQUIRED
from xrl.serve.sources import Others

#: For a model that reads its own symbol alone.
NONE: Final = Others((), 0)

#: Account states that the pairs take in turn; `entry` as a share of the close.
_ACCOUNTS: Final = (
    {"exposure": 0.0, "equity": 1.0, "peak": 1.0, "entry": 0.0, "held": 0, "idle": 0, "last": 0.0},
    {"exposure": 0.97, "equity": 1.08, "peak": 1.1, "entry": 0.98, "held": 12, "idle": 12, "last": 0.01},
    {"exposure": -1.9, "equity": 0.8, "peak": 1.2, "entry": 0.97, "held": 3, "idle": 1, "last": -0.04},
)


@dataclass(frozen=True)
class Batch:
    """What training's path computed for the chosen rows, in their order, and what a request needs."""

    experts: Mapping[str, Vote]  # of n rows each
    shares: Mapping[str, float]  # of the experts in the committee's mean
    blocks: NDArray[np.float32]  # (n, width)
    required_bars: int
    others: Others


def choose_rows(
    bars: pd.DataFrame, required_bars: int, count: int, seed: int, others: Others = NONE
) -> NDArray[np.int64]:
    """Row numbers of `bars` with `required_bars` consecutive bars up to them, in ascending order.

    Where other symbols are read, each must have its own consecutive bars up to the same time.

    Raises:
        DataError: fewer than `count` rows have them.
    """
    codes = pd.factorize(bars[columns.SYMBOL])[0].astype(np.int64)
    unbroken = positions(codes, milliseconds(bars), np.ones(len(bars), dtype=bool))
    fits = unbroken >= required_bars - 1
    for symbol in others.symbols:
        own = (bars[columns.SYMBOL] == symbol).to_numpy() & (unbroken >= others.bars - 1)
        fits &= bars[columns.TIMESTAMP].isin(bars.loc[own, columns.TIMESTAMP]).to_numpy()
    eligible = np.flatnonzero(fits)
    if len(eligible) < count:
        raise DataError(
            f"{count} golden pairs need as many bars with {required_bars} consecutive bars up to them; "
            f"received {len(eligible)}. Take more days (`snapshot.days`)."
        )
    return np.sort(np.random.default_rng(seed).choice(eligible, count, replace=False))


def golden_pairs(
    bars: pd.DataFrame,
    rows: NDArray[np.int64],
    batch: Batch,
    scaler: Scaler,
    config: Config,
    paths: Paths,
) -> list[dict[str, Any]]:
    """One pair for each of `rows`: symbol, candles, account and the expected answers.

    Args:
        bars: of all symbols.
        rows: ascending row numbers of `bars`.
        batch: the experts' answers for them.
        scaler: the refit policy's.
        config, paths: of the run.
    """
    features = pd.read_parquet(paths.features)
    policy = ExportedPolicy(paths.refit_policy)
    keys = bars.iloc[rows][[columns.SYMBOL, columns.TIMESTAMP]].reset_index(drop=True)
    tensors = assemble(
        bars,
        features,
        keys,
        batch.blocks,
        scaler,
        config.labels.volatility_window,
        config.labels.horizon_bars,
        partial(contract_of, params=config.backtest),
    )
    seen = [(tensor, at) for tensor in tensors for at in range(len(tensor))]  # rows ascend, so in their order
    committee = vote(batch.experts, batch.shares)
    pairs = []
    for i, (row, (tensor, at)) in enumerate(zip(rows, seen)):
        account = _account(_ACCOUNTS[i % len(_ACCOUNTS)], float(tensor.prices[at, 3]), tensor.contract)
        actions = policy.probabilities(_observed(tensor, at, account, config)[None])  # (1, 10)
        voters = {**batch.experts, "committee": committee}
        expected = {
            **{name: own.probabilities[i] for name, own in voters.items()},
            "uncertainty": np.array([own.uncertainty[i] for own in voters.values()]),
            "action": actions[0].astype(np.float64),
        }
        pairs.append(
            {
                "symbol": tensor.symbol,
                "candles": candles(bars.iloc[row + 1 - batch.required_bars : row + 1]),
                "context": _context(bars, tensor.symbol, bars[columns.TIMESTAMP].iat[row], batch.others),
                "account": _state(account, float(tensor.prices[at, 3])),
                "expected": {name: values.tolist() for name, values in expected.items()},
            }
        )
    return pairs


def candles(bars: pd.DataFrame) -> dict[str, list[float | None]]:
    """Bars of one symbol in the service's format: arrays of numbers, null where unknown."""
    found: dict[str, list[float | None]] = {columns.TIMESTAMP: milliseconds(bars).tolist()}
    for name in columns.BAR[1:]:
        found[name] = [None if np.isnan(value) else float(value) for value in bars[name].to_numpy(np.float64)]
    return found


def _context(
    bars: pd.DataFrame, symbol: str, newest: pd.Timestamp, others: Others
) -> dict[str, dict[str, list[float | None]]]:
    """Closes of the other symbols that a request for `symbol` brings, by symbol."""
    found = {}
    for name in others.symbols:
        if name != symbol:
            own = bars[(bars[columns.SYMBOL] == name) & (bars[columns.TIMESTAMP] <= newest)].tail(others.bars)
            sent = candles(own)
            found[name] = {column: sent[column] for column in CONTEXT_REQUIRED}
    return found


def milliseconds(bars: pd.DataFrame) -> NDArray[np.int64]:
    """Opens of the bars in milliseconds since 1970 UTC."""
    times = bars[columns.TIMESTAMP].dt.tz_localize(None).to_numpy("datetime64[ms]")
    return np.asarray(times.astype(np.int64))


def _observed(tensor: MarketTensor, at: int, account: Account, config: Config) -> NDArray[np.float32]:
    """The observation of row `at`, (width,)."""
    seen = account_features(
        account,
        float(tensor.prices[at, 3]),
        float(tensor.volatility[at]),
        float(tensor.funding_last[at]),
        config.backtest.max_leverage,
    )
    return observation(tensor.block[at], tensor.market[at], seen, tensor.regime[at])


def _account(state: Mapping[str, float], close: float, contract: Contract) -> Account:
    quantity, entry = state["exposure"] * state["equity"] / close, state["entry"] * close
    wallet = state["equity"] - quantity * (close - entry)
    counts = float(state["held"]), float(state["idle"]), state["last"]
    money = state["equity"], state["peak"]
    held: Account = margined(
        Account(wallet, quantity, entry, state["exposure"], *money, *counts, 0.0, 0.0, 0.0), contract
    )
    return held


def _state(account: Account, close: float) -> dict[str, float]:
    """The account as a client describes it."""
    return {
        "exposure": account.quantity * close / account.equity,
        "equity": account.equity,
        "peak_equity": account.peak,
        "entry_price": account.entry,
        "bars_held": int(account.held),
        "bars_since_trade": int(account.idle),
        "last_trade_return": account.last_trade,
    }
