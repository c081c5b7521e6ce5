"""How many different things were tried."""

import numpy as np
import pandas as pd
import pytest

from xrl.evaluation import sharpe, trials
from xrl.evaluation.trials import Search

DAYS = pd.date_range("2024-01-01", periods=300)


def series(values: np.ndarray, days: pd.DatetimeIndex = DAYS) -> pd.Series:
    return pd.Series(values, index=days)


def independent(count: int, seed: int = 0) -> list[pd.Series]:
    return [series(own) for own in np.random.default_rng(seed).normal(0, 0.01, (count, len(DAYS)))]


def variants(count: int, seed: int = 0) -> list[pd.Series]:
    """One idea with small changes: pairwise correlation about .9."""
    rng = np.random.default_rng(seed)
    idea = rng.normal(0, 0.01, len(DAYS))
    return [series(idea + rng.normal(0, 0.0033, len(DAYS))) for _ in range(count)]


def test_variants_of_one_idea_are_one_trial_and_ideas_are_many() -> None:
    assert trials.search_of(variants(10), 0, 0.5, 300).effective == 1
    assert trials.search_of(independent(10), 0, 0.5, 300).effective == 10
    three_ideas = [own for seed in range(3) for own in variants(4, seed)]
    found = trials.search_of(three_ideas, 0, 0.5, 300)
    assert (found.trials, found.effective) == (12, 3)
    cluster = trials.clusters(trials.correlations(three_ideas), 0.5)
    assert len(set(cluster[:4])) == 1
    assert len(set(cluster[::4])) == 3


def test_opposite_strategies_are_two() -> None:
    [one] = independent(1)
    assert trials.search_of([one, -one], 0, 0.5, 300).effective == 2


def test_a_single_trial_is_one() -> None:
    assert trials.search_of(independent(1), 0, 0.5, 300) == Search(1, 1, 1 / 299)


def test_a_trial_whose_returns_are_lost_counts_as_one_of_its_own() -> None:
    found = trials.search_of(variants(5), 3, 0.5, 300)
    assert (found.trials, found.effective) == (8, 4)


def test_trials_without_common_days_are_taken_for_different() -> None:
    [early] = independent(1)
    late = early.shift(freq=pd.Timedelta(days=280))  # 20 days in common
    assert trials.search_of([early, late], 0, 0.5, 300).effective == 2
    assert trials.search_of([early, early.iloc[100:]], 0, 0.5, 300).effective == 1


def test_a_strategy_that_never_trades_is_a_trial_of_its_own() -> None:
    assert trials.search_of([*independent(1), series(np.zeros(300))], 0, 0.5, 300).effective == 2


def test_the_variance_is_that_of_clusters_and_never_below_estimation_noise() -> None:
    """Two ideas with Sharpe ratios of a day of .5 and -.5: sample variance .5."""
    first, second = (own.to_numpy() for own in independent(2))
    up, down = (series((x - x.mean()) / x.std(ddof=1) + m) for x, m in ((first, 0.5), (second, -0.5)))
    assert trials.search_of([up, down], 0, 0.5, 300).variance == pytest.approx(0.5)
    alike = trials.search_of([up, series(up.to_numpy()[::-1])], 0, 0.5, 300)  # the same Sharpe, uncorrelated
    assert alike == Search(2, 2, 1 / 299)


def test_more_different_tries_deflate_more() -> None:
    track = sharpe.moments(np.random.default_rng(5).normal(0.0012, 0.01, 300))
    found = [
        trials.deflated(track, trials.search_of(independent(count), 0, 0.5, 300)) for count in (1, 3, 30)
    ]
    assert found[0] > found[1] > found[2]
    copied = trials.deflated(track, trials.search_of(variants(30), 0, 0.5, 300))
    assert copied == pytest.approx(found[0])


def test_tries_do_not_depend_on_their_order() -> None:
    tried = [*variants(4), *independent(4, seed=9)]
    assert trials.search_of(tried, 0, 0.5, 300) == pytest.approx(trials.search_of(tried[::-1], 0, 0.5, 300))
