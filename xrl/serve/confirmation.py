"""What a forecast says of a signal, and how a committee votes. Enters: a forecast, votes. Leaves: words.

Pure. A forecast that is not sure enough is silent: it neither confirms nor contradicts, and does not vote.
Source: product document M5 (confidence at least 0.6, vote of weight 1.5).
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl import columns
from xrl.errors import RequestError

Signal = Literal["buy", "sell"]
Verdict = Literal["confirms", "contradicts", "silent"]

#: Points of the distribution that turns a probability of being right into a percentile.
QUANTILES: Final = 101
HOLD: Final = columns.CLASSES[columns.HOLD]
_SIDES: Final[dict[str, Signal]] = {"up": "buy", "down": "sell"}


class Forecast(NamedTuple):
    """What is forecast at the close of a bar for the close of the next."""

    up: float  # probability that it is higher
    change: float  # log return
    confidence: (
        float  # percentile, among those seen in training, of how sure the network is to be right: 0..1
    )

    @property
    def direction(self) -> Literal["up", "down", "none"]:
        """`none` where odds and change point to different sides, or nowhere."""
        if self.up > 0.5 and self.change > 0:
            return "up"
        return "down" if self.up < 0.5 and self.change < 0 else "none"


def quantiles(right: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distribution (101,) of probabilities of being right (n,), by which later ones are ranked."""
    return np.quantile(right, np.linspace(0.0, 1.0, QUANTILES))


def percentiles(right: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where each of `right` (n,) lies in the distribution `among` of `quantiles`, (n,) in 0..1."""
    return np.asarray(np.interp(right, among, np.linspace(0.0, 1.0, len(among))))


class Ballot(NamedTuple):
    """One vote: for a class of `columns.CLASSES`, with a weight above 0."""

    direction: str
    weight: float = 1.0


class Tally(NamedTuple):
    """What a vote came to: the class with most weight, and its share of all, 0..1."""

    direction: str
    share: float


def verdict(forecast: Forecast, signal: Signal, minimum: float) -> Verdict:
    """Whether `forecast` confirms or contradicts `signal`; silent below `minimum` and without a direction."""
    if forecast.confidence < minimum or forecast.direction == "none":
        return "silent"
    return "confirms" if _SIDES[forecast.direction] == signal else "contradicts"


def ballots(experts: Sequence[str], forecast: Forecast, minimum: float, weight: float) -> tuple[Ballot, ...]:
    """One vote for each expert's class, and the forecast's for its side unless it is silent.

    Args:
        experts: class that each expert calls, of `columns.CLASSES`.
        forecast: of the same symbol.
        minimum: confidence below which the forecast does not vote.
        weight: of the forecast's vote; an expert's weighs 1.
    """
    own = tuple(Ballot(direction) for direction in experts)
    if forecast.confidence < minimum or forecast.direction == "none":
        return own
    return (*own, Ballot(_SIDES[forecast.direction], weight))


def weighted_vote(cast: Sequence[Ballot]) -> Tally:
    """The class that most weight is for; `hold` where two share the most.

    Raises:
        RequestError: nobody votes, or a weight is not above 0.
    """
    if not cast or min(ballot.weight for ballot in cast) <= 0:
        raise RequestError(f"a vote needs ballots with weights above 0; received {list(cast)}")
    totals = {name: sum(own.weight for own in cast if own.direction == name) for name in columns.CLASSES}
    leading = [name for name, total in totals.items() if total == max(totals.values())]
    direction = leading[0] if len(leading) == 1 else HOLD
    return Tally(direction, totals[direction] / sum(totals.values()))
