"""What an expert of any kind says of some bars. Pure.

Enters: its members' probabilities. Leaves: one answer.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.evaluation import calibration
from xrl.evaluation.committee import Vote, mutual_information
from xrl.evaluation.metrics import Array


class Said(NamedTuple):
    """An expert's answer."""

    probabilities: Array  # (rows, 3), temperature applied
    embedding: NDArray[np.float32]  # (rows, width) what the policy's block is made of
    uncertainty: Array  # (rows,) mutual information of the members, nats

    @property
    def vote(self) -> Vote:
        return Vote(self.probabilities, self.uncertainty)


def pooled(members: Array, temperature: float) -> Vote:
    """Members averaged, then tempered; their uncertainty is that of what each said untempered.

    One temperature for the mean corrects what averaging does to confidence. Source: Rahaman & Thiery 2021,
    "Uncertainty quantification and deep ensembles" (pool, then calibrate).

    Args:
        members: (members, rows, 3) probabilities.
        temperature: divides the logarithms of their mean.
    """
    return Vote(calibration.apply(members.mean(axis=0), temperature), mutual_information(members))
