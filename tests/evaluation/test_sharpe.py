"""Published examples of the probabilistic and the deflated Sharpe ratio, and what luck does to them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrl.errors import DataError
from xrl.evaluation import sharpe
from xrl.evaluation.sharpe import Moments

#: Bailey & López de Prado (2014), "A numerical example": annual Sharpe 2.5 over five years of 250 days, the
#: best of 100 independent trials whose annual Sharpe ratios have variance 1/2.
PUBLISHED = Moments(days=1250, sharpe=2.5 / math.sqrt(250), skewness=-3.0, kurtosis=10.0)
NORMAL = PUBLISHED._replace(skewness=0.0, kurtosis=3.0)
VARIANCE = 0.5 / 250


def test_the_published_example_of_the_deflated_sharpe() -> None:
    assert sharpe.expected_maximum_sharpe(100, VARIANCE) == pytest.approx(0.1132, abs=5e-5)
    assert sharpe.deflated_sharpe(PUBLISHED, 100, VARIANCE) == pytest.approx(0.9004, abs=5e-5)


def test_the_published_numbers_of_trials_at_which_the_example_would_pass() -> None:
    """46 trials with these tails, 88 had the returns been normal: both give .9505."""
    assert sharpe.deflated_sharpe(PUBLISHED, 46, VARIANCE) == pytest.approx(0.9505, abs=5e-5)
    assert sharpe.deflated_sharpe(NORMAL, 88, VARIANCE) == pytest.approx(0.9505, abs=5e-5)


@pytest.mark.parametrize(("a_year", "years"), [(250, 2.73), (52, 2.83), (12, 3.24)])
def test_the_published_lengths_of_a_track_with_sharpe_two_over_one(a_year: int, years: float) -> None:
    """Bailey & López de Prado (2012), normal returns observed daily, weekly, monthly."""
    track = Moments(100, 2.0 / math.sqrt(a_year), 0.0, 3.0)
    found = sharpe.minimum_track_days(track, benchmark=1.0 / math.sqrt(a_year))
    assert found / a_year == pytest.approx(years, abs=0.005)


def test_a_track_of_exactly_the_minimum_length_reaches_the_confidence() -> None:
    needed = sharpe.minimum_track_days(PUBLISHED, benchmark=0.05, confidence=0.9)
    assert sharpe.probabilistic_sharpe(PUBLISHED._replace(days=needed), 0.05) == pytest.approx(0.9)  # type: ignore[arg-type]


def test_what_does_not_beat_the_benchmark_never_shows_it() -> None:
    assert math.isinf(sharpe.minimum_track_days(PUBLISHED, benchmark=PUBLISHED.sharpe))


def test_one_trial_deflates_nothing() -> None:
    assert sharpe.expected_maximum_sharpe(1, VARIANCE) == 0.0
    assert sharpe.deflated_sharpe(NORMAL, 1, VARIANCE) == sharpe.probabilistic_sharpe(NORMAL)


def test_the_expected_maximum_is_what_luck_reaches() -> None:
    drawn = np.random.default_rng(0).normal(size=(4000, 50)).max(axis=1).mean()
    assert sharpe.expected_maximum_sharpe(50, 1.0) == pytest.approx(drawn, rel=0.02)


def test_moments_of_four_days() -> None:
    """Mean 1, sample deviation 2 sqrt(2/3), deviations -1 -1 -1 3 over sqrt(3)."""
    found = sharpe.moments(np.array([0.0, 0.0, 0.0, 4.0]))
    assert found.sharpe == pytest.approx(0.5)
    assert found.skewness == pytest.approx(24 / 4 / 3**1.5)
    assert found.kurtosis == pytest.approx(84 / 4 / 9)


def test_constant_returns_have_no_sharpe() -> None:
    assert sharpe.moments(np.full(9, 0.01)) == Moments(9, 0.0, 0.0, 3.0)
    assert sharpe.probabilistic_sharpe(sharpe.moments(np.zeros(90))) == 0.5


def test_the_probability_holds_its_promise_on_tracks_without_skill() -> None:
    """One in twenty of them looks better than 95 %."""
    tracks = np.random.default_rng(1).normal(size=(2000, 250))
    found = [sharpe.probabilistic_sharpe(sharpe.moments(own)) for own in tracks]
    assert np.mean(np.array(found) >= 0.95) == pytest.approx(0.05, abs=0.015)


def test_the_best_of_many_without_skill_rarely_passes_once_deflated() -> None:
    rng = np.random.default_rng(2)
    passed, naive = 0, 0
    for _ in range(200):
        tracks = [sharpe.moments(own) for own in rng.normal(size=(20, 250))]
        best = max(tracks, key=lambda own: own.sharpe)
        variance = float(np.var([own.sharpe for own in tracks], ddof=1))
        naive += sharpe.probabilistic_sharpe(best) >= 0.95
        passed += sharpe.deflated_sharpe(best, 20, variance) >= 0.95
    assert naive > 100
    assert passed < 20


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=40))
def test_any_track_has_a_probability(returns: list[float]) -> None:
    found = sharpe.moments(np.array(returns))
    assert 0.0 <= sharpe.probabilistic_sharpe(found) <= 1.0
    assert sharpe.minimum_track_days(found) > 1.0


def test_tracks_that_cannot_be_judged_are_refused() -> None:
    with pytest.raises(DataError, match="at least 2 daily returns"):
        sharpe.moments(np.array([0.1]))
    with pytest.raises(DataError, match="1 are not finite"):
        sharpe.moments(np.array([0.1, np.nan, 0.2]))
    with pytest.raises(DataError, match="at least one trial"):
        sharpe.expected_maximum_sharpe(0, 1.0)
