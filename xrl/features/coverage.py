"""Which columns a run can stand on: those whose inputs exist on enough training bars, and that move in them.

Enters: feature matrices of training bars. Leaves: the columns left out, with the reason; and what takes their
place where the observation needs them. A column that is mostly absent in training would flip in production,
and so would one that never changes in training, an availability flag or a pattern that never occurs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xrl.features import table
from xrl.features.feature import Feature
from xrl.features.rolling import Array

#: A spread below this share of the largest magnitude is rounding: the column counts as constant.
ROUNDING: Final = 1e-12


@dataclass(frozen=True)
class LeftOut:
    """A column the experts do not read in this run.

    Attributes:
        name: of the column.
        coverage: share of training bars on which its source was available.
        reason: why it is left out.
        observed: True where the policy's observation still has its place, held at the neutral 0.
    """

    name: str
    coverage: float
    reason: str
    observed: bool

    def as_dict(self) -> dict[str, object]:
        """JSON form."""
        return dict(self.__dict__)


def flags(features: Sequence[Feature] = table.FEATURES) -> dict[str, str]:
    """Optional inputs and the column that tells, bar by bar, whether each was there."""
    return {feature.source: feature.flag for feature in features if feature.flag}


#: Those of the built-in columns.
FLAGS: Mapping[str, str] = flags()


def left_out(
    training: NDArray[np.float64], min_coverage: float, features: Sequence[Feature] = table.FEATURES
) -> tuple[LeftOut, ...]:
    """Columns without enough coverage, and columns that are constant.

    Args:
        training: (bars, len(features)) of the training bars, at least one row.
        min_coverage: smallest share of bars on which a column's source must be available.
        features: columns of the table.
    """
    position = {feature.name: j for j, feature in enumerate(features)}
    found = []
    for feature, values in zip(features, training.T):
        share = float(np.mean(training[:, position[feature.flag]])) if feature.flag else 1.0
        if share < min_coverage:
            reason = (
                f"`{feature.source}` is available on {share:.1%} of training bars, below {min_coverage:.0%}"
            )
        elif _is_constant(values):
            reason = "constant in training"
        else:
            continue
        found.append(LeftOut(feature.name, share, reason, feature.name in table.REQUIRED))
    return tuple(found)


def _is_constant(values: Array) -> bool:
    low, high = float(values.min()), float(values.max())
    return high - low <= ROUNDING * max(abs(low), abs(high))


def neutralise(matrix: NDArray[np.float64], positions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Copy of `matrix` (bars, features) with the left-out columns at `positions` held at their neutral 0.

    Training, backtest and server all pass through here, so that a source that appears after training cannot
    move an input that the policy never saw move.
    """
    kept = matrix.copy()
    kept[:, positions] = 0.0
    return kept
