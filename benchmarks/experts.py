"""The experts: a training step against two Keras LSTMs, memory of a training, windows in onnxruntime.

Import it in a fresh process after `backend.prepare()`: the peak memory is counted from what the imports take.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from benchmarks.material import config
from benchmarks.memory import peak_growth_bytes
from benchmarks.timing import median_seconds, side_by_side
from xrl.columns import CLASSES, EMBEDDING_WIDTH
from xrl.experts import losses, train
from xrl.experts.backend import compiles
from xrl.experts.export import to_onnx
from xrl.experts.loop import Loop
from xrl.experts.model import Expert, build_expert
from xrl.experts.windows import Rows
from xrl.presets import PRESETS, Schedule, chosen
from xrl.serve.onnx_model import OnnxModel

_BATCH, _WINDOW, _COLUMNS = 256, 60, 40
_SEED = 0


def measure(
    windows: int = 240_000, columns: int = 90, steps: int = 3, repetitions: int = 5, answers: int = 500
) -> dict[str, float]:
    """Figures of group `experts`; peak memory only where Linux tells it."""
    peak_gb = _peak_gb(windows, columns)
    network = PRESETS["source"].network
    expert = build_expert(_COLUMNS, _WINDOW, network)
    ours, theirs = _step_seconds(expert, steps, repetitions)
    scalar = build_expert(_COLUMNS, _WINDOW, network.model_copy(update={"blocks": "sm"}))
    return {
        **({} if peak_gb is None else {"experts.windows_peak_gb": peak_gb}),
        "experts.step_cpu_ratio_vs_lstm": ours / theirs,
        "yardstick.lstm_step_cpu_ms": 1e3 * theirs,
        "experts.onnx_ms": 1e3 * _onnx_seconds([expert], answers),
        "experts.onnx_slstm_ms": 1e3 * _onnx_seconds([scalar, scalar], answers),
    }


def _step_seconds(expert: Expert, steps: int, repetitions: int) -> tuple[float, float]:
    """CPU seconds of a training step of the expert and of the LSTMs: same data, loss and optimizer."""
    preset = PRESETS["source"]
    positions = _WINDOW if preset.schedule.positions == "every" else 1
    rng = np.random.default_rng(_SEED)
    x = rng.standard_normal((_BATCH, _WINDOW, _COLUMNS), dtype=np.float32)
    called = rng.integers(len(CLASSES), size=(_BATCH, _WINDOW))
    y = np.ones((_BATCH, _WINDOW, losses.channels(0)), dtype=np.float32)  # every weight and flag is 1
    y[..., losses.TARGET] = np.eye(len(CLASSES))[called]
    compiled = compiles(preset.network, preset.schedule)  # as `xrl experts` trains
    loop = Loop(expert, preset.loss, preset.schedule, compiled)
    loop.start(expert)
    loop.follow(preset.schedule, 1000, 1.0)
    lstm = _lstm(losses.ExpertLoss(**preset.loss.model_dump()), preset.schedule)

    def ours() -> None:
        for _ in range(steps):
            loop.step(x, y[:, -positions:])

    def theirs() -> None:
        for _ in range(steps):
            lstm.train_on_batch(x, y[:, -positions:])

    ours()
    theirs()
    pair = side_by_side(ours, theirs, repetitions, time.process_time)
    return pair[0] / steps, pair[1] / steps


def _lstm(loss: losses.ExpertLoss, schedule: Schedule) -> keras.Model:
    """Two Keras LSTM(96) layers and class logits, compiled as Keras does by itself (XLA makes it slower).

    They answer where the expert does: at every position, or at the last alone, which the second LSTM then
    alone returns.
    """
    x = keras.Input((_WINDOW, _COLUMNS))
    hidden = keras.layers.LSTM(96, return_sequences=True)(x)
    if schedule.positions == "last":
        hidden = keras.ops.expand_dims(keras.layers.LSTM(96)(hidden), 1)
    else:
        hidden = keras.layers.LSTM(96, return_sequences=True)(hidden)
    model = keras.Model(x, keras.layers.Dense(len(CLASSES))(hidden))
    optimizer = keras.optimizers.AdamW(
        schedule.learning_rate, weight_decay=schedule.weight_decay, global_clipnorm=1.0
    )
    model.compile(optimizer=optimizer, loss=loss)
    return model


def _peak_gb(windows: int, columns: int) -> float | None:
    """Largest resident memory of one epoch of `fit_expert` above what the process holds before, GB."""
    grown = peak_growth_bytes(lambda: _one_epoch(windows, columns))
    return None if grown is None else grown / 1e9


def _one_epoch(windows: int, columns: int) -> None:
    rng = np.random.default_rng(_SEED)
    bars = windows + _WINDOW - 1
    rows = Rows(
        rng.standard_normal((bars, columns), dtype=np.float32),
        np.arange(bars),
        rng.integers(len(CLASSES), size=bars).astype(np.int8),
    )
    learned: NDArray[np.bool_] = rows.position >= _WINDOW - 1
    preset = chosen(config().experts.preset, {"schedule": {"epochs": 1}})
    train.fit_expert(rows, learned, np.zeros(bars, dtype=bool), preset, _WINDOW, _SEED)


def _onnx_seconds(experts: Sequence[Expert], answers: int) -> float:
    """One window through each of the exported experts, one file after the other, as the server runs them."""
    rng = np.random.default_rng(_SEED)
    matrix = rng.standard_normal((EMBEDDING_WIDTH, config().oof.projection_width))
    models = []
    with tempfile.TemporaryDirectory(prefix="xrl-bench-") as folder:
        for number, expert in enumerate(experts):
            path = Path(folder) / f"expert-{number}.onnx"
            to_onnx([expert.last], path, temperature=1.0, matrices=[matrix])
            models.append(OnnxModel(path, (_WINDOW, _COLUMNS), ("probabilities", "block")))
    x = rng.standard_normal((1, _WINDOW, _COLUMNS), dtype=np.float32)
    return median_seconds(lambda: [model(x) for model in models], answers)
