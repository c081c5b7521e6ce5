"""Every bar is followed by other bars once, and what a column knew of those that came shows at that bar."""

import numpy as np
import pandas as pd
import pytest

from xrl.features import futures
from xrl.features.futures import BLOCK, FUTURES, Asked, followed, seen
from xrl.features.inputs import inputs

COUNT = 400
TIME = pd.date_range("2025-01-01", periods=COUNT, freq="h")


def history(seed):
    """A walk with volume; funding is known every eighth hour."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, COUNT)))
    open_ = close * np.exp(rng.normal(0, 0.003, COUNT))
    prices = {
        "open": open_,
        "high": np.maximum(open_, close) * 1.002,
        "low": np.minimum(open_, close) * 0.998,
    }
    funding = np.where(np.arange(COUNT) % 8 == 0, rng.normal(0, 1e-4, COUNT), np.nan)
    return prices | {"close": close, "volume": rng.exponential(10, COUNT), "funding_rate": funding}


def asked(function, bars, window=3, first=0):
    def column(bars, first, end):
        return function({name: values[first:end] for name, values in bars.items()})

    return Asked(column, bars, window, first, 1.0)


def ahead(values, k):
    return np.append(values[k:], np.full(k, np.nan))


#: What a column may know of the bar k later.
PEEKS = {
    "close": lambda bars, k: ahead(bars["close"], k) / bars["close"],
    "rise": lambda bars, k: ahead(np.append(np.nan, np.diff(bars["close"]) > 0), k),
    "body": lambda bars, k: ahead(bars["close"] > bars["open"], k),
    "range": lambda bars, k: ahead((bars["high"] - bars["low"]) / bars["close"] < 1e-3, k),
    "volume": lambda bars, k: ahead(bars["volume"] > 10, k),
    "known": lambda bars, k: ahead(np.isfinite(bars["funding_rate"]), k),
    "funding": lambda bars, k: pd.Series(bars["funding_rate"]).bfill().to_numpy(),
}


@pytest.mark.parametrize("first", [0, 17])
@pytest.mark.parametrize("room", [3, 6])
def test_every_bar_but_the_last_is_judged_once_for_each_future_with_its_room_behind_it(first, room):
    bars = history(0)
    judged = []
    for tried in asked(lambda bars: bars["close"], bars, first=first).evaluations(room):
        changed = tried.bars["close"] != bars["close"]
        for row in tried.judged:
            assert not changed[max(row + 1 - room, first) : row + 1].any()
            assert changed[row + 1 : row + 1 + BLOCK].all()
        judged.extend(tried.judged.tolist())
    assert sorted(judged) == sorted(list(range(first + 2, COUNT - 1)) * len(FUTURES))


@pytest.mark.parametrize("future", FUTURES)
def test_other_bars_are_bars_and_tell_nothing_of_those_that_came(future):
    bars, others = history(0), history(1)
    for name in bars:
        others[name][:50] = bars[name][:50]
        others[name][50 + BLOCK :] = bars[name][50 + BLOCK :]
    others["volume"] *= bars["volume"].mean() / others["volume"].mean()
    found, again = (followed(one, np.array([50]), future) for one in (bars, others))
    inputs(found, TIME)  # high and low enclose it, volume is not negative
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_allclose(found[name][50 : 50 + BLOCK], again[name][50 : 50 + BLOCK])
        np.testing.assert_array_equal(found[name][:50], bars[name][:50])
    assert (np.isnan(found["funding_rate"][50 : 50 + BLOCK]) == future.unknown).all()


def test_two_bars_by_hand():
    bars = dict.fromkeys(("open", "high", "low", "close"), np.array([8.0, 8.0, 8.0])) | {
        "volume": np.array([1.0, 2.0, 3.0]),
        "open_interest": np.full(3, np.nan),
    }
    found = followed(bars, np.array([1]), FUTURES[0])
    np.testing.assert_allclose(found["close"], [8.0, 12.0, 4.8])
    np.testing.assert_allclose(found["open"], [8.0, 10.8, 5.28])
    np.testing.assert_allclose(found["high"], [8.0, 12.6, 5.52])
    np.testing.assert_allclose(found["low"], [8.0, 10.2, 4.56])
    np.testing.assert_allclose(found["volume"], [1.0, 32.0, 0.125])
    assert np.isnan(found["open_interest"]).all()
    assert bars["close"].tolist() == [8.0, 8.0, 8.0]


@pytest.mark.parametrize("name", PEEKS)
def test_a_peek_on_one_bar_alone_is_found_on_that_bar(name):
    """Whatever it is told of the next five bars, on whichever bar: thirty times, each at another."""
    for seed in range(30):
        bars, k = history(seed), 1 + seed % 5
        rng = np.random.default_rng(seed)
        row = int(rng.integers(3, COUNT - 10))
        told = bars["close"][row]

        def column(bars, told=told, k=k):
            return np.where(bars["close"] == told, 7.0 + PEEKS[name](bars, k), bars["close"])

        move = seen(asked(column, bars))
        if name == "funding" and np.isfinite(bars["funding_rate"][row]):
            assert move is None  # nothing to fill
        else:
            assert move is not None and move.row == row and move.by > 0


@pytest.mark.parametrize("seed", range(5))
def test_what_a_column_may_know_moves_nowhere(seed):
    def column(bars):
        close = pd.Series(bars["close"])
        return (close / close.rolling(20, min_periods=1).mean() + close.diff().fillna(0) ** 2).to_numpy()

    assert seen(asked(column, history(seed), window=20)) is None


@pytest.mark.parametrize("seed", range(3))
def test_an_average_that_never_quite_forgets_is_no_peek_and_one_that_peeks_besides_is(seed):
    """Two bars of a span of 20 weigh 1e-3 after a window of 66, however often they were replaced."""

    def honest(bars):
        return pd.Series(bars["volume"]).ewm(span=20).mean().to_numpy()

    def peek(bars):
        return honest(bars) + np.where(bars["close"] == told, np.append(np.diff(bars["close"]), 0.0), 0.0)

    bars = history(seed)
    told = bars["close"][300]
    assert seen(asked(honest, bars, window=66)) is None
    move = seen(asked(peek, bars, window=66))
    assert move is not None and move.row == 300


def test_unknown_on_one_side_is_infinitely_far_apart():
    one, other = np.array([1.0, np.nan, np.nan, 3.0]), np.array([1.0, np.nan, 2.0, 4.0])
    assert futures.apart(one, other, 2.0).tolist() == [0.0, 0.0, np.inf, 0.5]
