"""Bars are known again by the bars of their days, whatever they are called."""

import numpy as np
import pandas as pd
import pytest

from xrl.market.prints import hashes, of_mondays, prints

START = pd.Timestamp("2025-01-01", tz="UTC")  # a Wednesday


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    time = pd.date_range(START, periods=20 * 24, freq="h", unit="ms")
    parts = []
    for symbol in ("SOLUSDT", "BTCUSDT"):
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(time))))
        high, low = close * 1.01, close / 1.01
        parts.append(
            pd.DataFrame({"symbol": symbol, "timestamp": time, "high": high, "low": low, "close": close})
        )
    return pd.concat(parts, ignore_index=True)


def test_every_symbols_every_day_has_a_hash_of_its_own(bars: pd.DataFrame) -> None:
    found = prints(bars)
    assert set(found) == {"BTCUSDT", "SOLUSDT"}
    assert list(found["BTCUSDT"])[:2] == ["2025-01-01", "2025-01-02"] and len(found["BTCUSDT"]) == 20
    assert len(hashes(found)) == 40 and all(len(own) == 16 for own in hashes(found))


def test_names_other_columns_and_the_order_of_symbols_say_nothing(bars: pd.DataFrame) -> None:
    renamed = bars.assign(symbol=bars["symbol"].str.replace("USDT", "-SWAP"), volume=1.0)[::-1]
    again = renamed.sort_values(["symbol", "timestamp"])
    assert hashes(prints(again)) == hashes(prints(bars))


@pytest.mark.parametrize("column", ["high", "low", "close"])
def test_a_corrected_bar_changes_its_day_alone(bars: pd.DataFrame, column: str) -> None:
    corrected = bars.copy()
    corrected.loc[30, column] *= 1.0 + 1e-9
    assert len(hashes(prints(corrected)) & hashes(prints(bars))) == 39


def test_a_bar_fewer_changes_its_day_alone_and_the_same_prices_another_hour_all(bars: pd.DataFrame) -> None:
    assert len(hashes(prints(bars.drop(index=30))) & hashes(prints(bars))) == 39
    later = bars.assign(timestamp=bars["timestamp"] + pd.Timedelta(hours=1))
    assert not hashes(prints(later)) & hashes(prints(bars))


def test_one_day_a_week_is_kept_of_a_history(bars: pd.DataFrame) -> None:
    kept = of_mondays(prints(bars))
    assert {symbol: list(days) for symbol, days in kept.items()} == {
        symbol: ["2025-01-06", "2025-01-13", "2025-01-20"] for symbol in ("BTCUSDT", "SOLUSDT")
    }
    assert hashes(kept) < hashes(prints(bars))
