import numpy as np
import pytest

from xrl.errors import DataError
from xrl.labels.outcomes import classify, cuts, label_ends, outcomes


def test_forward_return_is_the_log_return_of_the_next_bars(label_params):
    close = np.array([100.0, 101, 102, 103, 104, 110])
    found = outcomes(close, label_params())
    assert found.forward_return[3] == pytest.approx(np.log(110 / 103))
    assert np.isnan(found.forward_return[4:]).all()


def test_score_is_in_the_volatility_known_at_the_bar(label_params):
    """Log returns +1, -1, +1 %: deviation .02 / sqrt(3), times sqrt(2) bars ahead; then two bars of +3 %."""
    close = 100 * np.exp(np.cumsum([0, 0.01, -0.01, 0.01, 0.03, 0.03]))
    found = outcomes(close, label_params())
    volatility = 0.02 / np.sqrt(3) * np.sqrt(2)
    assert found.volatility[3] == pytest.approx(volatility)
    assert found.score[3] == pytest.approx(0.06 / volatility)


def test_score_is_unknown_where_the_price_stood_still(label_params):
    found = outcomes(np.array([100.0] * 6 + [101, 102]), label_params())
    assert found.volatility[5] == 0
    assert np.isnan(found.score[5])


def test_outcomes_before_the_cut_are_the_same_to_the_bit_but_for_the_horizon(label_params):
    close = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 300)))
    full = outcomes(close, label_params())
    for cut in (20, 77, 299):
        found = outcomes(close[:cut], label_params())
        assert found.volatility.tobytes() == full.volatility[:cut].tobytes()
        assert found.score[: cut - 2].tobytes() == full.score[: cut - 2].tobytes()
        assert np.isnan(found.score[cut - 2 :]).all()


def test_a_history_shorter_than_the_horizon_has_no_outcome(label_params):
    assert np.isnan(outcomes(np.array([100.0, 101.0]), label_params()).score).all()


def test_a_label_becomes_known_at_the_close_of_its_last_bar():
    time = np.array(["2025-01-01T00", "2025-01-01T01", "2025-01-01T02"], dtype="datetime64[ms]")
    found = label_ends(time, 1)
    assert found[0] == np.datetime64("2025-01-01T02:00")  # bar 1 opens at 01:00 and closes at 02:00
    assert np.isnat(found[2])


def test_a_gap_delays_the_label():
    time = np.array(["2025-01-01T00", "2025-01-01T01", "2025-01-01T07"], dtype="datetime64[ms]")
    assert label_ends(time, 1)[1] == np.datetime64("2025-01-01T08:00")


def test_cuts_are_percentiles_of_the_known_scores():
    score = np.append(np.arange(101.0), np.nan)
    assert cuts(score, (0.33, 0.67)) == (33.0, 67.0)


def test_cuts_need_a_matured_label_and_ordered_percentiles():
    with pytest.raises(DataError, match="no matured label"):
        cuts(np.array([np.nan]), (0.33, 0.67))
    with pytest.raises(DataError, match="ordered"):
        cuts(np.arange(3.0), (0.67, 0.33))


def test_classes_are_sell_below_buy_above_and_hold_on_the_cut():
    found = classify(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), -1.0, 1.0)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, [0, 1, 1, 1, 2])


def test_an_unknown_outcome_has_no_class():
    with pytest.raises(DataError, match="1 of 2 scores are NaN"):
        classify(np.array([1.0, np.nan]), -1.0, 1.0)
