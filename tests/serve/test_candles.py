"""Truths of what a request's candles must be: every refusal says what to fix."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.serve import tiny
from xrl.errors import RequestError
from xrl.serve.candles import Needs, Window, read_candles

NEEDS = Needs(("BTCUSDT", "ETHUSDT"), 5, tiny.BAR_MS)
T0 = tiny.START_MS


def candles(bars: int = 5, **changes: object) -> dict[str, list[float | None]]:
    found = {
        "timestamp": [T0 + i * tiny.BAR_MS for i in range(bars)],
        "open": [10.0] * bars,
        "high": [12.0] * bars,
        "low": [9.0] * bars,
        "close": [11.0] * bars,
        "volume": [5.0] * bars,
    }
    return {**found, **changes}


def read(symbol: str = "BTCUSDT", **changes: object) -> Window:
    return read_candles(symbol, candles(**changes), NEEDS)


def test_sound_candles_become_arrays_and_unknown_columns_nan() -> None:
    window = read(funding_rate=[None, 1e-4, None, None, -1e-4])
    assert window.close == 11.0
    assert window.timestamp.tolist() == candles()["timestamp"]
    np.testing.assert_array_equal(window.bars["funding_rate"], [np.nan, 1e-4, np.nan, np.nan, -1e-4])
    assert np.isnan(window.bars["open_interest"]).all()
    assert set(window.bars) == {
        *("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume"),
        *("taker_buy_quote_volume", "funding_rate", "open_interest"),
    }


def test_only_the_newest_candles_are_kept() -> None:
    long = candles(bars=9, close=[11.0] * 8 + [11.5])
    window = read_candles("ETHUSDT", long, NEEDS)
    assert window.timestamp.tolist() == long["timestamp"][4:]
    assert window.close == 11.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbol": "DOGEUSDT"}, r"unknown symbol 'DOGEUSDT'.*BTCUSDT, ETHUSDT"),
        ({"bars": 4}, r"history too short: 5 candles are needed, received 4.*required_bars"),
        ({"bars": 0}, r"5 candles are needed, received 0"),
        ({"close": [11.0] * 4}, r"`close` has 4 values, `timestamp` has 5"),
        ({"price": [1.0] * 5}, r"unknown arrays price; besides timestamp, open.*may have quote_volume"),
        (
            {"close": [11.0, None, 11.0, 11.0, 11.0]},
            r"`close` is no finite number in 1 candles, first at 2023",
        ),
        ({"close": [11.0, float("nan"), 11.0, 11.0, 11.0]}, r"`close` is no finite number"),
        ({"volume": [5.0, float("inf"), 5.0, 5.0, 5.0]}, r"`volume` is no finite number"),
        ({"low": [9.0, -9.0, 9.0, 9.0, 9.0]}, r"`low` is not above zero in 1 candles.*quote currency"),
        ({"open": [0.0] * 5}, r"`open` is not above zero in 5 candles"),
        ({"volume": [-1.0] * 5}, r"`volume` is negative in 5 candles"),
        ({"trades": [1.0, -1.0, None, None, None]}, r"`trades` is negative in 1 candles"),
        ({"open_interest": [float("-inf")] * 5}, r"`open_interest` is infinite.*null where unknown"),
        ({"high": [10.5] * 5}, r"`high` is below open or close in 5 candles"),
        ({"low": [10.5] * 5}, r"`low` is above open or close in 5 candles"),
        ({"timestamp": [None] * 5}, r"`timestamp` must hold whole milliseconds"),
        ({"timestamp": [1e300] * 5}, r"`timestamp` must hold whole milliseconds"),
        ({"timestamp": [T0 + 0.5] * 5}, r"`timestamp` must hold whole milliseconds"),
        (
            {"timestamp": [T0 // 1000] * 5},
            r"candle 0 opens at 1970-01-20T16:13:19Z, which is no opening time",
        ),
    ],
)
def test_each_fault_is_named_with_its_remedy(changes: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read(**changes)


def test_a_missing_column_is_named() -> None:
    found = candles()
    del found["low"], found["volume"]
    with pytest.raises(
        RequestError, match=r"`candles` lacks low, volume; send one array for each of timestamp"
    ):
        read_candles("BTCUSDT", found, NEEDS)
    with pytest.raises(RequestError, match=r"`candles` lacks timestamp"):
        read_candles("BTCUSDT", {}, NEEDS)


def test_unsorted_repeated_and_gapped_candles_are_told_apart() -> None:
    hour = tiny.BAR_MS
    with pytest.raises(RequestError, match=r"candles are unsorted: 2023-11-14T21:00:00Z follows .*23:00:00Z"):
        read(timestamp=[T0, T0 + hour, T0 - hour, T0 + 2 * hour, T0 + 3 * hour])
    with pytest.raises(RequestError, match=r"candles are repeated: 2023-11-14T23:00:00Z follows"):
        read(timestamp=[T0, T0 + hour, T0 + hour, T0 + 2 * hour, T0 + 3 * hour])
    with pytest.raises(RequestError, match=r"2 candles are missing after 2023-11-14T23:00:00Z"):
        read(timestamp=[T0, T0 + hour, T0 + 4 * hour, T0 + 5 * hour, T0 + 6 * hour])


def test_newest_first_is_refused() -> None:
    with pytest.raises(RequestError, match=r"unsorted.*oldest first"):
        read(timestamp=candles()["timestamp"][::-1])


_VALUES = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers(-(2**62), 2**62))


@given(
    st.dictionaries(
        st.sampled_from([*candles(), "funding_rate", "nonsense"]), st.lists(_VALUES, min_size=4, max_size=6)
    )
)
def test_no_numbers_whatever_raise_anything_but_a_request_error(
    changes: dict[str, list[float | None]],
) -> None:
    try:
        window = read_candles("BTCUSDT", {**candles(), **changes}, NEEDS)
    except RequestError:
        return
    assert len(window.timestamp) == 5
    assert all(np.isfinite(window.bars[name]).all() for name in ("open", "high", "low", "close", "volume"))
