"""A small planted market with a forecast trained on it: real bars, folds and stage outputs."""

import pandas as pd

from xrl import columns as c
from xrl.config import Config
from xrl.paths import Paths
from xrl.sandbox import worlds
from xrl.stages import labels

START = pd.Timestamp("2025-01-01", tz="UTC")
DAYS = 70


def smaller(config: Config, enabled: bool = True) -> Config:
    """Two symbols, two folds, and a forecast that trains in seconds."""
    forecast = {
        "enabled": enabled, "units": (4,), "dense": (3,), "epochs": 1, "batch": 64, "golden_pairs": 3,
    }  # fmt: skip
    return config.model_copy(
        update={
            "market": config.market.model_copy(update={"symbols": ("BTCUSDT", "SOLUSDT")}),
            "labels": config.labels.model_copy(update={"folds": (0, 1), "first_train_share": 0.7}),
            "backtest": config.backtest.model_copy(update={"bootstrap": 100}),
            "forecast": config.forecast.model_copy(update=forecast),
        }
    )


def bars(config: Config, days: int = DAYS) -> pd.DataFrame:
    """Symbol and columns.BAR of the planted world."""
    end, seed = START + pd.Timedelta(days=days), config.market.world_seed
    parts = [worlds.bars("planted", s, START, end, seed).assign(symbol=s) for s in config.market.symbols]
    return pd.concat(parts, ignore_index=True)[[c.SYMBOL, *c.BAR]]


def build(config: Config, paths: Paths) -> None:
    """Write stages snapshot and labels below `paths`."""
    paths.bars.parent.mkdir(parents=True)
    bars(config).to_parquet(paths.bars, index=False)
    labels.run(config, paths)
