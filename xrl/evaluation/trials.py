"""How many different things were tried. Enters: daily returns of every trial. Leaves: clusters and variance.
Pure.

Ten variants of one idea are one trial, ten ideas are ten: trials whose returns move together are put into one
cluster (average linkage on correlation) and each cluster counts once. Source: López de Prado & Lewis (2019),
"Detection of false investment strategies using unsupervised learning methods"; the cut at a fixed
correlation, in place of their best silhouette, cannot merge unrelated trials into a few.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from xrl.evaluation import sharpe
from xrl.evaluation.metrics import Array
from xrl.evaluation.sharpe import Moments

#: Fewer common days say nothing about how two trials move together.
MIN_COMMON_DAYS = 30


class Search(NamedTuple):
    """What a search amounts to."""

    trials: int  # distinct ones, as they were counted
    effective: int  # clusters of them
    variance: float  # of a Sharpe ratio a day, across clusters


def deflated(track: Moments, search: Search) -> float:
    """Deflated Sharpe ratio of the chosen strategy after this search."""
    return sharpe.deflated_sharpe(track, search.effective, search.variance)


def search_of(returns: Sequence[pd.Series], unknown: int, correlation: float, days: int) -> Search:
    """The search behind a choice.

    Args:
        returns: daily returns of each trial, the chosen one included, indexed by day.
        unknown: trials whose returns are lost; each counts as one of its own.
        correlation: trials that move together at least this much are one.
        days: of the chosen track. Sharpe ratios without skill differ by 1 / (days - 1) from estimation alone;
            the variance is never taken below that, however alike the few trials are that one knows.
    """
    cluster = clusters(correlations(returns), correlation)
    tried = np.array([sharpe.moments(own.to_numpy(np.float64)).sharpe for own in returns])
    members = np.bincount(cluster)
    centre = np.bincount(cluster, weights=tried) / members
    spread = float(centre.var(ddof=1)) if len(centre) > 1 else 0.0
    return Search(len(returns) + unknown, len(members) + unknown, max(spread, 1.0 / (days - 1)))


def correlations(returns: Sequence[pd.Series]) -> Array:
    """Pairwise correlation on common days, (n, n); 0 where they are too few or a track is constant."""
    table = pd.concat(list(returns), axis=1, keys=range(len(returns)))
    found: Array = np.nan_to_num(table.corr(min_periods=MIN_COMMON_DAYS).to_numpy(np.float64), nan=0.0)
    np.fill_diagonal(found, 1.0)
    return found


def clusters(correlation: Array, threshold: float) -> NDArray[np.int64]:
    """Cluster of each trial, numbered from 0; (n, n) -> (n,).

    Args:
        correlation: symmetric, diagonal 1.
        threshold: two clusters are joined while their mean correlation is at least this.
    """
    if len(correlation) == 1:
        return np.zeros(1, dtype=np.int64)
    distance = np.clip(1.0 - (correlation + correlation.T) / 2.0, 0.0, None)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average")
    return np.asarray(fcluster(tree, 1.0 - threshold, criterion="distance") - 1, dtype=np.int64)
