"""The filter and the vote on cases counted by hand."""

import numpy as np
import pytest

from xrl.errors import RequestError
from xrl.serve.confirmation import Ballot, Forecast, ballots, percentiles, quantiles, verdict, weighted_vote

UP, DOWN = Forecast(0.55, 0.004, 0.7), Forecast(0.45, -0.004, 0.7)


@pytest.mark.parametrize(
    ("forecast", "signal", "said"),
    [
        (UP, "buy", "confirms"),
        (UP, "sell", "contradicts"),
        (DOWN, "sell", "confirms"),
        (DOWN, "buy", "contradicts"),
        (UP._replace(confidence=0.6), "buy", "confirms"),  # at least 0.6
        (UP._replace(confidence=0.5999), "buy", "silent"),
        (DOWN._replace(confidence=0.0), "buy", "silent"),
        (UP._replace(change=-0.001), "buy", "silent"),  # the odds say up, the change down
        (DOWN._replace(change=0.0), "sell", "silent"),
        (UP._replace(up=0.5), "buy", "silent"),
    ],
)
def test_a_forecast_confirms_contradicts_or_is_silent(forecast, signal, said):
    assert verdict(forecast, signal, 0.6) == said


def test_another_minimum_is_another_filter():
    assert verdict(UP, "buy", 0.8) == "silent"
    assert verdict(UP._replace(confidence=0.1), "buy", 0.0) == "confirms"


@pytest.mark.parametrize(
    ("experts", "forecast", "direction", "share"),
    [
        (("buy", "hold"), UP, "buy", 2.5 / 3.5),
        (("sell", "hold"), UP, "buy", 1.5 / 3.5),  # 1.5 against 1 and 1
        (("sell", "sell"), UP, "sell", 2 / 3.5),
        (("buy", "sell"), DOWN, "sell", 2.5 / 3.5),
        (
            ("buy", "sell"),
            UP._replace(confidence=0.3),
            "hold",
            0.0,
        ),  # the forecast is silent, they share the most
        (("buy", "hold"), UP._replace(confidence=0.3), "hold", 0.5),
        (("buy", "buy"), UP._replace(confidence=0.3), "buy", 1.0),
        (("hold", "hold"), DOWN._replace(change=0.01), "hold", 1.0),
    ],
)
def test_a_sure_forecast_votes_with_weight_one_and_a_half(experts, forecast, direction, share):
    tally = weighted_vote(ballots(experts, forecast, 0.6, 1.5))
    assert tally.direction == direction
    assert tally.share == pytest.approx(share)


def test_weights_decide_not_heads():
    assert weighted_vote([Ballot("buy", 1.0), Ballot("buy", 1.0), Ballot("sell", 2.5)]).direction == "sell"


@pytest.mark.parametrize("cast", [[], [Ballot("buy", 0.0)], [Ballot("buy"), Ballot("sell", -1.0)]])
def test_a_vote_without_weight_is_refused(cast):
    with pytest.raises(RequestError, match="ballots with weights above 0"):
        weighted_vote(cast)


def test_confidence_is_a_percentile_of_what_was_seen_before():
    among = quantiles(np.linspace(0.4, 0.6, 1001))
    found = percentiles(np.array([0.3, 0.4, 0.5, 0.52, 0.6, 0.9]), among)
    np.testing.assert_allclose(found, [0.0, 0.0, 0.5, 0.6, 1.0, 1.0], atol=1e-9)
