import numpy as np
import pandas as pd

from xrl import columns
from xrl.labels import folds
from xrl.labels.holdout import Span, development_end, holdout_span, sealed

START = pd.Timestamp("2025-01-01", tz="UTC")
HOUR = pd.Timedelta(hours=1)


def test_the_last_days_are_held_out_with_an_embargo_before_them(label_params):
    held = holdout_span(START + 240 * HOUR, HOUR, label_params(holdout_days=3))
    assert held == Span(START + 168 * HOUR, START + 240 * HOUR, START + 166 * HOUR)


def test_no_days_no_holdout(label_params, ten_hours):
    assert holdout_span(START, HOUR, label_params()) is None
    assert development_end(START, label_params()) == START
    pd.testing.assert_frame_equal(sealed(ten_hours, None), ten_hours)


def test_a_label_that_has_seen_the_holdout_is_unknown(ten_hours):
    """Labels end three hours after the open: the holdout's first bar, 6, is seen by those of bars 4 and 5."""
    before = ten_hours.copy()
    found = sealed(ten_hours, Span(START + 6 * HOUR, START + 10 * HOUR, START + 4 * HOUR))
    assert np.flatnonzero(found[columns.SCORE].notna()).tolist() == [0, 1, 2, 3]
    assert found[columns.LABEL_END].max() == START + 6 * HOUR
    assert found[columns.FORWARD_RETURN].isna().tolist() == found[columns.SCORE].isna().tolist()
    assert found[columns.TIMESTAMP].equals(ten_hours[columns.TIMESTAMP])  # rows stay: they are predicted once
    pd.testing.assert_frame_equal(ten_hours, before)


def test_the_refit_stops_an_embargo_before_the_holdout(ten_hours, label_params):
    held = Span(START + 6 * HOUR, START + 10 * HOUR, START + 4 * HOUR)
    refit = folds.refit_span(sealed(ten_hours, held), label_params(), held)
    assert refit.train_end == START + 4 * HOUR
    assert np.flatnonzero(folds.train_mask(ten_hours, refit)).tolist() == [0, 1]
