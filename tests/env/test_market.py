"""Assembly of bars, features and blocks into tensors."""

import numpy as np
import pandas as pd
import pytest

from tests.env import toy
from xrl import columns as c
from xrl.account.contract import Contract
from xrl.env.layout import COMPACT
from xrl.env.market import STATE_COLUMNS, assemble, join, stack
from xrl.errors import DataError
from xrl.features.scaling import Scaler
from xrl.market.candles import horizon_volatility

WINDOW, HORIZON = 5, 4
SCALER = Scaler(STATE_COLUMNS, (1.0,) * 15, (2.0,) * 15, 5.0)


def contract(_: str) -> Contract:
    return toy.CONTRACT


def frames(bars: int = 30, symbols: tuple[str, ...] = ("AAA", "BBB")) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bars and features of a few hours."""
    rng = np.random.default_rng(3)
    time = pd.date_range("2026-01-01", periods=bars, freq="h", tz="UTC", unit="ms")
    bar_parts, feature_parts = [], []
    for symbol in symbols:
        close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, bars)))
        funding = np.where(np.arange(bars) % 8 == 0, 1e-4 * (1 + np.arange(bars)), np.nan)
        frame = pd.DataFrame({c.SYMBOL: symbol, c.TIMESTAMP: time, c.CLOSE: close, c.FUNDING_RATE: funding})
        bar_parts.append(frame.assign(open=close * 0.999, high=close * 1.01, low=close * 0.99, volume=7.0))
        values = {name: rng.standard_normal(bars) for name in STATE_COLUMNS}
        feature_parts.append(pd.DataFrame({c.SYMBOL: symbol, c.TIMESTAMP: time, **values}))
    return pd.concat(bar_parts, ignore_index=True), pd.concat(feature_parts, ignore_index=True)


def keys_of(features: pd.DataFrame, first: int) -> pd.DataFrame:
    """Rows from each symbol's bar number `first` on."""
    number = features.groupby(c.SYMBOL).cumcount()
    return features.loc[number >= first, [c.SYMBOL, c.TIMESTAMP]].reset_index(drop=True)


def blocks_of(keys: pd.DataFrame) -> np.ndarray:
    return np.arange(len(keys) * 6, dtype=np.float32).reshape(-1, 6)


def test_every_part_is_of_the_same_bar() -> None:
    bars, features = frames()
    keys = keys_of(features, 10)
    found = assemble(bars, features, keys, blocks_of(keys), SCALER, WINDOW, HORIZON, contract)
    assert [tensor.symbol for tensor in found] == ["AAA", "BBB"]
    second = found[1]
    own, own_features = bars[bars.symbol == "BBB"], features[features.symbol == "BBB"]
    assert len(second) == 20
    assert second.timestamp[0] == np.datetime64("2026-01-01T10", "ms")
    assert second.prices[:, 3].tolist() == own.close.iloc[10:].tolist()
    assert (
        second.volatility.tolist() == horizon_volatility(own.close.to_numpy(), WINDOW, HORIZON)[10:].tolist()
    )
    assert second.block[0].tolist() == [120.0, 121.0, 122.0, 123.0, 124.0, 125.0]
    first_state = own_features[list(STATE_COLUMNS)].iloc[10].to_numpy()
    assert np.concatenate([second.market[0], second.regime[0]]) == pytest.approx(
        (first_state - 1.0) / 2.0, abs=1e-6
    )


def test_funding_is_charged_where_settled_and_remembered_after() -> None:
    bars, features = frames()
    keys = keys_of(features, 10)
    tensor = assemble(bars, features, keys, blocks_of(keys), SCALER, WINDOW, HORIZON, contract)[0]
    assert tensor.funding[:8] == pytest.approx([0.0] * 6 + [0.0017, 0.0])  # settled in bar 16
    assert tensor.funding_last[:8] == pytest.approx([0.0009] * 6 + [0.0017] * 2)  # until then bar 8's


def test_later_bars_change_nothing_before_them() -> None:
    bars, features = frames()
    keys = keys_of(features, 10)
    whole = assemble(bars, features, keys, blocks_of(keys), SCALER, WINDOW, HORIZON, contract)[0]
    end = bars.timestamp.iloc[20]
    early = keys.timestamp < end
    cut = assemble(
        bars[bars.timestamp < end],
        features[features.timestamp < end],
        keys[early].reset_index(drop=True),
        blocks_of(keys)[early.to_numpy()],
        SCALER,
        WINDOW,
        HORIZON,
        contract,
    )[0]
    known = (
        "prices",
        "funding",
        "funding_last",
        "volatility",
        "unrest",
        "volume",
        "block",
        "market",
        "regime",
    )
    for name in known:
        assert np.array_equal(getattr(cut, name), getattr(whole, name)[:10])


def test_an_unknown_feature_becomes_the_centre() -> None:
    bars, features = frames()
    features.loc[12, "taker_imbalance"] = np.nan
    keys = keys_of(features, 10)
    tensor = assemble(bars, features, keys, blocks_of(keys), SCALER, WINDOW, HORIZON, contract)[0]
    assert tensor.market[2, c.MARKET_STATE.index("taker_imbalance")] == 0.0


def test_a_predicted_bar_without_features_is_named() -> None:
    bars, features = frames()
    keys = keys_of(features, 10)
    with pytest.raises(
        DataError, match="AAA: 1 predicted bars are missing from features, first 2026-01-01 12:00"
    ):
        assemble(
            bars,
            features.drop(index=12),
            keys,
            blocks_of(keys),
            SCALER,
            WINDOW,
            HORIZON,
            contract,
        )


def test_predictions_within_the_warm_up_of_volatility_are_refused() -> None:
    bars, features = frames()
    keys = keys_of(features, 3)
    with pytest.raises(DataError, match="AAA: volatility is unknown on 2 predicted bars"):
        assemble(bars, features, keys, blocks_of(keys), SCALER, WINDOW, HORIZON, contract)


def test_blocks_of_another_length_are_refused() -> None:
    bars, features = frames()
    keys = keys_of(features, 10)
    with pytest.raises(DataError, match="received 39 != 40"):
        assemble(bars, features, keys, blocks_of(keys)[1:], SCALER, WINDOW, HORIZON, contract)


def test_cutting_and_joining_gives_the_same_tensor() -> None:
    bars, features = frames()
    keys = keys_of(features, 10)
    whole = assemble(bars, features, keys, blocks_of(keys), SCALER, WINDOW, HORIZON, contract)[0]
    middle = np.datetime64("2026-01-01T17", "ms")
    parts = [whole.between(whole.timestamp[0], middle), whole.between(middle, np.datetime64("2027-01-01"))]
    assert [len(part) for part in parts] == [7, 13]
    again = join(parts)
    assert np.array_equal(again.prices, whole.prices)
    assert np.array_equal(again.timestamp, whole.timestamp)


def test_a_stack_knows_where_each_symbol_lies() -> None:
    bars, features = frames()
    keys = keys_of(features, 10)
    panel = stack(assemble(bars, features, keys, blocks_of(keys), SCALER, WINDOW, HORIZON, contract))
    assert (panel.starts.tolist(), panel.ends.tolist()) == ([0, 20], [20, 40])
    assert panel.prices.shape == (40, 4)


def test_a_symbol_of_one_bar_cannot_be_traded() -> None:
    with pytest.raises(DataError, match="at least 2 bars of every symbol"):
        stack([])


def test_the_compact_layout_is_sixteen_columns_in_the_documents_order() -> None:
    bars, features = frames()
    named = features[[c.SYMBOL, c.TIMESTAMP]].copy()
    for at, name in enumerate(COMPACT.features):
        named[name] = float(at)
    keys = keys_of(features, 10)
    odds = np.column_stack([np.full(len(keys), 0.3), np.full(len(keys), 0.8)]).astype(np.float32)
    scaler = Scaler(COMPACT.features, (0.0,) * 11, (1.0,) * 11, 50.0)
    said = np.tile([0.3, 0.8, 1.0], (len(keys), 1))
    tensor = assemble(bars, named, keys, odds, scaler, WINDOW, HORIZON, contract, layout=COMPACT, hints=said)[
        0
    ]
    panel = stack([tensor])
    assert panel.seen.shape[1] == 16
    assert panel.seen[0, :9].tolist() == list(range(9))
    assert panel.seen[0, 14:].tolist() == [9.0, 10.0]
    assert (panel.seen[:, 9:11] == np.float32([0.3, 0.8])).all()
    assert (panel.seen[:, 11:14] == 0.0).all()  # the account's, filled in by the environment
    assert panel.hints[0].tolist() == [0.3, 0.8, 1.0]
    assert panel.account.tolist() == [0, 3, 4]
