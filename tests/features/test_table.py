import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xrl import columns
from xrl.errors import DataError
from xrl.features import table

NAMES = table.names()


def arrays(bars: pd.DataFrame) -> dict[str, np.ndarray]:
    return {name: bars[name].to_numpy(np.float64) for name in bars if name in columns.BAR[1:]}


def times(bars: pd.DataFrame) -> np.ndarray:
    return bars["timestamp"].to_numpy(dtype="datetime64[ms]")


@pytest.fixture(scope="module", params=["planted", "real"])
def market(request) -> pd.DataFrame:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def full(market, params) -> np.ndarray:
    return table.build(arrays(market), times(market), params)


def test_every_feature_is_the_same_to_the_bit_when_later_bars_are_cut_off(market, full, params):
    for cut in (1, 2, 7, 30, 61, 97, 350, 1001, 1733):
        head = market.head(cut)
        found = table.build(arrays(head), times(head), params)
        for j, name in enumerate(NAMES):
            assert found[:, j].tobytes() == full[:cut, j].tobytes(), f"{name} at {cut} bars sees later bars"


def test_a_window_of_required_bars_equals_the_full_history(market, full, params):
    needed, window = table.required_bars(60), 60
    deviation = np.nanstd(full, axis=0)
    deviation[deviation == 0] = 1.0
    for end in np.random.default_rng(0).integers(needed, len(market), 60):
        part = market.iloc[end - needed : end]
        found = table.build(arrays(part), times(part), params)[-window:]
        error = np.abs(found - full[end - window : end]).max(axis=0) / deviation
        worst = int(error.argmax())
        assert error[worst] <= 1e-9, f"{NAMES[worst]} differs by {error[worst]} deviations at {end}"


def test_warm_up_is_nan_as_declared_and_nothing_later_is(full):
    for j, feature in enumerate(table.FEATURES):
        known = np.isfinite(full[:, j])
        assert not known[: feature.warmup].any(), feature.name
        assert known[feature.warmup :].all(), feature.name


def test_no_feature_is_an_absolute_price_or_amount(market, full, params):
    """Another currency and another lot size: every column stays.

    Powers of two, because a tie on the tick grid (ADX: up move equal to down move) may turn on a rounding.
    """
    other = market.assign(**{name: market[name] * 128.0 for name in ("open", "high", "low", "close")})
    for name in ("volume", "taker_buy_volume", "open_interest"):
        if name in market:
            other[name] = market[name] / 64.0
    found = table.build(arrays(other), times(other), params)
    deviation = np.nanstd(full, axis=0) + 1e-9
    changed = (np.abs(found - full)[100:] > 1e-9 * deviation).mean(axis=0)
    assert changed.max() == 0, NAMES[int(changed.argmax())]


def test_a_frame_and_arrays_give_the_same_bits(market, full, params):
    found = table.build(market, market["timestamp"], params)
    assert found.tobytes() == full.tobytes()


def test_the_matrix_is_in_row_order_for_gathering_windows(full):
    assert full.flags.c_contiguous
    assert full.dtype == np.float64


def test_required_bars_of_sixty():
    """The window of 60, 15 closed days, and up to 23 hours of the day that has not closed."""
    assert table.required_bars(60) == 59 + 15 * 24 + 23


def test_the_observation_finds_its_columns_in_group_policy():
    assert set(table.names("policy")) == {*columns.MARKET_STATE, *columns.REGIME_STATE}


def test_experts_read_what_they_are_named_after():
    pattern, indicator = set(table.names("pattern")), set(table.names("indicator"))
    assert {"engulfing", "fractal", "star", "doji"} <= pattern - indicator
    assert {"rsi", "mfi", "volume_ratio", "funding_z", "taker_imbalance"} <= indicator - pattern
    assert {"hour_sin", "week_cos", "return_12"} <= pattern & indicator


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
    """Bars as bad as the contract allows: dead prices, no volume, holes in what is optional."""
    count = draw(st.integers(1, 130))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([1e-8, 1.0, 1e6]))
    jump = draw(st.sampled_from([0.0, 1e-4, 0.5]))
    moves = rng.normal(0, jump, (4, count)) * (rng.random((4, count)) < draw(st.sampled_from([0.05, 1.0])))
    walk = scale * np.exp(np.cumsum(moves[0] / 10))
    corners = np.sort(walk * np.exp(moves), axis=0)
    holes = rng.random((3, count)) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    volume = rng.exponential(1.0, count) * (rng.random(count) < draw(st.sampled_from([0.0, 0.5, 1.0])))
    return {
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
    time = np.datetime64("2025-01-01", "ms") + np.arange(len(bars["close"])) * np.timedelta64(1, "h")
    matrix = table.build(bars, time, params)
    for j, feature in enumerate(table.FEATURES):
        column = matrix[feature.warmup :, j]
        assert np.isfinite(column).all(), feature.name
        bounds = {
            "0..1": (0, 1),
            "-1..1": (-1, 1),
            "0..100": (0, 100),
            "-100..0": (-100, 0),
            "0 or 1": (0, 1),
        }
        if feature.unit in bounds and len(column):
            low, high = bounds[feature.unit]
            assert column.min() >= low - 1e-9 and column.max() <= high + 1e-9, feature.name
