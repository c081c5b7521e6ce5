"""What a signal is worth in money."""

from pathlib import Path

import numpy as np
import pytest

from tests.env import toy
from xrl.account.step import Terms
from xrl.backtest import value
from xrl.backtest.baselines import Court, late, quantile_thresholds, threshold_targets
from xrl.backtest.portfolio import grid_of
from xrl.config import load_config
from xrl.env.market import stack
from xrl.errors import DataError

PARAMS = load_config(Path(__file__).parents[2] / "params.yaml").backtest.model_copy(
    update={"bootstrap": 200, "random_timing_runs": 20}
)
FREE = Terms(0.0, 0.0, toy.TERMS.maintenance, toy.TERMS.liquidation_fee, toy.TERMS.max_leverage)


@pytest.fixture(scope="module")
def court() -> Court:
    tensors = (toy.foreseen(24 * 90, 0, size=0.004), toy.foreseen(24 * 90, 1, size=0.004))
    return Court(stack(tensors), grid_of([tensor.timestamp for tensor in tensors]), toy.TERMS)


def signal(court: Court, noise: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(3)
    foreseen = np.sign(court.panel.block[:, 0].astype(float))
    return foreseen + noise * rng.normal(size=len(foreseen))


def test_a_foreseen_market_is_worth_more_without_costs_and_less_a_bar_late(court: Court) -> None:
    found = value.traded(signal(court), court, PARAMS, {"costs_x0": FREE})
    assert found["sharpe"]["low"] > 5.0
    assert found["sharpe_costs_x0"] > found["sharpe"]["value"] > found["sharpe_delay_1"]
    assert found["sharpe"]["value"] > found["random_timing"]["p95"]
    assert found["probabilistic_sharpe"] > 0.99
    assert found["minimum_track_days"] < found["days"] == 90
    assert found["turnover"] > 0.0


def test_a_curve_differs_from_itself_by_nothing_and_from_noise_by_much(court: Court) -> None:
    good, noisy = (court.equity(np.sign(signal(court, noise))) for noise in (0.0, 20.0))
    assert value.sharpe_difference(good, good, court, PARAMS) == {"value": 0, "low": 0, "high": 0, "p": 1}
    assert value.sharpe_difference(good, noisy, court, PARAMS)["low"] > 0.0


def test_a_search_among_noise_is_deflated_and_a_search_with_skill_is_not(court: Court) -> None:
    rng = np.random.default_rng(0)
    free = court._replace(terms=FREE)
    noise = {
        f"noise {k}": free.equity(np.sign(rng.normal(size=len(court.panel.volatility)))) for k in range(12)
    }
    luck = value.searched(noise, court)
    assert luck["candidates"] == luck["effective_trials"] == 12
    assert luck["deflated_sharpe"] < 0.95
    assert luck["kept_sharpe"] < luck["chosen_sharpe"]
    skill = value.searched({**noise, "skill": free.equity(np.sign(signal(court, noise=6.0)))}, court)
    assert skill["best"] == "skill"
    assert skill["deflated_sharpe"] > 0.99
    assert skill["probability_of_overfitting"] < 0.01


def test_late_targets_come_a_bar_later_and_never_from_another_symbol() -> None:
    panel = stack([toy.tensor(np.zeros(4)), toy.tensor(np.zeros(2))])
    assert late(np.array([1.0, 2, 3, 4, 5, 6]), panel).tolist() == [0, 1, 2, 3, 0, 5]
    assert late(np.array([1.0, 2, 3, 4, 5, 6]), panel, bars=3).tolist() == [0, 0, 0, 1, 0, 0]


def test_a_threshold_of_nothing_known_is_refused_with_the_remedy() -> None:
    with pytest.raises(DataError, match=r"fold 1 .* received none\. Lower `labels\.embargo_bars`"):
        quantile_thresholds(np.ones(2), np.array([0, 1]), {1: np.zeros(2, dtype=bool)}, 0.5)


def test_quantile_thresholds_are_of_what_was_known_before() -> None:
    signal = np.array([0.1, -0.2, 0.3, 9.0, 9.0])
    fold = np.array([0, 0, 0, 1, 1])
    known = {1: np.array([True, True, True, False, False])}
    found = quantile_thresholds(signal, fold, known, 0.5)
    assert found.tolist() == [np.inf, np.inf, np.inf, 0.2, 0.2]
    panel = stack([toy.tensor(np.zeros(5))])
    assert threshold_targets(signal, found, panel).tolist() == [0, 0, 0, 1, 1]
