"""The LSTM predictor: 60 bars of 6 hours in; direction, change and confidence of the next one out.

Enters: series of `features.longbars` and the rows to learn from. Leaves: a network with its scaler,
predictions, an ONNX file. Network: LSTM 128, 64, 32, each with dropout 0.2 and batch norm, dense 32 with
dropout and 16 (product document M5). Its three outputs learn together: whether the next bar closes higher, by
how much, and whether the own call of the direction will be right.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from xrl.config import ForecastParams
from xrl.errors import TrainingError
from xrl.experts.proven import write_proven
from xrl.features import longbars, scaling
from xrl.features.scaling import Scaler

Array = NDArray[np.float64]

_PREDICT_BATCH = 1024
_SCALER_WINDOWS = 20_000
_CLIP_NORM = 1.0
#: Of the batch norms' running averages: a training here has a few hundred steps, Keras' 0.99 wants thousands.
_MOMENTUM = 0.9
_OUTPUTS = 3


class Said(NamedTuple):
    """What the network says of the bar after each window, each (n,)."""

    up: Array  # probability that it closes higher
    change: Array  # its log return
    right: Array  # probability that the direction called by `up` is right


@dataclass(frozen=True)
class Forecaster:
    """A trained network and what its numbers are measured in.

    Attributes:
        model: (batch, 60, 7) scaled windows -> (batch, 3): logit of up, change, logit of being right.
        scaler: of the windows, fitted on training windows.
        change_scale: log return that a change of 1 stands for: their deviation in training.
    """

    model: keras.Model
    scaler: Scaler
    change_scale: float

    def predict(self, series: Array, ends: NDArray[np.int64]) -> Said:
        """What is said at the closes of the bars `ends` of `series`; arguments as in `longbars.windows`."""
        found = np.empty((len(ends), _OUTPUTS))
        for start in range(0, len(ends), _PREDICT_BATCH):
            batch = ends[start : start + _PREDICT_BATCH]
            padded = np.pad(batch, (0, _PREDICT_BATCH - len(batch)), mode="edge")
            raw = self.model.predict_on_batch(_scaled(series, padded, self.scaler))
            found[start : start + len(batch)] = raw[: len(batch)]
        return Said(_sigmoid(found[:, 0]), found[:, 1] * self.change_scale, _sigmoid(found[:, 2]))


def build(params: ForecastParams) -> keras.Model:
    """A fresh network; weights follow from `keras.utils.set_random_seed`.

    Its last layer starts at zero, so that it begins by saying "even odds, no change".
    """
    x = hidden = keras.Input((longbars.BARS, len(longbars.COLUMNS)), name="x")
    for number, units in enumerate(params.units):
        whole = number < len(params.units) - 1
        hidden = keras.layers.LSTM(units, return_sequences=whole, name=f"lstm_{number}")(hidden)
        hidden = keras.layers.Dropout(params.dropout, name=f"lstm_{number}_drop")(hidden)
        hidden = keras.layers.BatchNormalization(momentum=_MOMENTUM, name=f"lstm_{number}_norm")(hidden)
    for number, units in enumerate(params.dense):
        hidden = keras.layers.Dense(units, activation="relu", name=f"dense_{number}")(hidden)
        if number < len(params.dense) - 1:
            hidden = keras.layers.Dropout(params.dropout, name=f"dense_{number}_drop")(hidden)
    return keras.Model(x, keras.layers.Dense(_OUTPUTS, kernel_initializer="zeros", name="heads")(hidden))


@keras.saving.register_keras_serializable(package="xrl")
class ForecastLoss(keras.losses.Loss):
    """Cross-entropy of the direction, Huber loss of the change, cross-entropy of "my call is right".

    Whether the call is right is read off the network's own direction, through which no gradient of the third
    part flows: confidence learns to judge the direction and cannot bend it. A bar without any change counts
    as half up and half right. Targets (batch, 1) are log returns in training deviations.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        outcome = ops.cast(y_true, y_pred.dtype)[:, 0]
        up, change, right = (y_pred[:, output] for output in range(_OUTPUTS))
        came_true = (ops.sign(up) * ops.sign(outcome) + 1.0) / 2.0
        miss = ops.abs(change - outcome)
        huber = ops.where(miss < 1.0, 0.5 * miss**2, miss - 0.5)
        risen = (ops.sign(outcome) + 1.0) / 2.0
        return _cross_entropy(risen, up) + huber + _cross_entropy(ops.stop_gradient(came_true), right)


def fit(
    series: Array, ends: NDArray[np.int64], outcome: Array, params: ForecastParams, seed: int
) -> Forecaster:
    """Train on the windows that end at `ends`.

    Args:
        series: (n, 7) of `longbars`, one symbol's bars after another's.
        ends: (m,) rows of training windows.
        outcome: (m,) log return of the bar after each.
        params: network and schedule.
        seed: of weights, dropout and order.

    Raises:
        TrainingError: nothing to learn from, an outcome that is not finite, or a loss that is not.
    """
    if not len(ends) or not np.isfinite(outcome).all() or not outcome.std() > 0:
        raise TrainingError(
            f"a forecast learns from finite, varying outcomes; received {len(ends)} windows. It needs "
            f"{longbars.REQUIRED_HOURS} hours before the first: take more days (`snapshot.days`)."
        )
    scaler, change_scale = _fitted_scaler(series, ends), float(outcome.std())
    keras.utils.set_random_seed(seed)
    model = build(params)
    batches = _Batches(
        series, ends, outcome / change_scale, scaler, params.batch, np.random.default_rng(seed)
    )
    rate = keras.optimizers.schedules.CosineDecay(params.learning_rate, len(batches) * params.epochs)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=params.weight_decay, global_clipnorm=_CLIP_NORM)
    model.compile(optimizer=optimizer, loss=ForecastLoss(), jit_compile=False)
    losses = model.fit(batches, epochs=params.epochs, shuffle=False, verbose=0).history["loss"]
    if not np.isfinite(losses).all():
        raise TrainingError(f"the forecast's loss became {losses[-1]}; lower `forecast.learning_rate`")
    return Forecaster(model, scaler, change_scale)


def to_onnx(forecaster: Forecaster, path: Path, tolerance: float = 1e-4) -> float:
    """Write the network with outputs `up`, `change` (in `change_scale`) and `right`, (batch, 1) each.

    Returns and raises as `write_proven`.
    """

    def serve(x: Any) -> dict[str, Any]:
        up, change, right = ops.split(forecaster.model(x, training=False), _OUTPUTS, axis=-1)
        return {"up": ops.sigmoid(up), "change": change, "right": ops.sigmoid(right)}

    return write_proven(serve, (longbars.BARS, len(longbars.COLUMNS)), path, tolerance)


class _Batches(keras.utils.PyDataset):
    """Shuffled training windows, gathered and scaled a batch at a time; a last, smaller batch is left out."""

    def __init__(
        self,
        series: Array,
        ends: NDArray[np.int64],
        outcome: Array,
        scaler: Scaler,
        batch: int,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self._series, self._ends, self._outcome, self._scaler = series, ends, outcome, scaler
        self._batch, self._rng = min(batch, len(ends)), rng
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self._ends) // self._batch

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        chosen = self._order[index * self._batch : (index + 1) * self._batch]
        x = _scaled(self._series, self._ends[chosen], self._scaler)
        return x, self._outcome[chosen, None].astype(np.float32)

    def on_epoch_end(self) -> None:
        self._order = self._rng.permutation(len(self._ends))


def _fitted_scaler(series: Array, ends: NDArray[np.int64]) -> Scaler:
    """Fitted on all training windows, or on so many of them, evenly spread, as fit into memory at once."""
    some = longbars.windows(series, ends[:: -(-len(ends) // _SCALER_WINDOWS)])
    return scaling.fit(some.reshape(-1, len(longbars.COLUMNS)), longbars.COLUMNS)


def _scaled(series: Array, ends: NDArray[np.int64], scaler: Scaler) -> NDArray[np.float32]:
    return scaler.transform(longbars.windows(series, ends))


def _cross_entropy(target: Any, logit: Any) -> Any:
    return ops.softplus(logit) - target * logit


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))
