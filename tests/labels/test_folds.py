import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrl import columns
from xrl.config import LabelParams
from xrl.errors import ConfigError, DataError
from xrl.labels import folds

START = pd.Timestamp("2025-01-01", tz="UTC")
HOUR = pd.Timedelta(hours=1)


def test_spans_of_a_hundred_hours(label_params):
    laid = folds.walk_forward(START, START + 100 * HOUR, HOUR, label_params())
    first, second = laid
    assert first.train_start == second.train_start == START
    assert first.train_end == START + 38 * HOUR  # two bars of embargo before the test span
    assert (first.test_start, first.test_end) == (START + 40 * HOUR, START + 70 * HOUR)
    assert second.train_end == START + 68 * HOUR
    assert (second.test_start, second.test_end) == (START + 70 * HOUR, START + 100 * HOUR)


def fold(**changes):
    base = {"index": 0, "train_start": START, "train_end": START + 5 * HOUR}
    spans = {"test_start": START + 7 * HOUR, "test_end": START + 9 * HOUR}
    return folds.Fold(**{**base, **spans, **changes})


def test_a_bar_trains_only_if_its_label_is_known_by_the_end_of_training(ten_hours):
    """Labels end three hours after the open: those of bars 0, 1 and 2 end by 05:00; bar 3's is purged."""
    np.testing.assert_array_equal(np.flatnonzero(folds.train_mask(ten_hours, fold())), [0, 1, 2])


def test_a_bar_without_a_score_does_not_train(ten_hours):
    ten_hours.loc[1, columns.SCORE] = np.nan
    np.testing.assert_array_equal(np.flatnonzero(folds.train_mask(ten_hours, fold())), [0, 2])


def test_test_bars_are_those_of_the_span_matured_or_not(ten_hours):
    np.testing.assert_array_equal(np.flatnonzero(folds.test_mask(ten_hours, fold())), [7, 8])


def test_cuts_come_from_training_bars_alone(ten_hours):
    fitted = folds.fit_cuts(ten_hours, [fold()], (0.25, 0.75))[0]
    assert (fitted.cut_low, fitted.cut_high) == (0.5, 1.5)  # quartiles of the scores 0, 1, 2


def test_refit_reaches_through_the_last_matured_label(ten_hours):
    refit = folds.refit_span(ten_hours, (0.25, 0.75))
    assert refit.train_end == START + 10 * HOUR  # bar 7's label
    assert folds.train_mask(ten_hours, refit).sum() == 8
    assert (refit.cut_low, refit.cut_high) == (1.75, 5.25)


def test_saved_folds_are_read_back_equal(tmp_path, ten_hours):
    fitted = folds.fit_cuts(ten_hours, [fold()], (0.25, 0.75))
    refit = folds.refit_span(ten_hours, (0.25, 0.75))
    folds.save(tmp_path / "folds.json", fitted, refit)
    assert folds.load(tmp_path / "folds.json") == (fitted, refit)
    assert '"2025-01-01T00:00:00+00:00"' in (tmp_path / "folds.json").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["folds.json"]


@pytest.mark.parametrize("text", [None, "{", "{}", '{"folds": [{"index": 0}], "refit": {}}'])
def test_unreadable_folds_say_which_command_writes_them(tmp_path, text):
    path = tmp_path / "folds.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match="run `xrl labels`"):
        folds.load(path)


def test_an_embargo_shorter_than_the_horizon_is_refused(label_params):
    with pytest.raises(ConfigError, match="1 < 2"):
        folds.walk_forward(START, START + 100 * HOUR, HOUR, label_params(embargo_bars=1))


def test_a_history_too_short_for_its_folds_says_so(label_params):
    with pytest.raises(ConfigError, match="too short for 2 folds"):
        folds.walk_forward(START, START + 20 * HOUR, HOUR, label_params())


@settings(max_examples=60, deadline=None)
@given(
    bars=st.integers(400, 3000),
    count=st.integers(2, 6),
    horizon=st.integers(1, 20),
    extra=st.integers(0, 20),
    share=st.floats(0.3, 0.7),
)
def test_no_training_label_reaches_into_a_test_span_and_every_later_bar_is_tested_once(
    bars, count, horizon, extra, share
):
    params = LabelParams(
        horizon_bars=horizon,
        volatility_window=20,
        percentiles=(0.33, 0.67),
        folds=tuple(range(count)),
        first_train_share=share,
        embargo_bars=horizon + extra,
        max_hold_share=0.8,
    )
    time = pd.Series(pd.date_range(START, periods=bars, freq="h", unit="ms"))
    known = np.arange(bars) < bars - horizon
    labels = pd.DataFrame(
        {
            columns.TIMESTAMP: time,
            columns.LABEL_END: (time + (horizon + 1) * HOUR).where(known),
            columns.SCORE: np.where(known, 1.0, np.nan),
        }
    )
    laid = folds.walk_forward(START, START + bars * HOUR, HOUR, params)
    tested = np.zeros(bars, dtype=int)
    for one in laid:
        train, test = folds.train_mask(labels, one), folds.test_mask(labels, one)
        assert train.any() and test.any()
        assert labels[columns.LABEL_END][train].max() + (horizon + extra) * HOUR <= one.test_start
        assert not (train & test).any()
        tested += test
    first = int((laid[0].test_start - START) / HOUR)
    assert (tested[:first] == 0).all() and (tested[first:] == 1).all()
    assert laid[-1].test_end == START + bars * HOUR
