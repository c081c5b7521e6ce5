import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrl.config import LabelKind
from xrl.labels.barriers import Prices
from xrl.labels.outcomes import UNTOUCHED, label_ends, outcomes

KINDS = LabelKind.__args__


def flat(close):
    """Bars whose high and low are their close."""
    close = np.asarray(close, dtype=float)
    return Prices(close, close, close)


def test_forward_return_is_the_log_return_of_the_next_bars(label_params):
    found = outcomes(flat([100, 101, 102, 103, 104, 110]), label_params())
    assert found.forward_return[3] == pytest.approx(np.log(110 / 103))
    assert np.isnan(found.forward_return[4:]).all()


def test_score_is_in_the_volatility_known_at_the_bar(label_params):
    """Log returns +1, -1, +1 %: deviation .02 / sqrt(3), times sqrt(2) bars ahead; then two bars of +3 %."""
    prices = flat(100 * np.exp(np.cumsum([0, 0.01, -0.01, 0.01, 0.03, 0.03])))
    volatility = 0.02 / np.sqrt(3) * np.sqrt(2)
    for kind in ("normalised_percentile", "adaptive", "adaptive_filtered"):
        found = outcomes(prices, label_params(kind=kind))
        assert found.volatility[3] == pytest.approx(volatility)
        assert found.score[3] == pytest.approx(0.06 / volatility)


def test_the_default_is_the_formula_to_the_bit(label_params, walk):
    """Written out anew: log returns over the horizon, by the deviation of the last window of them."""
    close = walk(200).close
    found = outcomes(flat(close), label_params())
    log_close = np.log(close)
    forward = np.append(log_close[2:] - log_close[:-2], [np.nan, np.nan])
    assert found.forward_return.tobytes() == forward.tobytes()
    with np.errstate(invalid="ignore"):
        assert found.score.tobytes() == (forward / found.volatility).tobytes()


def test_the_raw_score_is_the_return_itself(label_params):
    found = outcomes(flat([100, 100, 100, 101]), label_params(kind="raw_percentile"))
    assert found.score[1] == pytest.approx(np.log(1.01))
    assert found.score[0] == 0.0  # a price that stood still has a return, if no volatility


def test_score_is_unknown_where_the_price_stood_still(label_params):
    for kind in set(KINDS) - {"raw_percentile"}:
        found = outcomes(flat([100.0] * 6 + [101, 102]), label_params(kind=kind))
        assert found.volatility[5] == 0
        assert np.isnan(found.score[5])


def test_a_touched_barrier_scores_one_and_ends_the_label(label_params):
    """+-2 % of 100, three bars: the high of bar 2 touches, so the label ends there, at its close of 101."""
    params = label_params(kind="triple_barrier", barrier=2.0, barrier_unit="percent", horizon_bars=3)
    prices = Prices(
        np.array([100.0, 101, 103, 104, 104]), np.full(5, 99.5), np.array([100.0, 100, 101, 103, 103])
    )
    found = outcomes(prices, params)
    assert (found.score[0], found.end_bar[0]) == (1.0, 2)
    assert found.forward_return[0] == pytest.approx(np.log(1.01))


def test_between_the_barriers_the_score_is_the_return_in_units_of_them(label_params):
    params = label_params(kind="triple_barrier", barrier=2.0, barrier_unit="percent", horizon_bars=2)
    found = outcomes(flat([100, 100, 101, 99, 100.5, 99.5, 99]), params)
    assert found.score[0] == pytest.approx(np.log(1.01) / np.log(1.02))
    assert found.score[1] == pytest.approx(np.log(0.99) / -np.log(0.98))
    assert found.end_bar.tolist() == [2, 3, 4, 5, 6, -1, -1]


def test_a_bar_that_meets_both_barriers_scores_nothing(label_params):
    params = label_params(kind="triple_barrier", barrier=2.0, barrier_unit="percent")
    prices = Prices(np.array([100.0, 103, 103]), np.array([100.0, 97, 97]), np.array([100.0, 102.5, 102.5]))
    found = outcomes(prices, params)
    assert (found.score[0], found.end_bar[0]) == (0.0, 1)


def test_sigmas_are_of_the_volatility_known_at_the_bar(label_params):
    """As above: at bar 3 one sigma is 1.63 %; +1.6 % is short of it, +1.7 % is not."""
    before = [0, 0.01, -0.01, 0.01]
    for step, score in ((0.016, pytest.approx(0.016 / (0.02 / np.sqrt(3) * np.sqrt(2)))), (0.017, 1.0)):
        prices = flat(100 * np.exp(np.cumsum([*before, step, 0.0])))
        assert outcomes(prices, label_params(kind="triple_barrier")).score[3] == score


@given(seed=st.integers(0, 2**32 - 1), unit=st.sampled_from(["sigma", "percent"]))
def test_only_a_touch_scores_one(label_params, walk, seed, unit):
    params = label_params(kind="triple_barrier", barrier_unit=unit, horizon_bars=4)
    found = outcomes(walk(120, seed), params)
    known = np.isfinite(found.score)
    late = found.end_bar == np.arange(120) + 4
    assert (np.abs(found.score[known]) <= 1).all()
    assert (np.abs(found.score[known & ~late]) != UNTOUCHED).all()
    assert set(np.abs(found.score[known & ~late])) <= {0.0, 1.0}


@settings(deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    unit=st.sampled_from(["sigma", "percent"]),
    horizon=st.integers(1, 12),
    bars=st.integers(2, 150),
    cut=st.integers(1, 150),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_label_does_not_change_when_bars_after_its_end_are_cut_off(
    label_params, walk, kind, unit, horizon, bars, cut, seed
):
    """And no label is known before its end: what ends after the cut is unknown in the shorter history."""
    params = label_params(kind=kind, barrier_unit=unit, horizon_bars=horizon, embargo_bars=horizon)
    prices = walk(bars, seed)
    whole = outcomes(prices, params)
    found = outcomes(Prices(*(values[:cut] for values in prices)), params)
    own = len(found.score)
    ended = (whole.end_bar[:own] >= 0) & (whole.end_bar[:own] < own)
    for name in ("score", "forward_return"):
        short, long = getattr(found, name), getattr(whole, name)[:own]
        assert short[ended].tobytes() == long[ended].tobytes()
        assert np.isnan(short[~ended]).all()
    assert (found.end_bar == np.where(ended, whole.end_bar[:own], -1)).all()
    assert found.volatility.tobytes() == whole.volatility[:own].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_history_shorter_than_the_horizon_has_no_outcome(label_params, kind):
    assert np.isnan(outcomes(flat([100.0, 101.0]), label_params(kind=kind)).score).all()


def hours(*numbers):
    return np.array([f"2025-01-01T{hour:02d}" for hour in numbers], dtype="datetime64[ms]")


def test_a_label_becomes_known_at_the_close_of_its_last_bar():
    found = label_ends(hours(0, 1, 2), np.array([1, 1, -1]))
    assert found[0] == np.datetime64("2025-01-01T02:00")  # bar 1 opens at 01:00 and closes at 02:00
    assert np.isnat(found[2])


def test_a_gap_delays_the_label():
    assert label_ends(hours(0, 1, 7), np.array([1, 2, -1]))[1] == np.datetime64("2025-01-01T08:00")


def test_nothing_is_known_of_one_bar():
    assert np.isnat(label_ends(hours(0), np.array([-1]))).all()
