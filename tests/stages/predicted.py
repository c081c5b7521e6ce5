"""A workspace with real bars, features and labels, and predictions by a noisy oracle."""

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from scipy.stats import norm

from xrl import columns as c
from xrl.config import Config
from xrl.labels import folds
from xrl.paths import Paths
from xrl.sandbox import worlds
from xrl.stages import features, labels

START = pd.Timestamp("2025-01-01", tz="UTC")


def smaller(config: Config, symbols: tuple[str, ...], laid: int) -> Config:
    """The same recipe on fewer symbols and folds, with a short training of the policy."""
    policy = {
        "clone_steps": 120, "clone_epochs": 6, "clone_batch": 512, "timesteps": 8192, "accounts": 64,
        "batch": 2048, "update_epochs": 2, "hidden": (16, 16),
    }  # fmt: skip
    return config.model_copy(
        update={
            "market": config.market.model_copy(update={"symbols": symbols}),
            "labels": config.labels.model_copy(update={"folds": tuple(range(laid))}),
            "policy": config.policy.model_copy(update=policy),
            "backtest": config.backtest.model_copy(update={"bootstrap": 200, "random_timing_runs": 20}),
        }
    )


def build(config: Config, paths: Paths, days: int, world: str = "planted") -> None:
    """Write stages snapshot, features, labels and oof below `paths`."""
    end = START + pd.Timedelta(days=days)
    seed = config.market.world_seed
    parts = [worlds.bars(world, s, START, end, seed).assign(symbol=s) for s in config.market.symbols]
    paths.bars.parent.mkdir(parents=True)
    pd.concat(parts, ignore_index=True)[[c.SYMBOL, *c.BAR]].to_parquet(paths.bars, index=False)
    features.run(config, paths)
    labels.run(config, paths)
    _predict(paths, world, seed)


def _predict(paths: Paths, world: str, seed: int) -> None:
    """Class probabilities of two experts that see the oracle's score through noise of its own size."""
    laid, _ = folds.load(paths.folds)
    rng = np.random.default_rng(0)
    keys = pd.read_parquet(paths.labels, columns=[c.SYMBOL, c.TIMESTAMP])
    parts = []
    for symbol, own in keys.groupby(c.SYMBOL, sort=False):
        time = pd.DatetimeIndex(own[c.TIMESTAMP])
        known = worlds.oracle(str(symbol), time, seed, world=world).score
        rows = own.assign(**{c.FOLD: -1})
        for fold in laid:
            rows.loc[(time >= fold.test_start) & (time < fold.test_end), c.FOLD] = fold.index
        for expert in c.EXPERTS:
            noise = 0.15 * lfilter([0.44], [1.0, -0.9], rng.standard_normal(len(time)))
            rows[list(c.probability_columns(expert))] = _probabilities((known + noise) / 1.5)
        parts.append(rows[rows[c.FOLD] >= 0])
    table = pd.concat(parts, ignore_index=True)
    for name, *both in zip(
        c.probability_columns("committee"), *(c.probability_columns(expert) for expert in c.EXPERTS)
    ):
        table[name] = table[both].mean(axis=1)
    for model in (*c.EXPERTS, "committee"):
        table[c.uncertainty_column(model)] = 0.01
    blocks = table[[*c.probability_columns("pattern"), *c.probability_columns("indicator")]]
    paths.oof_predictions.parent.mkdir(parents=True)
    table.to_parquet(paths.oof_predictions, index=False)
    np.save(paths.oof_blocks, blocks.to_numpy(np.float32))


def _probabilities(mean: np.ndarray) -> np.ndarray:
    """SELL, HOLD, BUY of a score with this mean and unit deviation, cut at +-0.44. (n,) -> (n, 3)"""
    sell, not_buy = norm.cdf(-0.44 - mean), norm.cdf(0.44 - mean)
    return np.stack([sell, not_buy - sell, 1.0 - not_buy], axis=1)
