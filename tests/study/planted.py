"""A small planted world as files of candles, and parameters under which everything here trains in seconds."""

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from xrl import columns as c
from xrl.sandbox import worlds

ROOT = Path(__file__).parents[2]
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
START, DAYS, TEST_DAYS = pd.Timestamp("2025-01-01", tz="UTC"), 150, 40
#: A network of a few hundred weights that trains for one epoch.
TINY: dict[str, dict[str, Any]] = {
    "network": {"units": 4, "memory_size": 4},
    "schedule": {"epochs": 1, "average_epochs": 1},
}


def write_files(folder: Path) -> None:
    """Candles and funding in the layout of real files."""
    folder.mkdir()
    for symbol in SYMBOLS:
        bars = worlds.bars("planted", symbol, START, START + pd.Timedelta(days=DAYS), 7)
        bars[[c.TIMESTAMP, *c.OHLCV]].to_parquet(folder / f"binance_perp_{symbol}_1h.parquet")
        settled = bars.loc[bars[c.FUNDING_RATE].notna(), [c.TIMESTAMP, c.FUNDING_RATE]]
        settled.to_parquet(folder / f"binance_perp_{symbol}_funding.parquet")


def write_params(folder: Path) -> None:
    """params.yaml of this checkout with two folds, three symbols and a short bootstrap."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["labels"]["folds"] = [0, 1]
    params["market"]["symbols"] = list(SYMBOLS)
    params["experts"] |= {"window_bars": 30, "override": TINY}
    params["backtest"].update(bootstrap=100, random_timing_runs=20)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
