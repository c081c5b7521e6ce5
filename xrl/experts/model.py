"""An expert: features of a window in, class logits and a 256-wide embedding out.

Every layer is causal, so training reads every position of a window while serving reads its last row. The
embedding holds the bar's linear stem beside what the memory makes of the window: most of a weak signal is
linear, and a network that must first learn to pass it on overfits on the way. Class weights start at zero.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from xrl.columns import CLASSES, EMBEDDING_WIDTH
from xrl.experts.networks.architectures import body_of
from xrl.presets import Loss, Network

_CLASS_ALONE = Loss()


class Expert(NamedTuple):
    """Three views of the same weights.

    The first two train: they answer the class logits or, where the loss weighs further tasks, a dict of
    `logits` (3), then `score` (1), `confidence` (1), `ranks` (one a horizon), each along the last axis.
    """

    every: keras.Model  # (batch, window, columns) -> (batch, window, ...)
    newest: keras.Model  # (batch, window, columns) -> (batch, 1, ...), the last position of `every`
    last: keras.Model  # (batch, window, columns) -> logits (batch, 3), embedding (batch, 256)


def build_expert(columns: int, window: int, shape: Network, loss: Loss = _CLASS_ALONE) -> Expert:
    """A fresh expert; weights follow from `keras.utils.set_random_seed`.

    Args:
        columns: features of a bar.
        window: bars in a window.
        shape: widths and dropouts.
        loss: tasks with a weight above 0 get a head of their own.
    """
    x = keras.Input((window, columns), name="x")
    hidden = keras.layers.Dropout(shape.input_dropout, name="input_dropout")(x)
    stem = keras.layers.Dense(shape.units, name="stem")(hidden)  # (batch, window, units)
    body = body_of(shape)
    norm = keras.layers.LayerNormalization(center=False, epsilon=1e-5, name="final_norm")
    dropout = keras.layers.Dropout(shape.dropout, name="head_dropout")
    width = EMBEDDING_WIDTH - (shape.units if shape.stem else 0)
    embed = keras.layers.Dense(width, activation="silu", name="embedding")
    beside = keras.layers.Concatenate(name="beside_stem")
    heads = _heads(loss)

    def answered(hidden: Any, stem: Any) -> Any:
        seen = embedding(dropout(norm(hidden)), stem)
        found = {name: head(seen) for name, head in heads.items()}
        return found if len(found) > 1 else found["logits"]

    def embedding(hidden: Any, stem: Any) -> Any:
        return beside([embed(hidden), stem]) if shape.stem else embed(hidden)  # (..., 256)

    every = answered(body.every(stem), stem)
    newest, own = body.last(stem), stem[:, -1, :]
    seen = embedding(norm(newest), own)
    return Expert(
        keras.Model(x, every, name="every"),
        keras.Model(x, answered(ops.expand_dims(newest, 1), stem[:, -1:, :]), name="newest"),
        keras.Model(x, [heads["logits"](seen), seen], name="last"),
    )


def _heads(loss: Loss) -> dict[str, Callable[[Any], Any]]:
    """One linear layer for each task that is weighed, in the order of their outputs."""
    widths = {
        "logits": len(CLASSES),
        "score": 1 if loss.return_weight else 0,
        "confidence": 1 if loss.confidence_weight else 0,
        "ranks": len(loss.rank_horizons) if loss.rank_weight else 0,
    }
    return {
        name: keras.layers.Dense(width, kernel_initializer="zeros", name=name)
        for name, width in widths.items()
        if width
    }
