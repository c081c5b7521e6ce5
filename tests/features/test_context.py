import numpy as np
import pytest

from xrl.config import ContextParams
from xrl.errors import DataError
from xrl.features.context import FEATURES, Context, Peer, context_columns, needed, peer
from xrl.features.inputs import inputs

NONE = ContextParams(lead=None, market=())
LEAD = ContextParams(lead="BTCUSDT", market=())
MARKET = ContextParams(lead=None, market=("BTCUSDT", "ETHUSDT", "SOLUSDT"))


def bars(close):
    return {"open": close, "high": close, "low": close, "close": close, "volume": np.ones(len(close))}


def volatility(close):
    """Root mean square of the newest 60 log returns."""
    return np.sqrt(np.mean(np.diff(np.log(close[-61:])) ** 2))


def alternating(count, size, phase=0):
    """Log returns +size, -size, +size, ...: 60-bar volatility is `size`."""
    return 100.0 * np.exp(size * ((np.arange(count) + phase) % 2))


def of(close, params, symbol, hours, **closes):
    count = len(close)
    peers = {name: Peer(hours(count), values) for name, values in closes.items()}
    return context_columns(inputs(bars(close), hours(count)), params, Context(symbol, peers))


def test_without_declared_symbols_everything_is_absent(hours):
    found = context_columns(inputs(bars(alternating(100, 0.01)), hours(100)), NONE, None)
    assert set(found) == {feature.name for feature in FEATURES}
    assert all((values == 0).all() for values in found.values())


def test_declared_symbols_need_to_know_whose_features_these_are(hours):
    with pytest.raises(DataError, match="pass `context`"):
        context_columns(inputs(bars(alternating(100, 0.01)), hours(100)), LEAD, None)


def test_a_lead_of_half_the_size_has_beta_two(hours):
    found = of(alternating(200, 0.02), LEAD, "ETHUSDT", hours, BTCUSDT=alternating(200, 0.01))
    last = {name: values[-1] for name, values in found.items()}
    assert last["lead_beta"] == pytest.approx(2)
    assert last["lead_correlation"] == pytest.approx(1)
    assert last["lead_return_1"] == pytest.approx(1)  # in the lead's own volatilities
    assert last["lead_relative_24"] == pytest.approx(0, abs=1e-9)
    assert last["lead_available"] == 1


def test_a_mirrored_lead_is_anticorrelated(hours):
    found = of(alternating(200, 0.01), LEAD, "ETHUSDT", hours, BTCUSDT=alternating(200, 0.01, phase=1))
    assert found["lead_correlation"][-1] == pytest.approx(-1)
    assert found["lead_beta"][-1] == pytest.approx(-1)


def test_the_lead_leads_itself(hours):
    found = of(alternating(100, 0.01), LEAD, "BTCUSDT", hours)
    assert (found["lead_available"] == np.r_[np.zeros(60), np.ones(40)]).all()
    assert (found["lead_beta"][60:] == 1).all() and (found["lead_correlation"][60:] == 1).all()
    assert (found["lead_relative_24"] == 0).all()
    assert found["lead_return_1"][-1] == pytest.approx(1)


def test_bars_are_joined_by_time(hours):
    """A lead that begins 40 bars later: its return at a time is that of the same time."""
    own, lead = (
        alternating(300, 0.01),
        100.0 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 260))),
    )
    peers = {"BTCUSDT": Peer(hours(300)[40:], lead)}
    found = context_columns(inputs(bars(own), hours(300)), LEAD, Context("ETHUSDT", peers))
    assert (found["lead_available"] == np.r_[np.zeros(100), np.ones(200)]).all()
    move = np.log(lead[-1] / lead[-2]) / volatility(lead)
    assert found["lead_return_1"][-1] == pytest.approx(move)
    assert (found["lead_return_1"][:100] == 0).all()


BOTH = ContextParams(lead="BTCUSDT", market=("BTCUSDT", "ETHUSDT"))


@pytest.mark.parametrize("lacking", ["BTCUSDT", "ETHUSDT"])
def test_a_missing_hour_of_either_symbol_hides_the_lead_until_60_hours_have_followed(lacking, hours):
    """Hour 250 is missing: the bars of hours 251 to 310 have it among the 60 before them."""
    rng = np.random.default_rng(0)
    time = {name: hours(400) for name in ("BTCUSDT", "ETHUSDT")}
    close = {name: 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 400))) for name in time}
    whole = of(close["ETHUSDT"], BOTH, "ETHUSDT", hours, BTCUSDT=close["BTCUSDT"])
    kept = np.arange(400) != 250
    time[lacking], close[lacking] = time[lacking][kept], close[lacking][kept]
    peers = {"BTCUSDT": Peer(time["BTCUSDT"], close["BTCUSDT"])}
    x = inputs(bars(close["ETHUSDT"]), time["ETHUSDT"])
    found = context_columns(x, BOTH, Context("ETHUSDT", peers))
    hour = (time["ETHUSDT"] - time["ETHUSDT"][0]) // np.timedelta64(1, "h")
    known = (hour >= 60) & ((hour < 250) | (hour > 310))
    np.testing.assert_array_equal(found["lead_available"], known)
    for name, values in found.items():
        if name.startswith("lead"):
            assert (values[~known] == 0).all()
        if lacking == "BTCUSDT" and name.startswith("market"):  # half of the market is still known
            assert found["market_available"][60:].all()
        else:
            np.testing.assert_allclose(values[known], whole[name][hour[known]], atol=1e-12)


def test_a_window_of_121_bars_answers_as_the_whole_history_does_behind_a_hole(hours):
    rng = np.random.default_rng(1)
    kept = np.arange(500) != 350
    own, lead = (100 * np.exp(np.cumsum(rng.normal(0, 0.01, 500))) for _ in range(2))
    time = hours(500)

    def columns_of(first, last):
        part, also = slice(first, last), kept & (np.arange(500) >= first) & (np.arange(500) < last)
        x = inputs(bars(own[part]), time[part])
        return context_columns(x, BOTH, Context("ETHUSDT", {"BTCUSDT": Peer(time[also], lead[also])}))

    whole = columns_of(0, 500)
    for last in (340, 352, 380, 411, 412, 413, 500):
        window = columns_of(last - 121, last)
        for name, values in window.items():
            np.testing.assert_allclose(values[-60:], whole[name][last - 60 : last], atol=1e-12, err_msg=name)


def test_an_absent_lead_is_flagged(hours):
    found = of(alternating(200, 0.01), LEAD, "ETHUSDT", hours)
    assert all((values == 0).all() for values in found.values())


def trend(count, drift):
    """Alternating returns of 1 % with a drift."""
    return alternating(count, 0.01) * np.exp(drift * np.arange(count))


def test_market_mean_breadth_and_rank(hours):
    """Over 24 bars two of three rise; the middle one of three has rank one half."""
    closes = {"BTCUSDT": trend(200, 0.002), "ETHUSDT": trend(200, 0.001), "SOLUSDT": trend(200, -0.001)}
    found = {
        name: {k: v[-1] for k, v in of(close, MARKET, name, hours, **closes).items()}
        for name, close in closes.items()
    }
    moved = [np.log(close[-1] / close[-25]) / (volatility(close) * np.sqrt(24)) for close in closes.values()]
    for symbol, rank in (("BTCUSDT", 1.0), ("ETHUSDT", 0.5), ("SOLUSDT", 0.0)):
        assert found[symbol]["market_rank_24"] == rank
        assert found[symbol]["market_breadth_24"] == pytest.approx(2 / 3)
        assert found[symbol]["market_return_24"] == pytest.approx(np.mean(moved))
        assert found[symbol]["market_available"] == 1


def test_equals_share_a_rank(hours):
    same = trend(200, 0.001)
    found = of(same, MARKET, "BTCUSDT", hours, ETHUSDT=same, SOLUSDT=same)
    assert found["market_rank_24"][-1] == 0.5


def test_half_of_the_market_must_be_known(hours):
    own = trend(200, 0.001)
    assert of(own, MARKET, "BTCUSDT", hours, ETHUSDT=own)["market_available"][-1] == 1
    assert of(own, MARKET, "BTCUSDT", hours)["market_available"][-1] == 0


def test_a_symbol_outside_the_market_is_ranked_among_it(hours):
    closes = {name: trend(200, 0.001 * i) for i, name in enumerate(MARKET.market)}
    found = of(trend(200, 0.005), MARKET, "XRPUSDT", hours, **closes)
    assert found["market_rank_24"][-1] == 1.0


def test_a_market_that_stands_still_is_neutral(hours):
    still = np.full(200, 0.1)
    params = ContextParams(lead="BTCUSDT", market=MARKET.market)
    found = of(still, params, "ETHUSDT", hours, BTCUSDT=still, ETHUSDT=still, SOLUSDT=still)
    last = {name: values[-1] for name, values in found.items() if values[-1]}
    assert last == {"lead_available": 1, "market_available": 1, "market_rank_24": 0.5}


def test_needed_names_each_other_symbol_once():
    params = ContextParams(lead="BTCUSDT", market=("BTCUSDT", "ETHUSDT"))
    assert needed(params, "ETHUSDT") == ("BTCUSDT",)
    assert needed(params, "SOLUSDT") == ("BTCUSDT", "ETHUSDT")
    assert needed(NONE, "ETHUSDT") == ()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"close": [1.0, np.nan, 2.0]}, "finite"),
        ({"close": [1.0, 0.0, 2.0]}, "above 0"),
        ({"order": [0, 0, 1]}, "increase"),
        ({"late": 60_000}, "on the hour"),
    ],
)
def test_broken_context_is_refused_by_rule(changes, rule, hours):
    times = hours(3)[changes.get("order", [0, 1, 2])] + np.timedelta64(changes.get("late", 0), "ms")
    with pytest.raises(DataError, match=rule):
        peer(times, np.array(changes.get("close", [1.0, 1.0, 2.0])))
    with pytest.raises(DataError, match="one close a bar"):
        peer(hours(3), np.ones(2))
