import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from xrl import columns
from xrl.errors import ConfigError, DataError
from xrl.labels import folds
from xrl.labels.holdout import Span

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


def test_purge_and_embargo_part_training_from_the_test_span(ten_hours):
    np.testing.assert_array_equal(np.flatnonzero(folds.purged_mask(ten_hours, fold())), [3, 4])
    np.testing.assert_array_equal(np.flatnonzero(folds.embargo_mask(ten_hours, fold())), [5, 6])


def test_cuts_come_from_training_bars_alone(ten_hours, label_params):
    fitted = folds.fit_cuts(ten_hours, [fold()], label_params(percentiles=(0.25, 0.75)))[0]
    assert (fitted.cut_low, fitted.cut_high) == (0.5, 1.5)  # quartiles of the scores 0, 1, 2


def test_the_volatility_floor_comes_from_training_bars_alone(ten_hours, label_params):
    ten_hours[columns.VOLATILITY] = np.arange(10.0)
    params = label_params(kind="adaptive_filtered", hold_below_percentile=0.5)
    assert folds.fit_cuts(ten_hours, [fold()], params)[0].volatility_floor == 1.0  # median of 0, 1, 2


def test_refit_reaches_through_the_last_matured_label(ten_hours, label_params):
    refit = folds.refit_span(ten_hours, label_params(percentiles=(0.25, 0.75)))
    assert refit.train_end == START + 10 * HOUR  # bar 7's label
    assert folds.train_mask(ten_hours, refit).sum() == 8
    assert (refit.cut_low, refit.cut_high) == (1.75, 5.25)


def test_the_refit_of_a_rolling_scheme_learns_from_its_last_days(label_params):
    """Ten days of hours, the last two not matured: four days before the last label's end."""
    time = pd.Series(pd.date_range(START, periods=240, freq="h", unit="ms"))
    labels = pd.DataFrame(
        {
            columns.TIMESTAMP: time,
            columns.SCORE: np.arange(240.0),
            columns.LABEL_END: (time + 3 * HOUR).where(np.arange(240) < 238),
            columns.HORIZON_END: (time + 3 * HOUR).where(np.arange(240) < 238),
        }
    )
    refit = folds.refit_span(labels, label_params(scheme="rolling", train_days=4))
    assert refit.train_end == START + 240 * HOUR
    assert refit.train_start == START + 144 * HOUR
    assert refit.cut_low == pytest.approx(144 + 0.33 * 93)  # bars 144 to 237
    assert folds.train_mask(labels, refit).sum() == 94


@pytest.mark.parametrize("held", [None, Span(START, START + 9 * HOUR, START - 2 * HOUR)])
def test_saved_folds_are_read_back_equal(tmp_path, ten_hours, label_params, held):
    fitted = folds.fit_cuts(ten_hours, [fold()], label_params())
    refit = folds.refit_span(ten_hours, label_params())
    folds.save(tmp_path / "folds.json", fitted, refit, held)
    assert folds.load(tmp_path / "folds.json") == (fitted, refit)
    assert folds.load_holdout(tmp_path / "folds.json") == held
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


def test_an_embargo_as_long_as_a_test_span_is_refused(label_params):
    """Of test spans of 30 bars nothing would be known when the next begins."""
    span = START, START + 100 * HOUR, HOUR
    with pytest.raises(ConfigError, match=r"`labels\.embargo_bars` must be below .* received 30 >= 30"):
        folds.walk_forward(*span, label_params(embargo_bars=30))
    first, second = folds.walk_forward(*span, label_params(embargo_bars=29))
    assert second.train_end == first.test_start + HOUR  # one bar of the fold before is known by then


def test_a_history_too_short_for_its_folds_says_so(label_params):
    with pytest.raises(ConfigError, match="too short for 2 folds"):
        folds.walk_forward(START, START + 20 * HOUR, HOUR, label_params())


def test_a_cadence_sets_the_length_of_every_test_span(label_params):
    """Thirty days, three folds of five days each: the first is tested from day 15 on."""
    params = label_params(folds=(0, 1, 2), cadence_days=5)
    laid = folds.walk_forward(START, START + 720 * HOUR, HOUR, params)
    assert [(one.test_start - START).days for one in laid] == [15, 20, 25]
    assert laid[-1].test_end == START + 720 * HOUR
    assert {one.test_end - one.test_start for one in laid} == {pd.Timedelta(days=5)}


def test_a_rolling_scheme_trains_on_the_last_days_before_each_test_span(label_params):
    params = label_params(scheme="rolling", train_days=10, cadence_days=5, folds=(0, 1, 2))
    laid = folds.walk_forward(START, START + 720 * HOUR, HOUR, params)
    assert [one.train_end - one.train_start for one in laid] == [pd.Timedelta(days=10)] * 3
    assert all(one.train_end == one.test_start - 2 * HOUR for one in laid)


def test_rolling_folds_want_a_history_as_long_as_their_training(label_params):
    params = label_params(scheme="rolling", train_days=20, cadence_days=5, folds=(0, 1, 2))
    with pytest.raises(ConfigError, match=r"labels\.train_days.*2024-12-26"):
        folds.walk_forward(START, START + 720 * HOUR, HOUR, params)


def test_cadences_longer_than_the_history_are_refused(label_params):
    with pytest.raises(ConfigError, match="too short for 2 folds"):
        folds.walk_forward(START, START + 720 * HOUR, HOUR, label_params(cadence_days=15))


def test_a_scheme_and_its_span_belong_together(label_params):
    with pytest.raises(ValidationError, match="train_days"):
        label_params(scheme="rolling")
    with pytest.raises(ValidationError, match="train_days"):
        label_params(train_days=30)


def test_the_holdout_is_cut_off_before_folds_are_laid(label_params):
    whole = folds.walk_forward(START, START + 480 * HOUR, HOUR, label_params())
    less = folds.walk_forward(START, START + 480 * HOUR + 240 * HOUR, HOUR, label_params(holdout_days=10))
    assert less == whole
