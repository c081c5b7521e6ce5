"""One loaded bundle: candles in, probabilities and actions out, the same numbers as the batch path.

Enters: a verified bundle folder, then checked candles and account states. Leaves: predictions and actions. It
loads ONNX and JSON and nothing else; TensorFlow, torch and ccxt are never imported.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl import columns
from xrl.account.contract import contract_of
from xrl.account.costs import Terms, terms_of
from xrl.account.orders import Order, market_order, target_after
from xrl.account.risk import Guard, allowed, explained, limits_of, new_guard, watched
from xrl.account.step import Account, margined
from xrl.config import BacktestParams, FeatureParams, LabelParams, load_settings
from xrl.env.observation import account_features, observation, observation_width
from xrl.errors import BundleError, ConfigError, DataError, RequestError
from xrl.evaluation.committee import Vote, vote
from xrl.features import coverage, table
from xrl.features.context import Context
from xrl.features.feature import Feature
from xrl.features.scaling import Scaler
from xrl.market.candles import horizon_volatility
from xrl.registry.bundle import Bundle, Parity, open_bundle
from xrl.serve import forecast, sources
from xrl.serve.candles import Needs, Window, read_candles
from xrl.serve.onnx_model import OnnxModel

_STATE = (*columns.MARKET_STATE, *columns.REGIME_STATE)
_SPLIT = len(columns.MARKET_STATE)
_DAY_MS = 86_400_000
#: Largest difference between served and trained probabilities; a bundle may ask for less, never for more.
MAX_PARITY: Final = 1e-4
_OUTPUTS: Final = ("probabilities", "block", "uncertainty")  # of every expert
_DUST: Final = 1e-9  # quote currency; less is no money
_EMPTY: Final = "the account holds no money: nothing can be traded until some is put in"
#: What reading a file of another shape than expected raises; pydantic's and JSON's errors are ValueErrors.
_MALFORMED: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


class AccountState(NamedTuple):
    """A sub-account as its owner knows it at the newest close."""

    exposure: float = 0.0  # signed notional / equity
    equity: float = 1.0  # quote currency
    peak_equity: float = 1.0  # largest equity at any close so far
    entry_price: float = 0.0  # average fill price; 0 when flat
    bars_held: int = 0  # closes seen by the position; 0 when flat
    bars_since_trade: int = 0
    last_trade_return: float = 0.0  # log return of the last closed trade in its favour
    target_exposure: float | None = None  # last asked for; None: `exposure`
    was_liquidated: bool = False  # since the last answer
    guard: Guard | None = (
        None  # what the risk limits remember, as the last answer gave it; None: a new account
    )


class Prediction(NamedTuple):
    """What the experts say of the newest bar."""

    timestamp: int  # its open, milliseconds UTC
    probabilities: NDArray[np.float64]  # (3,) committee: weighted mean of the experts
    experts: dict[str, NDArray[np.float64]]  # (3,) each
    uncertainty: float  # of the committee: mutual information of all who vote, nats
    expert_uncertainty: dict[str, float]  # of each expert's own members
    direction: str  # of `columns.CLASSES`
    confidence: float  # training percentile of |P(BUY) - P(SELL)|, 0..1
    leaning: dict[str, float]  # per expert: training percentile of P(BUY) / (P(BUY) + P(SELL)), 0..1


class Action(NamedTuple):
    """What the policy does, given an account."""

    action: str  # of `columns.ACTIONS`
    target_exposure: float  # signed multiples of equity, after the risk limits
    probabilities: NDArray[np.float64]  # (10,) in the order of `columns.ACTIONS`
    rebalances: bool  # trade back to the target although it already stands
    limit: str | None  # what the risk limits forbid now, a sentence
    guard: Guard  # to be sent with the next request for this account


@dataclass(frozen=True)
class _Seen:
    """Everything computed from one window of candles."""

    prediction: Prediction
    block: NDArray[np.float32]  # (width,)
    state: NDArray[np.float32]  # (15,) scaled MARKET_STATE | REGIME_STATE


class Predictor:
    """The models of one bundle, ready to answer. Build it with `load`."""

    def __init__(self, bundle: Bundle) -> None:
        """Load `bundle`, whose checksums `open_bundle` found right.

        Raises:
            BundleError: a file does not fit the others or this version of the features; it is named.
        """
        try:
            self._read(bundle)
        except (ConfigError, DataError, *_MALFORMED) as error:
            raise BundleError(
                f"{bundle.path} cannot be loaded ({error!r}); train again, or serve it with the version of "
                "xrl that wrote it"
            ) from error

    def _read(self, bundle: Bundle) -> None:
        spec = bundle.json("features.json")
        labels = bundle.json("labels.json")
        self.digest = bundle.digest
        self.lineage: dict[str, Any] = bundle.json("lineage.json")
        held = self.lineage.get("holdout")
        newest = self.lineage["trained_through"] if held is None else held["end"]
        self._known_ms = datetime.fromisoformat(newest).timestamp() * 1000
        self._features = FeatureParams.model_validate(spec["params"])
        _check_functions(bundle, self._features)
        declared = table.declared(self._features)
        self._labels = LabelParams.model_validate(labels["params"])
        self._quantiles = {
            name: np.asarray(values, dtype=np.float64) for name, values in labels["percentiles"].items()
        }
        self._costs = BacktestParams.model_validate(bundle.json("account.json"))
        self.terms: Terms = terms_of(self._costs)
        self._limits = limits_of(self._costs.risk)
        self._window = int(spec["window_bars"])
        self._shares = {str(name): float(share) for name, share in spec["committee"].items()}
        order = [name for name in columns.VOTERS if name in self._shares]  # that of the policy's blocks
        self._scalers = {
            name: _scaler(bundle, name, spec["schemas"][name], declared) for name in (*order, "policy")
        }
        neutral = set(spec["neutral"])  # columns held at 0: they never moved in the training market
        self._neutral = table.positions(sorted(neutral), declared)
        read = {column for scaler in self._scalers.values() for column in scaler.columns} - neutral
        self._sources = sources.needed(read, self._window, declared)
        others = sources.others(read, self._window, self._features.context, declared)
        self.needs = Needs(tuple(spec["symbols"]), int(spec["required_bars"]), int(spec["bar_ms"]), *others)
        self._positions = {
            name: table.positions(scaler.columns, declared) for name, scaler in self._scalers.items()
        }
        self._bars = {name: 1 if name == columns.BOOSTED else self._window for name in order}
        self._experts = {name: self._expert(bundle, name) for name in order}
        width = sum(model.width("block") for model in self._experts.values())
        self._policy = OnnxModel(
            bundle.path / "policy.onnx", (observation_width(width),), ("action_probabilities",)
        )
        self.forecaster = forecast.read(bundle)

    def _expert(self, bundle: Bundle, name: str) -> OnnxModel:
        width = len(self._scalers[name].columns)
        shape = (width,) if name == columns.BOOSTED else (self._window, width)
        return OnnxModel(bundle.path / f"{name}.onnx", shape, _OUTPUTS)

    def predict(self, window: Window) -> Prediction:
        """Probabilities, direction and confidence for the newest bar of `window`.

        Raises:
            RequestError: a feature cannot be computed from these candles.
        """
        return self._see(window).prediction

    def act(self, window: Window, account: AccountState) -> tuple[Prediction, Action]:
        """The policy's action for an account at the newest close; ties go to the first action."""
        seen = self._see(window)
        asking = account if account.equity >= _DUST else AccountState()  # an empty one is answered below
        seen_by_policy = observation(
            seen.block, seen.state[:_SPLIT], self._account_features(window, asking), seen.state[_SPLIT:]
        )
        if not np.isfinite(seen_by_policy).all():
            raise RequestError(
                "the account gives no finite observation; send exposure, equity and prices in quote currency"
            )
        [probabilities] = self._policy(seen_by_policy[None])  # (1, 10)
        chosen = int(probabilities[0].argmax())
        standing = account.exposure if account.target_exposure is None else account.target_exposure
        target = float(target_after.py_func(chosen, standing, self.terms.max_leverage))
        sent, why, guard = self._limited(window, account, target)
        decided = columns.ACTIONS[chosen], float(sent.target), probabilities[0].astype(np.float64)
        return seen.prediction, Action(*decided, sent.rebalances > 0.0, why, guard)

    def _limited(self, window: Window, state: AccountState, target: float) -> tuple[Order, str | None, Guard]:
        """What the risk limits leave of a target, why, and what they remember; uncompiled: one account."""
        account, asked = _account(state, window.close), market_order.py_func(target)
        opened = float(window.timestamp[-1])
        guard = state.guard or new_guard.py_func(opened, account.equity)
        closed = opened + self.needs.bar_ms
        guard = watched.py_func(guard, account, state.was_liquidated, closed, self._limits)
        if state.equity < _DUST:
            return market_order.py_func(0.0), _EMPTY, guard
        sent = allowed.py_func(asked, account, window.close, guard, self._limits)
        return sent, explained(asked, sent, guard), guard

    def is_stale(self, timestamp_ms: int) -> bool:
        """Whether a bar is so long after the last one the model learned from that it should be trained anew.

        Market time decides, so that a replayed year is judged like a live one. Days that were held out are
        counted apart: training again would hold out as many, so it counts from their end where there are any.
        """
        age_days = (timestamp_ms - self._known_ms) / _DAY_MS
        return age_days > float(self.lineage["stale_after_days"])

    def _see(self, window: Window) -> _Seen:
        times = window.timestamp.astype("datetime64[ms]")
        among = Context(window.symbol, window.context)
        built = table.build(window.bars, times, self._features, among)
        sources.check(built, window, self._sources)
        matrix = coverage.neutralise(built[-self._window :], self._neutral)  # (window, features)
        experts: dict[str, Vote] = {}
        blocks = []
        for name, model in self._experts.items():
            scaled = self._scaled(name, matrix[-self._bars[name] :])  # (bars, columns)
            self._check_known(name, scaled)
            seen = scaled if name == columns.BOOSTED else scaled[None]
            probabilities, block, uncertainty = model(seen)  # (1, 3), (1, w), (1, 1)
            experts[name] = Vote(*(np.asarray(x, np.float64) for x in (probabilities[0], uncertainty[0, 0])))
            blocks.append(block[0])
        state = np.nan_to_num(self._scaled("policy", matrix[-1:])[0], nan=0.0)  # (15,), as in training
        return _Seen(self._prediction(int(window.timestamp[-1]), experts), np.concatenate(blocks), state)

    def _scaled(self, name: str, matrix: NDArray[np.float64]) -> NDArray[np.float32]:
        """Columns of `name` on their training scale; NaN where unknown."""
        return self._scalers[name].transform(matrix[:, self._positions[name]])

    def _check_known(self, name: str, scaled: NDArray[np.float32]) -> None:
        """Abstain rather than guess: no expert was trained on an unknown value."""
        unknown = np.flatnonzero(np.isnan(scaled).any(axis=0))
        if len(unknown):
            names = [self._scalers[name].columns[j] for j in unknown]
            raise RequestError(
                f"the candles give no value of {', '.join(names[:3])} ({len(names)} features); "
                "prices or volumes are out of range: send them in quote currency and in coins"
            )

    def _prediction(self, timestamp: int, experts: dict[str, Vote]) -> Prediction:
        committee, uncertainty = vote(experts, self._shares)  # (3,), ()
        spread = abs(float(committee[columns.BUY] - committee[columns.SELL]))
        return Prediction(
            timestamp=timestamp,
            probabilities=committee,
            experts={name: own.probabilities for name, own in experts.items()},
            uncertainty=float(uncertainty),
            expert_uncertainty={name: float(own.uncertainty) for name, own in experts.items()},
            direction=columns.CLASSES[int(committee.argmax())],
            confidence=self._percentile("confidence", spread),
            leaning={
                name: self._percentile(name, leaning(own.probabilities)) for name, own in experts.items()
            },
        )

    def _percentile(self, name: str, value: float) -> float:
        """Where `value` lies among its training quantiles, 0..1."""
        grid = self._quantiles[name]
        return float(np.interp(value, grid, np.linspace(0.0, 1.0, len(grid))))

    def _account_features(self, window: Window, account: AccountState) -> NDArray[np.float64]:
        close = window.close
        sigma = horizon_volatility(
            window.bars[columns.CLOSE][-self._labels.volatility_window - 1 :],
            self._labels.volatility_window,
            self._labels.horizon_bars,
        )[-1]
        rates = window.bars[columns.FUNDING_RATE]
        settled = rates[~np.isnan(rates)]
        funding_rate_last = float(settled[-1]) if len(settled) else 0.0
        held = margined(_account(account, close), contract_of(window.symbol, self._costs))
        features: NDArray[np.float64] = account_features(
            held, close, float(sigma), funding_rate_last, self.terms.max_leverage
        )
        return features


def load(path: Path, expected_digest: str | None = None) -> Predictor:
    """Verify the bundle at `path`, load it and replay its golden pairs.

    Raises:
        BundleError: it is damaged, does not fit this version, or computes something else than in training.
    """
    bundle = open_bundle(path, expected_digest)
    predictor = Predictor(bundle)
    parity = _replayed(bundle, predictor, MAX_PARITY)
    bound = min(parity.own_bound, MAX_PARITY)
    if parity.difference > bound or parity.disagreements:
        raise BundleError(
            f"{path / 'golden.json'}: the models compute something else than in training: expected "
            f"differences <= {bound:g}, received {parity.difference:.3g} and {parity.disagreements} "
            "other decisions; serve it with the version of xrl that wrote it, or train again"
        )
    return predictor


def replay_bundle(bundle: Bundle, bound: float = MAX_PARITY) -> Parity:
    """Load a verified bundle and replay its golden pairs; `bound` is the judge's, not the bundle's.

    Raises:
        BundleError: it cannot be loaded, or its golden pairs cannot be asked.
    """
    return _replayed(bundle, Predictor(bundle), bound)


def _replayed(bundle: Bundle, predictor: Predictor, bound: float) -> Parity:
    try:
        return replay(predictor, bundle.json("golden.json"), bound)
    except (RequestError, DataError, *_MALFORMED) as error:
        raise BundleError(
            f"{bundle.path / 'golden.json'} cannot be replayed ({error!r}); write the bundle again"
        ) from error


def replay(predictor: Predictor, golden: Mapping[str, Any], bound: float = MAX_PARITY) -> Parity:
    """Answer every golden pair and compare with what the batch path computed.

    Raises:
        ValueError, LookupError, TypeError: `golden` is not what the stage `bundle` writes.
        RequestError: a pair cannot be answered.
    """
    own_bound = float(golden["tolerance"])
    if not golden["pairs"] or not 0.0 < own_bound < math.inf:
        raise ValueError("no golden pairs, or a tolerance that is no positive number")
    apart = min(bound, own_bound)
    difference, disagreements = 0.0, 0
    for pair in golden["pairs"]:
        window = read_candles(pair["symbol"], pair["candles"], predictor.needs, pair.get("context", {}))
        prediction, action = predictor.act(window, AccountState(**pair["account"]))
        differing = np.array([*prediction.expert_uncertainty.values(), prediction.uncertainty])
        found = {**prediction.experts, "committee": prediction.probabilities, "uncertainty": differing}
        found["action"] = action.probabilities
        for name, values in found.items():
            expected = np.asarray(pair["expected"][name], dtype=np.float64)
            difference = max(difference, _largest(values, expected))
            if name in ("committee", "action"):
                disagreements += _decides_otherwise(values, expected, apart)
    if predictor.forecaster is not None:
        difference = max(difference, predictor.forecaster.replayed(predictor.needs))
    return Parity(difference, disagreements, own_bound)


def _largest(found: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """Largest absolute difference; infinite where a number is unknown."""
    if found.shape != expected.shape:
        raise ValueError(f"expected {found.shape} probabilities, received {expected.shape}")
    apart = float(np.abs(found - expected).max())
    return apart if math.isfinite(apart) else math.inf


def leaning(probabilities: NDArray[np.float64]) -> float:
    """P(BUY) / (P(BUY) + P(SELL)) of one bar's (3,) probabilities; 0.5 where both are 0."""
    sides = float(probabilities[columns.BUY] + probabilities[columns.SELL])
    return float(probabilities[columns.BUY]) / sides if sides > 0 else 0.5


def _decides_otherwise(found: NDArray[np.float64], expected: NDArray[np.float64], tolerance: float) -> bool:
    """Whether the largest entry differs although the expected top two stand clearly apart."""
    second, first = np.sort(expected)[-2:]
    return bool(first - second > tolerance and found.argmax() != expected.argmax())


def _account(state: AccountState, close: float) -> Account:
    """The account of `account.step` that has this state at `close`, but for its liquidation price."""
    quantity = state.exposure * state.equity / close
    entry = state.entry_price if quantity else 0.0
    return Account(
        wallet=float(state.equity - quantity * (close - entry)),
        quantity=float(quantity),
        entry=float(entry),
        target=float(state.exposure),
        equity=float(state.equity),
        peak=float(max(state.peak_equity, state.equity)),
        held=float(state.bars_held),
        idle=float(state.bars_since_trade),
        last_trade=float(state.last_trade_return),
        liquidation=0.0,
        stop=0.0,
        take_profit=0.0,
    )


def _check_functions(bundle: Bundle, params: FeatureParams) -> None:
    """Refuse to run code that a bundle names, unless whoever runs the server allows its module."""
    allowed = load_settings().allowed_modules
    for feature in params.extra:
        module = (feature.function or "").partition(":")[0]
        if module and module not in allowed:
            raise BundleError(
                f"{bundle.path} reads the feature `{feature.name}`, a function of the module `{module}`, and "
                "brings it by its name alone; put the module where the server finds it and name it in "
                "XRL_FEATURE_MODULES"
            )


def _scaler(bundle: Bundle, name: str, schema: str, declared: Sequence[Feature]) -> Scaler:
    file = bundle.path / f"scaler_{name}.json"
    try:
        scaler = Scaler.from_json(file.read_text())
        received = table.schema_hash(scaler.columns, declared)
    except (DataError, json.JSONDecodeError) as error:
        raise BundleError(f"{file}: {error}") from error
    if received != schema:
        raise BundleError(
            f"{file} was fitted on other features: expected schema {schema[:12]}, received {received[:12]}; "
            "serve it with the version of xrl that wrote it, or train again"
        )
    if name == "policy" and scaler.columns != _STATE:
        raise BundleError(f"{file} must hold {', '.join(_STATE)}; received {', '.join(scaler.columns)}")
    return scaler
