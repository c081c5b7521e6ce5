"""What the policy's stages read, and the one way it becomes market tensors: training, backtest and refit.

Enters: stages/snapshot, stages/features and stages/oof. Leaves: scalers fitted on bars before a given time,
and the tensors scaled by them.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.account.contract import contract_of
from xrl.config import BacktestParams, LabelParams
from xrl.env.market import STATE_COLUMNS, MarketTensor, assemble
from xrl.errors import DataError
from xrl.features import scaling
from xrl.features.scaling import Scaler
from xrl.paths import Paths

_KEYS = [columns.SYMBOL, columns.TIMESTAMP]


@dataclass(frozen=True)
class PolicyInputs:
    """Bars, the policy's feature columns, and out-of-fold predictions with their blocks."""

    bars: pd.DataFrame  # symbol + columns.BAR
    features: pd.DataFrame  # symbol, timestamp + STATE_COLUMNS, unscaled
    predictions: pd.DataFrame  # symbol, timestamp, fold, probabilities of each model
    blocks: NDArray[np.float32]  # (rows of predictions, 2 w)
    labels: LabelParams
    costs: BacktestParams

    def scaler(self, known_by: pd.Timestamp) -> Scaler:
        """Scaler of STATE_COLUMNS, fitted on bars that open before `known_by`."""
        earlier = self.features[self.features[columns.TIMESTAMP] < known_by]
        return scaling.fit(earlier[list(STATE_COLUMNS)].to_numpy(np.float64), STATE_COLUMNS)

    def tensors(self, scaler: Scaler, blocks: NDArray[np.float32] | None = None) -> tuple[MarketTensor, ...]:
        """One tensor per symbol over all predicted bars; `blocks` in place of the out-of-fold ones."""
        return assemble(
            self.bars,
            self.features,
            self.predictions[_KEYS],
            self.blocks if blocks is None else blocks,
            scaler,
            self.labels.volatility_window,
            self.labels.horizon_bars,
            partial(contract_of, params=self.costs),
        )


def read_policy_inputs(paths: Paths, labels: LabelParams, costs: BacktestParams) -> PolicyInputs:
    """Read what earlier stages wrote.

    Raises:
        DataError: a stage has not run, or blocks and predictions differ in length.
    """
    for path, stage in (
        (paths.bars, "snapshot"),
        (paths.features, "features"),
        (paths.oof_predictions, "oof"),
        (paths.oof_blocks, "oof"),
    ):
        _require(path, stage)
    return PolicyInputs(
        bars=pd.read_parquet(paths.bars),
        features=pd.read_parquet(paths.features, columns=[*_KEYS, *STATE_COLUMNS]),
        predictions=pd.read_parquet(paths.oof_predictions),
        blocks=np.load(paths.oof_blocks),
        labels=labels,
        costs=costs,
    )


def naive(time: pd.Timestamp) -> np.datetime64:
    """A UTC timestamp as tensors hold it: numpy's, without a zone, in milliseconds."""
    return np.datetime64(time.tz_convert("UTC").tz_localize(None).to_datetime64(), "ms")


def _require(path: Path, stage: str) -> None:
    if not path.is_file():
        raise DataError(f"no {path.name} at {path}; run `xrl {stage}`")
