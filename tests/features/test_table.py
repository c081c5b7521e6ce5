from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xrl import columns
from xrl.config import ContextParams, FeatureParams
from xrl.errors import DataError
from xrl.features import table
from xrl.features.context import Context, Peer
from xrl.serve import sources

NAMES = table.names()


def arrays(bars: pd.DataFrame) -> dict[str, np.ndarray]:
    return {name: bars[name].to_numpy(np.float64) for name in bars if name in columns.BAR[1:]}


def times(bars: pd.DataFrame) -> np.ndarray:
    return bars["timestamp"].to_numpy(dtype="datetime64[ms]")


class Market(NamedTuple):
    """One symbol's bars, and the closes of those it is seen among."""

    bars: pd.DataFrame
    among: Context
    params: FeatureParams

    def built(self, rows: slice, peer_rows: slice | None = None) -> np.ndarray:
        """Features of some rows alone, the others' closes likewise cut."""
        part = self.bars.iloc[rows]
        cut = rows if peer_rows is None else peer_rows
        peers = {name: Peer(peer.timestamp[cut], peer.close[cut]) for name, peer in self.among.peers.items()}
        return table.build(arrays(part), times(part), self.params, Context(self.among.symbol, peers))


@pytest.fixture(scope="module", params=["planted", "real"])
def market(request, params) -> Market:
    """With a lead and a market: ETHUSDT leads the planted BTCUSDT, BTCUSDT the real SOLUSDT."""
    planted = request.param == "planted"
    symbol, lead = ("BTCUSDT", "ETHUSDT") if planted else ("SOLUSDT", "BTCUSDT")
    peers = request.getfixturevalue("peers" if planted else "real_peers")
    context = ContextParams(lead=lead, market=(symbol, *peers))
    bars = request.getfixturevalue(request.param)
    return Market(bars, Context(symbol, peers), params.model_copy(update={"context": context}))


@pytest.fixture(scope="module")
def full(market) -> np.ndarray:
    return market.built(slice(None))


def test_every_feature_is_the_same_to_the_bit_when_later_bars_are_cut_off(market, full):
    for cut in (1, 2, 7, 30, 61, 97, 350, 1001, 1733):
        found = market.built(slice(0, cut))
        for j, name in enumerate(NAMES):
            assert found[:, j].tobytes() == full[:cut, j].tobytes(), f"{name} at {cut} bars sees later bars"


def test_later_bars_of_other_symbols_change_no_bit(market, full):
    found = market.built(slice(0, 1001), slice(None))
    assert found.tobytes() == full[:1001].tobytes()


def test_a_window_of_required_bars_equals_the_full_history(market, full):
    """The other symbols' closes as a request brings them: 120 bars."""
    needed, window = table.required_bars(60), 60
    others = sources.others(NAMES, window, market.params.context)
    assert others.bars == 120 and set(market.among.peers) <= set(others.symbols)
    deviation = np.nanstd(full, axis=0)
    deviation[deviation == 0] = 1.0
    for end in np.random.default_rng(0).integers(needed, len(market.bars), 60):
        found = market.built(slice(end - needed, end), slice(end - others.bars, end))[-window:]
        error = np.abs(found - full[end - window : end]).max(axis=0) / deviation
        worst = int(error.argmax())
        assert error[worst] <= 1e-9, f"{NAMES[worst]} differs by {error[worst]} deviations at {end}"


def test_warm_up_is_nan_as_declared_and_nothing_later_is(full):
    for j, feature in enumerate(table.FEATURES):
        known = np.isfinite(full[:, j])
        assert not known[: feature.warmup].any(), feature.name
        assert known[feature.warmup :].all(), feature.name


def test_no_feature_is_an_absolute_price_or_amount(market, full):
    """Another currency and another lot size: every column stays.

    Powers of two, because a tie on the tick grid (ADX: up move equal to down move) may turn on a rounding.
    """
    bars = market.bars
    other = bars.assign(**{name: bars[name] * 128.0 for name in ("open", "high", "low", "close")})
    for name in ("volume", "taker_buy_volume", "open_interest"):
        if name in bars:
            other[name] = bars[name] / 64.0
    peers = {name: Peer(peer.timestamp, peer.close / 32.0) for name, peer in market.among.peers.items()}
    found = market._replace(bars=other, among=Context(market.among.symbol, peers)).built(slice(None))
    deviation = np.nanstd(full, axis=0) + 1e-9
    changed = (np.abs(found - full)[100:] > 1e-9 * deviation).mean(axis=0)
    assert changed.max() == 0, NAMES[int(changed.argmax())]


def test_a_frame_and_arrays_give_the_same_bits(market, full):
    found = table.build(market.bars, market.bars["timestamp"], market.params, market.among)
    assert found.tobytes() == full.tobytes()


def test_every_column_of_the_matrix_is_contiguous(full):
    assert full.flags.f_contiguous
    assert full.dtype == np.float64


def test_required_bars_of_sixty():
    """The window of 60, 15 closed days, and up to 23 hours of the day that has not closed."""
    assert table.required_bars(60) == 59 + 15 * 24 + 23


def test_the_observation_finds_its_columns_in_group_policy():
    assert set(table.names("policy")) == {*columns.MARKET_STATE, *columns.REGIME_STATE}


def test_experts_read_what_they_are_named_after():
    pattern, indicator = set(table.names("pattern")), set(table.names("indicator"))
    assert {"engulfing", "fractal", "star", "doji", "hammer", "three_inside"} <= pattern - indicator
    assert {"rsi", "mfi", "volume_ratio", "funding_z", "taker_imbalance"} <= indicator - pattern
    assert {"hour_sin", "week_cos", "return_12"} <= pattern & indicator


def test_there_are_ninety_columns_and_twenty_candlestick_patterns():
    assert len(NAMES) >= 90
    shapes = [
        f for f in table.FEATURES if f.groups == {"pattern"} and f.unit in ("-1, 0, 1", "0 or 1", "-1..0")
    ]
    assert len(shapes) >= 20


def test_names_are_unique_and_groups_known():
    assert len(set(NAMES)) == len(NAMES)
    with pytest.raises(DataError, match="no feature group `x`"):
        table.names("x")


def test_schema_hash_tells_order_and_columns_apart():
    a, b = table.schema_hash(["rsi", "cci"]), table.schema_hash(["cci", "rsi"])
    assert len(a) == 64 and a != b
    assert a == table.schema_hash(("rsi", "cci"))
    with pytest.raises(DataError, match="no feature `nope`"):
        table.schema_hash(["nope"])


def test_no_bars_give_an_empty_matrix(params):
    empty = {name: np.empty(0) for name in columns.OHLCV}
    assert table.build(empty, np.empty(0, "datetime64[ms]"), params).shape == (0, len(NAMES))


@st.composite
def garbage(draw):
    """Bars as bad as the contract allows: dead prices, no volume, missing hours, holes in the optional."""
    count = draw(st.integers(1, 130))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([1e-8, 1.0, 1e6]))
    jump = draw(st.sampled_from([0.0, 1e-4, 0.5]))
    moves = rng.normal(0, jump, (4, count)) * (rng.random((4, count)) < draw(st.sampled_from([0.05, 1.0])))
    walk = scale * np.exp(np.cumsum(moves[0] / 10))
    corners = np.sort(walk * np.exp(moves), axis=0)
    holes = rng.random((3, count)) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    volume = rng.exponential(1.0, count) * (rng.random(count) < draw(st.sampled_from([0.0, 0.5, 1.0])))
    hours = np.sort(rng.choice(count * draw(st.sampled_from([1, 2, 30])), count, replace=False))
    return {
        "hours": hours,
        "open": corners[1],
        "high": corners[3],
        "low": corners[0],
        "close": corners[2],
        "volume": volume,
        "taker_buy_volume": np.where(holes[0], np.nan, volume * rng.random(count) * 1.2),
        "funding_rate": np.where(holes[1], np.nan, rng.normal(0, 1e-3, count)),
        "open_interest": np.where(holes[2], np.nan, rng.exponential(1.0, count)),
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bars=garbage())
def test_garbage_is_finite_after_warm_up_and_bounded_where_bounds_are_declared(bars, params):
    time = np.datetime64("2025-01-01T05", "ms") + bars["hours"] * np.timedelta64(1, "h")
    other = Peer(time[::2], bars["open"][::2])  # every other bar of another symbol is missing
    context = ContextParams(lead="BTCUSDT", market=("BTCUSDT", "ETHUSDT"))
    among = Context("ETHUSDT", {"BTCUSDT": other})
    matrix = table.build(bars, time, params.model_copy(update={"context": context}), among)
    for j, feature in enumerate(table.FEATURES):
        column = matrix[feature.warmup :, j]
        assert np.isfinite(column).all(), feature.name
        bounds = {
            "0..1": (0, 1),
            "-1..1": (-1, 1),
            "0..100": (0, 100),
            "-100..0": (-100, 0),
            "0 or 1": (0, 1),
            "-1, 0, 1": (-1, 1),
            "-1..0": (-1, 0),
            "0..1, 1 first": (0, 1),
            "0..1 of the period": (0, 1),
        }
        if feature.unit in bounds and len(column):
            low, high = bounds[feature.unit]
            assert column.min() >= low - 1e-9 and column.max() <= high + 1e-9, feature.name


@settings(max_examples=60, deadline=None)
@given(
    bars=garbage(),
    column=st.sampled_from(columns.OHLCV),
    bad=st.sampled_from([np.nan, np.inf, -np.inf, -1.0]),
    at=st.integers(0, 10**6),
)
def test_one_impossible_number_is_refused_with_rule_count_and_time(bars, column, bad, at, params):
    time = np.datetime64("2025-01-01", "ms") + np.arange(len(bars["close"])) * np.timedelta64(1, "h")
    at %= len(time)
    spoiled = {**bars, column: np.where(np.arange(len(time)) == at, bad, bars[column])}
    with pytest.raises(DataError, match=rf"break the rule .* in 1 of {len(time)} bars, first at {time[at]}"):
        table.build(spoiled, time, params)


@settings(max_examples=60, deadline=None)
@given(
    bars=garbage().filter(lambda found: len(found["close"]) > 1),
    at=st.integers(0, 10**6),
    back=st.integers(0, 99),
)
def test_a_repeated_or_unsorted_bar_is_refused_by_its_time(bars, at, back, params):
    time = np.datetime64("2025-01-01", "ms") + np.arange(len(bars["close"])) * np.timedelta64(1, "h")
    at = 1 + at % (len(time) - 1)
    time[at] = time[at - 1 - back % at]
    with pytest.raises(DataError, match=f"'times increase' .* first at {time[at]}"):
        table.build(bars, time, params)


@given(bars=garbage(), minutes=st.integers(1, 59))
@settings(max_examples=20, deadline=None)
def test_bars_off_the_hour_are_refused(bars, minutes, params):
    """A bar of another length would close a longer bar too early."""
    time = np.datetime64("2025-01-01", "ms") + np.arange(len(bars["close"])) * np.timedelta64(1, "h")
    with pytest.raises(DataError, match="open on the hour"):
        table.build(bars, time + np.timedelta64(minutes, "m"), params)


def test_one_bar_is_built_and_what_needs_more_is_unknown(planted, params):
    matrix = table.build(planted.head(1), planted.head(1)["timestamp"], params)
    for j, feature in enumerate(table.FEATURES):
        assert np.isnan(matrix[0, j]) == (feature.warmup > 0), feature.name


def test_the_declared_columns_are_those_that_are_built(params):
    wide = params.model_copy(update={"volume_window": 50})
    features = table.declared(wide)
    assert table.names(None, features) == NAMES
    assert table.feature("volume_ratio", features).warmup == 49
    assert table.schema_hash(["volume_ratio"], features) != table.schema_hash(["volume_ratio"])


def test_another_volume_window_has_the_warm_up_it_declares(planted, params):
    wide = params.model_copy(update={"volume_window": 50})
    matrix = table.build(planted.head(300), planted.head(300)["timestamp"], wide)
    for j, feature in enumerate(table.declared(wide)):
        known = np.isfinite(matrix[:, j])
        assert not known[: feature.warmup].any() and known[feature.warmup :].all(), feature.name
