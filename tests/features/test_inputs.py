import numpy as np
import pandas as pd
import pytest

from xrl.errors import DataError
from xrl.features.inputs import inputs


def bars(**changes):
    one = {"open": [10.0, 11.0], "high": [12.0, 12.0], "low": [9.0, 10.0], "close": [11.0, 10.5]}
    return {name: np.array(values) for name, values in {**one, "volume": [1.0, 2.0], **changes}.items()}


def test_prices_are_scaled_by_a_power_of_two(hours):
    x = inputs(bars(), hours(2))
    np.testing.assert_array_equal(x.close, [11 / 8, 10.5 / 8])


def test_caller_keeps_its_arrays(hours):
    mine = bars()
    inputs(mine, hours(2))
    np.testing.assert_array_equal(mine["close"], [11.0, 10.5])


def test_optional_columns_that_are_all_nan_count_as_absent(hours):
    x = inputs(bars(taker_buy_volume=[np.nan, np.nan]), hours(2))
    assert x.taker_buy_volume is None
    assert x.funding_rate is None


def test_a_frame_with_utc_times_is_read(hours):
    frame = pd.DataFrame(bars())
    x = inputs(frame, pd.Series(pd.DatetimeIndex(hours(2), tz="UTC")))
    np.testing.assert_array_equal(x.timestamp, hours(2))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"close": [11.0, -1.0], "low": [9.0, -2.0]}, "above 0"),
        ({"open": [np.nan, 11.0]}, "finite"),
        ({"high": [12.0, 10.4]}, "close <= high"),
        ({"low": [9.0, 10.9]}, "low <= open"),
        ({"volume": [1.0, -1.0]}, "not negative"),
        ({"volume": [1.0, np.nan]}, "volume is finite"),
    ],
)
def test_broken_bars_are_refused_by_rule(changes, rule, hours):
    with pytest.raises(DataError, match=rule):
        inputs(bars(**changes), hours(2))


def test_times_must_increase(hours):
    with pytest.raises(DataError, match=r"times increase.*1 of 2 bars"):
        inputs(bars(), hours(2)[::-1])


def test_a_missing_column_is_named(hours):
    partial = bars()
    del partial["volume"]
    with pytest.raises(DataError, match="`volume` is missing"):
        inputs(partial, hours(2))


def test_a_column_of_another_length_is_refused(hours):
    with pytest.raises(DataError, match="one value a bar"):
        inputs(bars(), hours(3))
