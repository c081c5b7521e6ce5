"""Longer bars: known when closed, cut at UTC, the same whatever came before."""

import numpy as np
import pandas as pd
import pytest

from xrl.features.inputs import inputs
from xrl.features.timeframes import FEATURES, FRAMES, timeframes


def walk(count, seed=0):
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    open_ = np.concatenate([[100.0], close[:-1]])
    return {
        "open": open_,
        "high": np.maximum(open_, close) * 1.002,
        "low": np.minimum(open_, close) * 0.998,
        "close": close,
        "volume": rng.exponential(1.0, count),
    }


def built(bars, time):
    return timeframes(inputs(bars, time))


def resampled(bars, time, hours, now):
    """The frame's bars that have closed by the close of bar `now`, by pandas."""
    frame = pd.DataFrame(bars, index=pd.DatetimeIndex(time, tz="UTC")).iloc[: now + 1]
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    longer = frame.resample(f"{hours}h").agg(how)
    ends = longer.index + pd.Timedelta(hours=hours)
    whole = longer.index >= frame.index[0]
    return longer[(ends <= frame.index[-1] + pd.Timedelta(hours=1)) & whole]


@pytest.mark.parametrize(("frame", "hours"), FRAMES)
@pytest.mark.parametrize("now", [399, 400, 401, 402, 411, 423])
def test_columns_are_those_of_the_bars_that_have_closed(frame, hours, now):
    bars = walk(430)
    time = np.datetime64("2025-01-06T07", "ms") + np.arange(430) * np.timedelta64(1, "h")
    closed = resampled(bars, time, hours, now).tail(15)
    last, change = closed.iloc[-1], closed["close"].diff()
    returns = np.log(closed["close"]).diff().dropna()
    volatility = np.sqrt((returns**2).mean())
    before = closed["close"].shift(1)
    ranges = (np.maximum(closed["high"], before) - np.minimum(closed["low"], before)).dropna()
    recent = closed.tail(14)
    hourly = bars["close"][now]
    expected = {
        "return_1": returns.iloc[-1] / volatility,
        "return_5": returns.tail(5).sum() / (volatility * np.sqrt(5)),
        "body_ratio": (last["close"] - last["open"]) / (last["high"] - last["low"]),
        "rsi": 100 * change.clip(lower=0).sum() / change.abs().sum(),
        "range_position": (hourly - recent["low"].min()) / (recent["high"].max() - recent["low"].min()),
        "sma_distance": (hourly - recent["close"].mean()) / ranges.mean(),
        "volume_ratio": last["volume"] / recent["volume"].mean(),
    }
    found = built(bars, time)
    for name, value in expected.items():
        assert found[f"{frame}_{name}"][now] == pytest.approx(value, rel=1e-9), name


def test_a_bar_that_has_not_closed_says_nothing():
    """The price doubles within a day that is still open: no column of closed days moves."""
    time = np.datetime64("2025-01-06", "ms") + np.arange(24 * 20) * np.timedelta64(1, "h")
    calm, jump = walk(24 * 20), walk(24 * 20)
    for name in ("open", "high", "low", "close"):
        jump[name][24 * 19 + 1 :] *= 2.0
    a, b = built(calm, time), built(jump, time)
    before_midnight = slice(0, 24 * 20 - 1)
    for name in ("return_1", "return_5", "body_ratio", "rsi", "volume_ratio"):
        np.testing.assert_array_equal(a[f"d1_{name}"][before_midnight], b[f"d1_{name}"][before_midnight])
        if name in ("return_1", "rsi"):
            assert a[f"d1_{name}"][-1] != b[f"d1_{name}"][-1]  # the last hour closes the day


def test_the_first_day_counts_only_if_it_is_whole():
    """From 07:00 on, the first whole day ends 41 hours later; warm-up is masked up to the worst case."""
    bars = walk(200)
    late = np.datetime64("2025-01-06T07", "ms") + np.arange(200) * np.timedelta64(1, "h")
    found = built(bars, late)["d1_return_1"]
    assert np.isnan(found[:70]).all() and np.isfinite(found[70:]).all()


def test_missing_hours_close_a_bar_at_the_next_one(hours):
    """The day's last hours are missing: it is known closed when the next day's first hour has closed."""
    time = hours(24 * 6)
    kept = np.ones(len(time), dtype=bool)
    kept[24 * 4 + 20 : 24 * 5] = False
    bars = {name: values[kept] for name, values in walk(len(time)).items()}
    found = built(bars, time[kept])["d1_body_ratio"]
    last_hour_there_is = 24 * 4 + 19
    assert found[last_hour_there_is] == found[last_hour_there_is - 1]
    assert found[last_hour_there_is + 1] != found[last_hour_there_is]


def test_a_market_that_stands_still_is_neutral(hours):
    still = np.full(24 * 20, 0.1)
    bars = {"open": still, "high": still, "low": still, "close": still, "volume": 0 * still}
    found = {name: values[-1] for name, values in built(bars, hours(len(still))).items()}
    neutral = {"rsi": 50.0, "range_position": 0.5, "volume_ratio": 1.0}
    for name, value in found.items():
        assert value == neutral.get(name.partition("_")[2], 0.0), name


@pytest.mark.parametrize("start", [1, 5, 23, 24, 100])
def test_what_came_before_the_window_changes_no_bit(start, hours):
    bars, time = walk(900), hours(900)
    whole = built(bars, time)
    part = built({name: values[start:] for name, values in bars.items()}, time[start:])
    for feature in FEATURES:
        settled = feature.window - 1
        scaled = part[feature.name][
            settled:
        ]  # another power of two scales the prices: no bit of a ratio moves
        np.testing.assert_allclose(scaled, whole[feature.name][start + settled :], rtol=1e-12, atol=1e-12)
