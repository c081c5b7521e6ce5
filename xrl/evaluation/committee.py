"""Several opinions as one: their mean, and how far they differ. Pure numpy.

Enters: class probabilities of networks, or of experts. Leaves: the mean, and its uncertainty as mutual
information in nats. The one definition for training, golden pairs and server.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from xrl.errors import DataError
from xrl.evaluation.metrics import Array

_LEAST = 1e-12  # probability that a logarithm is taken of


class Vote(NamedTuple):
    """What is said of some bars, and how much those who said it differ."""

    probabilities: Array  # (..., 3) SELL, HOLD, BUY
    uncertainty: Array  # (...) nats, 0: all say the same


def mutual_information(members: Array, shares: Array | None = None) -> Array:
    """How far opinions differ: the entropy of their mean less the mean of their entropies, in nats.

    0 where all say the same, at most log(classes). It measures what more training data could settle; that a
    bar is a toss-up by nature does not enter. Source: Houlsby et al. 2011, "Bayesian active learning for
    classification and preference learning" (BALD); of an ensemble: Lakshminarayanan et al. 2017.

    Args:
        members: (members, ..., classes) probabilities.
        shares: (members,) weights that sum to 1; None: all alike.

    Returns:
        (...), never negative.
    """
    weights = np.full(len(members), 1.0 / len(members)) if shares is None else np.asarray(shares)
    mean = np.tensordot(weights, members, axes=1)  # (..., classes)
    own = np.tensordot(weights, _entropy(members), axes=1)  # (...)
    return np.maximum(np.asarray(_entropy(mean) - own), 0.0)


def vote(experts: Mapping[str, Vote], weights: Mapping[str, float]) -> Vote:
    """The experts' weighted mean; uncertain as far as they differ, and as far as each is uncertain itself.

    Args:
        experts: name -> what it says, all of the same bars.
        weights: name -> weight, not negative; they need not sum to 1.

    Raises:
        DataError: an expert has no weight, or all weights are 0.
    """
    given = np.array([weights.get(name, np.nan) for name in experts], dtype=np.float64)
    if not np.isfinite(given).all() or given.sum() <= 0:
        raise DataError(
            f"weights must name {', '.join(experts)} and not all be 0; received {dict(weights)}; see "
            "`oof.weights`"
        )
    shares = given / given.sum()
    said = np.stack([expert.probabilities for expert in experts.values()])  # (experts, ..., 3)
    own = np.stack([expert.uncertainty for expert in experts.values()])  # (experts, ...)
    among = mutual_information(said, shares)
    return Vote(np.tensordot(shares, said, axes=1), among + np.tensordot(shares, own, axes=1))


def _entropy(probabilities: Array) -> Array:
    """Entropy of each distribution, in nats. (..., classes) -> (...)"""
    p = np.asarray(probabilities, dtype=np.float64)
    return np.asarray(-(p * np.log(np.clip(p, _LEAST, 1.0))).sum(axis=-1))
