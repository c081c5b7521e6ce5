"""Which columns a run can stand on: those whose inputs exist on enough training bars.

Enters: feature matrices of training bars. Leaves: the columns left out, with the reason; and what takes their
place where the observation needs them. A column that is mostly absent in training would flip in production,
and so would an availability flag that never changes in training.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrl.features import table

#: The flag that tells, bar by bar, whether an optional source was there.
FLAGS: Mapping[str, str] = {
    "taker": "taker_available",
    "funding": "funding_available",
    "open_interest": "open_interest_available",
}


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


def left_out(training: NDArray[np.float64], min_coverage: float) -> tuple[LeftOut, ...]:
    """Columns of `table.FEATURES` without enough coverage, and flags that are constant.

    Args:
        training: (bars, len(FEATURES)) features of the training bars, at least one row.
        min_coverage: smallest share of bars on which a column's source must be available.
    """
    found = []
    for source, flag in FLAGS.items():
        share = float(np.mean(training[:, table.positions([flag])[0]]))
        for column in table.FEATURES:
            if column.source != source:
                continue
            if share < min_coverage:
                reason = f"`{source}` is available on {share:.1%} of training bars, below {min_coverage:.0%}"
            elif column.name == flag and share == 1.0:
                reason = "constant in training"
            else:
                continue
            found.append(LeftOut(column.name, share, reason, column.name in table.REQUIRED))
    return tuple(found)


def neutralise(matrix: NDArray[np.float64], names: Collection[str]) -> NDArray[np.float64]:
    """Copy of `matrix` (bars, len(FEATURES)) with the left-out columns `names` held at their neutral 0.

    Training, backtest and server all pass through here, so that a source that appears after training cannot
    move an input that the policy never saw move.
    """
    kept = matrix.copy()
    if names:
        kept[:, table.positions(sorted(names))] = 0.0
    return kept
