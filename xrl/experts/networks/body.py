"""What every network of an expert is: one stack of layers, read at every position or at the newest alone."""

from collections.abc import Callable
from typing import Any, NamedTuple

Layer = Callable[[Any], Any]


class Body(NamedTuple):
    """Two readings of the same weights, both causal: position t sees rows up to t.

    Attributes:
        every: (batch, window, units) -> (batch, window, units).
        last: (batch, window, units) -> (batch, units), equal to the last position of `every`.
    """

    every: Layer
    last: Layer


def in_turn(*layers: Layer) -> Body:
    """Layers one after the other, each (batch, window, units) -> same; `last` is cut out at the end."""

    def every(hidden: Any) -> Any:
        for layer in layers:
            hidden = layer(hidden)
        return hidden

    return Body(every, lambda hidden: every(hidden)[:, -1, :])
