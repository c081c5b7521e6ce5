"""Stacked LSTM, the baseline that an xLSTM has to beat.

Enters: (batch, time, units). Leaves: the same. Source: Hochreiter and Schmidhuber 1997, with forget gates
(Gers et al. 2000), as Keras has it.
"""

import keras

from xrl.experts.networks.attention import CausalAttention
from xrl.experts.networks.body import Body, Layer, in_turn
from xrl.experts.networks.branches import branch, feedforward
from xrl.presets import Network


def lstm(shape: Network) -> Body:
    """One LSTM for each of `shape.blocks`, feed-forward after and attention between them as it says."""
    layers: list[Layer] = []
    for number in range(len(shape.blocks)):
        if number and shape.attention:
            attention = CausalAttention(shape.units, shape.heads, name=f"attention_{number}")
            layers.append(branch(attention, shape, f"attention_{number}"))
        layers.append(memory(shape, number))
        layers.extend(feedforward(shape, f"forward_{number}"))
    return in_turn(*layers)


def memory(shape: Network, number: int) -> Layer:
    """One LSTM in a branch of its own."""
    cells = keras.layers.LSTM(shape.units, return_sequences=True, name=f"lstm_{number}")
    return branch(cells, shape, f"lstm_{number}")
