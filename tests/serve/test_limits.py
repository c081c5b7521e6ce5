"""Risk limits of the service: bar after bar it forbids what the backtest forbids, by the same code."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.serve import tiny
from xrl.account.contract import contract_of
from xrl.account.costs import terms_of
from xrl.account.orders import Order
from xrl.account.risk import limits_of
from xrl.account.step import Account, Bar, open_account, step
from xrl.backtest.replay import RUIN_SHARE, Replay, replay_policy
from xrl.columns import ACTIONS
from xrl.config import BacktestParams
from xrl.env.market import MarketTensor, stack
from xrl.registry.bundle import canonical_json, write_bundle
from xrl.serve.candles import read_candles
from xrl.serve.predictor import AccountState, Predictor, load

BARS = 200
#: Tight enough that a random walk with 1 % an hour meets every one of them.
TIGHT = {"max_exposure": 0.8, "daily_loss": 0.012, "max_drawdown": 0.03, "cooldown_bars": 4}
#: Wide enough to be liquidated, tight enough that the ruin alone would spend the drawdown.
WIDE = {"max_exposure": 2.5, "daily_loss": 0.5, "max_drawdown": 0.9, "cooldown_bars": 4}


def limited(limits: dict[str, float]) -> BacktestParams:
    risk = tiny.CONFIG.backtest.risk.model_copy(update=limits)
    return tiny.CONFIG.backtest.model_copy(update={"risk": risk})


def serving(costs: BacktestParams, folder: Path) -> Predictor:
    account = {"account.json": canonical_json(costs.model_dump(mode="json"))}
    return load(write_bundle(folder / "bundle", {**tiny.files(), **account}).path)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return serving(limited(TIGHT), tmp_path_factory.mktemp("tight"))


def market(found: dict[str, list[float | None]], costs: BacktestParams) -> MarketTensor:
    """The service's last candles as the backtest sees them; the policy's own columns do not matter here."""
    bars = {name: np.array(values, dtype=np.float64)[-BARS:] for name, values in found.items()}
    funding = np.nan_to_num(bars["funding_rate"])
    return MarketTensor(
        symbol="BTCUSDT",
        timestamp=bars["timestamp"].astype("datetime64[ms]"),
        prices=np.stack([bars[name] for name in ("open", "high", "low", "close")], axis=1),
        funding=funding,
        funding_last=funding,
        volatility=np.full(BARS, 0.04),
        unrest=np.full(BARS, 0.01),
        volume=np.full(BARS, 1e6),
        block=np.zeros((BARS, 2), np.float32),
        market=np.zeros((BARS, 10), np.float32),
        regime=np.zeros((BARS, 5), np.float32),
        contract=contract_of("BTCUSDT", costs),
    )


def state_of(account: Account, close: float) -> dict[str, float | int]:
    return {
        "exposure": account.quantity * close / account.equity,
        "equity": account.equity,
        "peak_equity": account.peak,
        "entry_price": account.entry,
        "bars_held": int(account.held),
        "bars_since_trade": int(account.idle),
        "last_trade_return": account.last_trade,
        "target_exposure": account.target,
    }


class Life(NamedTuple):
    replay: Replay  # of the actions that the service answered
    sent: np.ndarray  # (BARS - 1, 4) its orders
    limits: list[str | None]


def lived(predictor: Predictor, costs: BacktestParams, history: dict[str, list[float | None]]) -> Life:
    """An account that follows the service, with new money after a ruin, and the same in the backtest."""
    terms, tensor = terms_of(costs), market(history, costs)
    account, guard, liquidated = open_account(terms.capital), None, False
    actions, sent, limits = [], [], []
    for t in range(BARS - 1):
        until = len(history["close"]) - BARS + t + 1
        asked = tiny.newest({name: values[:until] for name, values in history.items()})
        window = read_candles("BTCUSDT", asked, predictor.needs)
        state = AccountState(
            **state_of(account, float(tensor.prices[t, 3])), was_liquidated=liquidated, guard=guard
        )
        _, action = predictor.act(window, state)
        guard = action.guard
        actions.append(ACTIONS.index(action.action))
        sent.append((action.target_exposure, 0.0, 0.0, float(action.rebalances)))
        limits.append(action.limit)
        bar = Bar(*tensor.prices[t + 1], tensor.funding[t + 1], tensor.unrest[t], tensor.volume[t])
        before = account.equity
        account, flows = step(account, Order(*sent[-1]), bar, tensor.contract, terms)
        liquidated = flows.liquidated > 0.0
        if account.equity < RUIN_SHARE * before:
            account = open_account(terms.capital)
    chosen = np.array([*actions, 0])
    replay = replay_policy(lambda _, rows: chosen[rows], stack([tensor]), terms, limits=limits_of(costs.risk))
    return Life(replay, np.array(sent), limits)


def test_what_the_service_forbids_the_backtest_forbids(predictor: Predictor) -> None:
    replay, sent, limits = lived(predictor, limited(TIGHT), tiny.candles())
    np.testing.assert_array_equal(replay.sent[:-1], sent)
    told = np.array([limit is not None for limit in limits])
    np.testing.assert_array_equal(told, replay.limited[:-1] > 0.0)
    assert replay.killed[-2] == 1.0
    reasons = " | ".join({limit for limit in limits if limit})
    for word in ("cut to the largest exposure", "next UTC day", "drawdown"):
        assert word in reasons


def test_after_a_liquidation_both_rest_and_trade_on(tmp_path: Path) -> None:
    history = tiny.candles()
    for at in range(-BARS + 30, 0, 40):  # a spike to either side takes whatever is held at 1x
        history["high"][at] *= 3.0  # type: ignore[operator]
        history["low"][at] /= 30.0  # type: ignore[operator]
    costs = limited(WIDE)
    replay, sent, limits = lived(serving(costs, tmp_path), costs, history)
    np.testing.assert_array_equal(replay.sent[:-1], sent)
    [first, *others] = np.flatnonzero(replay.liquidated)
    assert others  # it held something again
    assert not replay.killed.any()
    rest = slice(first, first + WIDE["cooldown_bars"])
    assert (sent[rest, 0] == 0.0).all()
    assert limits[first + 3] == "1 bars of cool-down are left after a liquidation"
    assert limits[first + 4] is None


def test_a_liquidated_account_rests(predictor: Predictor) -> None:
    window = read_candles("BTCUSDT", tiny.newest(tiny.candles()), predictor.needs)
    _, first = predictor.act(window, AccountState(was_liquidated=True))
    assert (first.target_exposure, first.guard.cooling) == (0.0, 4.0)
    assert first.limit == "4 bars of cool-down are left after a liquidation"
    _, again = predictor.act(window, AccountState(guard=first.guard))
    assert again.guard == first.guard  # the same close
    before = first.guard._replace(closed=first.guard.closed - 3_600_000.0)
    _, later = predictor.act(window, AccountState(guard=before))
    assert later.guard.cooling == 3.0


@pytest.mark.parametrize("equity", [0.0, 1e-300])
def test_an_empty_account_is_told_so(predictor: Predictor, equity: float) -> None:
    window = read_candles("BTCUSDT", tiny.newest(tiny.candles()), predictor.needs)
    _, action = predictor.act(window, AccountState(equity=equity, peak_equity=equity, was_liquidated=True))
    assert (action.target_exposure, action.guard.cooling) == (0.0, 4.0)
    assert "no money" in str(action.limit)


def test_default_limits_leave_a_new_account_alone(tmp_path) -> None:  # type: ignore[no-untyped-def]
    predictor = load(write_bundle(tmp_path / "bundle", tiny.files()).path)
    window = read_candles("BTCUSDT", tiny.newest(tiny.candles()), predictor.needs)
    assert predictor.act(window, AccountState())[1].limit is None
