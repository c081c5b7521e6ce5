import numpy as np
import pytest

from xrl.features.flow import flow
from xrl.features.inputs import inputs


def made(hours, count=300, **optional):
    close = 100.0 * np.exp(0.01 * (np.arange(count) % 2))
    bars = {"open": close, "high": close, "low": close, "close": close, "volume": np.full(count, 10.0)}
    return flow(inputs({**bars, **optional}, hours(count)))


def test_absent_inputs_are_neutral_with_their_flag_down(hours):
    found = made(hours)
    for name, values in found.items():
        if name.startswith(("taker", "funding", "open_interest")):
            assert (values == 0).all(), name


def test_taker_imbalance_is_bought_less_sold_over_volume(hours):
    bought = np.full(300, 8.0)
    bought[-1] = 3.0
    found = made(hours, taker_buy_volume=bought)
    assert found["taker_imbalance"][-1] == pytest.approx(-0.4)
    assert found["taker_imbalance_12"][-1] == pytest.approx((11 * 6 - 4) / 120)
    assert found["taker_available"].all()


def test_a_bar_without_taker_volume_is_left_out_of_the_mean(hours):
    bought = np.full(300, 8.0)
    bought[-2:] = np.nan
    found = made(hours, taker_buy_volume=bought)
    assert found["taker_imbalance"][-1] == 0
    assert found["taker_available"][-1] == 0
    assert found["taker_imbalance_12"][-1] == pytest.approx(0.6)


def funding(count=300, every=8):
    rates = np.full(count, np.nan)
    rates[::every] = 1e-4
    return rates


def test_funding_rate_stands_until_the_next_settlement(hours):
    rates = funding()
    rates[8] = 5e-4
    found = made(hours, funding_rate=rates)
    np.testing.assert_array_equal(found["funding_rate_last"][6:18], [1e-4] * 2 + [5e-4] * 8 + [1e-4] * 2)


def test_constant_funding_has_score_zero(hours):
    assert (made(hours, funding_rate=funding())["funding_z"] == 0).all()


def test_funding_score_is_over_the_settlements_of_240_bars(hours):
    """Of 30 settlements 29 are 1 and one is 31: mean 2, variance 29, so the last scores 29 / sqrt(29)."""
    rates = funding(297) * 1e4  # settled last at bar 296
    rates[296] = 31.0
    assert made(hours, 297, funding_rate=rates)["funding_z"][-1] == pytest.approx(np.sqrt(29))


def test_funding_older_than_two_days_is_unknown(hours):
    rates = np.full(300, np.nan)
    rates[0] = 1e-4
    found = made(hours, funding_rate=rates)
    np.testing.assert_array_equal(found["funding_available"][[47, 48]], [1, 0])
    np.testing.assert_array_equal(found["funding_rate_last"][[47, 48]], [1e-4, 0])


def test_open_interest_change_over_twelve_bars(hours):
    held = np.full(300, 100.0)
    held[-1] = 110.0
    found = made(hours, open_interest=held)
    assert found["open_interest_change"][-1] == pytest.approx(np.log(1.1))
    np.testing.assert_array_equal(found["open_interest_available"][[11, 12]], [0, 1])


def test_unknown_open_interest_changes_by_nothing(hours):
    held = np.full(300, 100.0)
    held[-13] = np.nan
    found = made(hours, open_interest=held)
    assert (found["open_interest_change"][-1], found["open_interest_available"][-1]) == (0, 0)


def test_volume_weighted_return_counts_moves_by_their_volume(hours):
    """Returns alternate +1 %, -1 % at volatility 1 %; rising bars trade 3, falling bars 1: (3 - 1) / 4."""
    count = 100
    volume = np.where(np.arange(count) % 2, 3.0, 1.0)
    assert made(hours, count, volume=volume)["volume_return_12"][-1] == pytest.approx(0.5)


def test_volume_trend_is_half_where_volume_is_even(hours):
    assert made(hours)["volume_trend"][-1] == 0.5
    assert made(hours, volume=np.zeros(300))["volume_trend"][-1] == 0.5


def test_taker_imbalance_over_two_days(hours):
    bought = np.full(300, 8.0)
    bought[-1] = 2.0
    assert made(hours, taker_buy_volume=bought)["taker_imbalance_48"][-1] == pytest.approx((47 * 6 - 6) / 480)


def test_buying_that_does_not_lift_the_close_is_absorbed(hours):
    """Takers bought all of a bar that closed at its low: 1; a bar without spread closes in its middle."""
    bought = np.full(300, 10.0)
    assert made(hours, taker_buy_volume=bought)["taker_absorption"][-1] == 0.5
    close = np.full(300, 100.0)
    bars = {"open": close, "high": close + 1, "low": close, "close": close, "volume": np.full(300, 10.0)}
    assert flow(inputs({**bars, "taker_buy_volume": bought}, hours(300)))["taker_absorption"][-1] == 1.0


def test_the_next_settlement_is_as_far_off_as_the_last_two_lay_apart(hours):
    """Settled at 00:00 every 8 hours: 7 of 8 hours are left at 01:00, none at 08:00."""
    due = made(hours, funding_rate=funding())["funding_due"]
    assert (due[:8] == 0).all()  # one settlement tells no period
    np.testing.assert_allclose(due[8:16], np.arange(7, -1, -1) / 8)


def test_a_new_period_is_believed_once_seen(hours):
    """The venue changes to 2 hours at bar 24: the first step of 2 is foretold after the second settlement."""
    rates = funding()
    rates[24:] = np.nan
    rates[24::2] = 1e-4
    due = made(hours, funding_rate=rates)["funding_due"]
    assert due[24] == pytest.approx(7 / 8)
    np.testing.assert_allclose(due[26:30], [0.5, 0.0, 0.5, 0.0])


def test_an_overdue_settlement_may_come_at_any_moment(hours):
    rates = funding()
    rates[9:] = np.nan
    due = made(hours, funding_rate=rates)["funding_due"]
    assert due[15:17].tolist() == [0, 0]


def test_funding_paid_in_three_days(hours):
    assert made(hours, funding_rate=funding())["funding_paid_72"][-1] == pytest.approx(9e-4)


def test_open_interest_score_is_over_the_changes_of_96_bars(hours):
    """Of 96 changes over 12 bars 95 are 0 and the last is x: mean x/96, score (95/96) / sqrt(95/96^2)."""
    held = np.full(300, 100.0)
    held[-1] = 110.0
    assert made(hours, open_interest=held)["open_interest_z"][-1] == pytest.approx(np.sqrt(95))


def test_open_interest_known_for_less_than_a_day_has_no_score(hours):
    held = np.full(300, np.nan)
    held[-30:] = 100.0 + np.arange(30)
    found = made(hours, open_interest=held)
    assert found["open_interest_available"][-1] == 1
    assert found["open_interest_z"][-1] == 0
