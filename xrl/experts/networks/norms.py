"""Normalisation before a branch, by name. Enters: the name that a preset gives. Leaves: a Keras layer."""

from typing import Literal

import keras

#: Of a batch norm's running averages: a lean training has a few hundred steps, Keras' 0.99 wants thousands.
_MOMENTUM = 0.9


def normalisation(kind: Literal["layer", "batch"], name: str, scale: bool = True) -> keras.layers.Layer:
    """Layer or batch normalisation over the last axis; (..., units) -> same.

    Without `scale` the layer that follows has it among its weights.

    Batch statistics are taken over all positions of the training windows; predictions use their running
    averages, so what comes after a bar cannot reach it there.
    """
    if kind == "batch":
        return keras.layers.BatchNormalization(momentum=_MOMENTUM, epsilon=1e-5, scale=scale, name=name)
    return keras.layers.LayerNormalization(center=False, scale=scale, epsilon=1e-5, name=name)
