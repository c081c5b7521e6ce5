"""Section `backtest` as params.yaml has it, for tests of the rooms that read it."""

from pathlib import Path
from typing import Final

from xrl.config import BacktestParams, load_config

PARAMS: Final[BacktestParams] = load_config(Path(__file__).parents[2] / "params.yaml").backtest
