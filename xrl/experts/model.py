"""An expert: features of a window in, class logits and a 256-wide embedding out.

Every layer is causal, so training reads every position of a window while serving reads its last row. The
embedding holds the bar's linear stem beside what the memory makes of the window: most of a weak signal is
linear, and a network that must first learn to pass it on overfits on the way. Class weights start at zero.
"""

from typing import NamedTuple

import keras

from xrl.columns import CLASSES, EMBEDDING_WIDTH
from xrl.experts.networks.architectures import body_of
from xrl.presets import Network


class Expert(NamedTuple):
    """Two views of the same weights."""

    every: keras.Model  # (batch, window, columns) -> logits (batch, window, 3)
    last: keras.Model  # (batch, window, columns) -> logits (batch, 3), embedding (batch, 256)


def build_expert(columns: int, window: int, shape: Network) -> Expert:
    """A fresh expert; weights follow from `keras.utils.set_random_seed`.

    Args:
        columns: features of a bar.
        window: bars in a window.
        shape: widths and dropouts.
    """
    x = keras.Input((window, columns), name="x")
    hidden = keras.layers.Dropout(shape.input_dropout, name="input_dropout")(x)
    stem = keras.layers.Dense(shape.units, name="stem")(hidden)  # (batch, window, units)
    body = body_of(shape)
    norm = keras.layers.LayerNormalization(center=False, epsilon=1e-5, name="final_norm")
    dropout = keras.layers.Dropout(shape.dropout, name="head_dropout")
    embed = keras.layers.Dense(EMBEDDING_WIDTH - shape.units, activation="silu", name="embedding")
    beside = keras.layers.Concatenate(name="beside_stem")
    classify = keras.layers.Dense(len(CLASSES), kernel_initializer="zeros", name="logits")
    every = classify(beside([embed(dropout(norm(body.every(stem)))), stem]))  # (batch, window, 3)
    embedding = beside([embed(norm(body.last(stem))), stem[:, -1, :]])  # (batch, 256)
    return Expert(
        keras.Model(x, every, name="every"), keras.Model(x, [classify(embedding), embedding], name="last")
    )
