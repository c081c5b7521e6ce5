"""Simulated prediction tracks, at the level that the promotion gate judges. No model is trained.

Enters: a world of `xrl.sandbox.worlds`, a seed, what its models see. Leaves: every predicted bar of all
symbols with its outcome and the class probabilities of a committee and of a rival, cut into the same purged
folds as any training's, and the bars to trade on.

A model reads, through noise of its own, what the world's oracle knows at each close: the expected return over
the horizon and how far prices will spread. Where there is nothing to know (`random_walk`), it reads noise for
direction, and foresees volatility, which clusters there as in the planted world.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtr

from xrl import columns as c
from xrl.account.contract import contract_of
from xrl.backtest import ceiling
from xrl.config import Config
from xrl.env.market import MarketTensor
from xrl.labels import folds
from xrl.labels.classes import classes, return_bounds
from xrl.labels.folds import Fold
from xrl.sandbox import worlds
from xrl.stages.labels import label_table

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

START: Final = worlds.WORLD_START + pd.Timedelta(days=14)
#: Of the planted world's oracle: deviation of the return that it expects, mean and deviation of the log of
#: how far it expects prices to spread, in units of the label's volatility. A model shrinks what it reads so.
SIGNAL: Final = 0.24
SPREAD: Final = (0.11, 0.26)
MODELS: Final = ("committee", "lightgbm")


@dataclass(frozen=True)
class Sight:
    """What the models of a track see; all in units of the score."""

    noise: float  # of the committee's reading of direction
    rival_noise: float
    shared: float  # share of the two noises' variance that both have
    market: float  # share of it that a model has on all symbols alike
    spread_noise: float  # of the reading of log spread, of either
    persistence: float  # how long a model errs on the same side: AR(1) coefficient of its noise, a bar
    shared_spread: float = 0.0  # share of the noise of log spread that both models have
    conviction: float = 1.0  # of what it reads of direction, how much it believes beyond a normal shrinkage


class Simulated(NamedTuple):
    """A track before it is judged; rows as `stages.backtest` has them, symbol by symbol."""

    rows: pd.DataFrame
    tensors: tuple[MarketTensor, ...]  # of all predicted bars
    laid: tuple[Fold, ...]


def simulate(world: str, seed: int, days: int, sight: Sight, config: Config) -> Simulated:
    """One market, and what a committee and a rival said of it.

    Args:
        world: `planted` or `random_walk`.
        seed: of the world and of the models' noise.
        days: length of the history; folds as `config.labels` lays them.
        sight: of the models.
        config: sections market (symbols), labels.
    """
    end = START + pd.Timedelta(days=days)
    parts = [worlds.bars(world, name, START, end, seed).assign(symbol=name) for name in config.market.symbols]
    bars = pd.concat(parts, ignore_index=True)
    labels = label_table(bars, config.labels)
    hour = pd.Timedelta(hours=1)
    laid = folds.fit_cuts(labels, folds.walk_forward(START, end, hour, config.labels), config.labels)
    rng = np.random.default_rng((seed, 1))
    said = pd.concat(
        [_said(world, own, laid, sight, seed, rng) for _, own in labels.groupby(c.SYMBOL, sort=False)]
    )
    predicted = (said[c.FOLD] >= 0).to_numpy()
    rows = pd.concat([labels, said], axis=1)[predicted].reset_index(drop=True)
    tensors = tuple(_tensor(own, config) for _, own in bars.groupby(c.SYMBOL, sort=False))
    first, last = _naive(laid[0].test_start), _naive(laid[-1].test_end)
    return Simulated(
        _classed(rows, laid, config), tuple(tensor.between(first, last) for tensor in tensors), laid
    )


def _said(
    world: str, own: pd.DataFrame, laid: tuple[Fold, ...], sight: Sight, seed: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Fold and probabilities of both models for one symbol's bars."""
    time = pd.DatetimeIndex(own[c.TIMESTAMP])
    knows = worlds.oracle(str(own[c.SYMBOL].iloc[0]), time, seed, world=world)
    volatility = own[c.VOLATILITY].to_numpy(np.float64)
    expected, spread = knows.expected_return / volatility, np.log(knows.deviation / volatility)
    everywhere = np.random.default_rng((seed, 2))  # the same draws for every symbol
    if world != "planted":
        expected = SIGNAL * _error(
            rng, everywhere, len(time), sight
        )  # nothing is known, and read all the same
    fold, both = np.full(len(time), -1), _error(rng, everywhere, len(time), sight)
    said = {name: np.full(len(time), np.nan) for model in MODELS for name in c.probability_columns(model)}
    spread_both = _noise(rng, len(time), sight) if sight.shared_spread else np.zeros(len(time))
    for model, noise in zip(MODELS, (sight.noise, sight.rival_noise)):
        own_error = _error(rng, everywhere, len(time), sight)
        error = np.sqrt(sight.shared) * both + np.sqrt(1 - sight.shared) * own_error
        mean = sight.conviction * _trust(SIGNAL, noise) * (expected + noise * error)
        spread_own = _noise(rng, len(time), sight)
        misread = np.sqrt(sight.shared_spread) * spread_both + np.sqrt(1 - sight.shared_spread) * spread_own
        off = spread - SPREAD[0] + sight.spread_noise * misread
        deviation = np.exp(SPREAD[0] + _trust(SPREAD[1], sight.spread_noise) * off)
        for one in laid:
            inside = np.asarray((time >= one.test_start) & (time < one.test_end))
            past = np.asarray(time < one.train_end) & np.isfinite(deviation)
            found = _probabilities(mean, deviation, one, inside, past)
            fold[inside] = one.index
            for name, values in zip(c.probability_columns(model), found.T):
                said[name][inside] = values
    return pd.DataFrame({c.FOLD: fold, **said}, index=own.index)


def _probabilities(mean: Array, deviation: Array, fold: Fold, asked: Mask, past: Mask) -> Array:
    """SELL, HOLD, BUY of a normal score under the fold's cut-offs, right on average before; (asked, 3)."""

    def raw(rows: Mask) -> Array:
        below_low, below_high = (
            ndtr((cut - mean[rows]) / deviation[rows]) for cut in (fold.cut_low, fold.cut_high)
        )
        return np.stack([below_low, below_high - below_low, 1.0 - below_high], axis=1)

    found = raw(asked) / raw(past).mean(axis=0)  # the classes are near thirds there by their cut-offs
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def _trust(signal: float, noise: float) -> float:
    """How much of a reading is signal: the share of its variance."""
    return signal**2 / (signal**2 + noise**2)


def _error(rng: np.random.Generator, everywhere: np.random.Generator, bars: int, sight: Sight) -> Array:
    """Noise of unit deviation, a part of it the same on all symbols. (bars,)"""
    own, common = _noise(rng, bars, sight), _noise(everywhere, bars, sight)
    return np.asarray(np.sqrt(1 - sight.market) * own + np.sqrt(sight.market) * common)


def _noise(rng: np.random.Generator, bars: int, sight: Sight) -> Array:
    """Persistent noise of unit deviation, stationary from the first bar on. (bars,)"""
    shocks = rng.standard_normal(bars) * np.sqrt(1 - sight.persistence**2)
    shocks[0] /= np.sqrt(1 - sight.persistence**2)
    return np.asarray(lfilter([1.0], [1.0, -sight.persistence], shocks))


def _classed(rows: pd.DataFrame, laid: tuple[Fold, ...], config: Config) -> pd.DataFrame:
    """The rows with their class by their fold's cut-offs, and the returns between which it is HOLD."""
    label, low, high = (np.full(len(rows), np.nan) for _ in range(3))
    for fold in laid:
        own = (rows[c.FOLD] == fold.index).to_numpy()
        found = classes(rows[own], fold)
        label[own] = np.where(found == c.UNKNOWN, np.nan, found)
        bounds = return_bounds(rows[own], fold, config.labels.kind)
        if bounds is not None:
            low[own], high[own] = bounds
    return rows.assign(**{c.LABEL: label, ceiling.RETURN_LOW: low, ceiling.RETURN_HIGH: high})


def _tensor(own: pd.DataFrame, config: Config) -> MarketTensor:
    """One symbol's bars as accounts trade them; what only a policy reads is empty."""
    count = len(own)
    funding = own[c.FUNDING_RATE].to_numpy(np.float64)
    empty = np.zeros((count, 0), np.float32)
    return MarketTensor(
        symbol=str(own[c.SYMBOL].iloc[0]),
        timestamp=own[c.TIMESTAMP].dt.tz_localize(None).to_numpy("datetime64[ms]"),
        prices=own[[c.OPEN, c.HIGH, c.LOW, c.CLOSE]].to_numpy(np.float64),
        funding=np.nan_to_num(funding),
        funding_last=np.zeros(count),
        volatility=np.zeros(count),
        unrest=np.zeros(count),
        volume=np.zeros(count),
        block=empty,
        market=empty,
        regime=empty,
        contract=contract_of(str(own[c.SYMBOL].iloc[0]), config.backtest),
    )


def _naive(time: pd.Timestamp) -> np.datetime64:
    return np.datetime64(time.tz_localize(None).to_datetime64(), "ms")
