"""Is a Sharpe ratio more than luck, fat tails and many tries? Enters: daily returns. Leaves: probabilities.
Pure.

Sharpe ratios here are per day, not annualised; kurtosis is 3 for a normal. Sources: Bailey & López de Prado
(2012), "The Sharpe ratio efficient frontier" (probabilistic Sharpe, minimum track record); Bailey & López de
Prado (2014), "The deflated Sharpe ratio" (expected maximum, deflation).
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from xrl.errors import DataError
from xrl.evaluation.metrics import Array

#: Returns that deviate less count as constant: they have no Sharpe ratio.
_FLAT = 1e-12


class Moments(NamedTuple):
    """What the tests below need of a track."""

    days: int
    sharpe: float  # a day, sample deviation; 0 where returns are constant
    skewness: float
    kurtosis: float  # 3 for a normal


def moments(daily: Array) -> Moments:
    """Moments of daily returns (days,).

    Raises:
        DataError: fewer than two days, or a return is not finite.
    """
    if len(daily) < 2 or not np.isfinite(daily).all():
        raise DataError(
            f"a Sharpe ratio needs at least 2 daily returns, all finite; received {len(daily)}, of which "
            f"{int((~np.isfinite(daily)).sum())} are not finite"
        )
    deviation = float(daily.std())
    if deviation <= _FLAT:
        return Moments(len(daily), 0.0, 0.0, 3.0)
    z = (daily - daily.mean()) / deviation
    return Moments(
        len(daily), float(daily.mean() / daily.std(ddof=1)), float((z**3).mean()), float((z**4).mean())
    )


def probabilistic_sharpe(track: Moments, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio exceeds `benchmark`.

    `Phi((SR - SR*) sqrt(T - 1) / sqrt(1 - g3 SR + (g4 - 1) / 4 SR^2))`

    Args:
        track: of the strategy.
        benchmark: Sharpe ratio a day.
    """
    return float(ndtr((track.sharpe - benchmark) * math.sqrt(track.days - 1) / math.sqrt(_spread(track))))


def expected_maximum_sharpe(trials: int, variance: float) -> float:
    """The best Sharpe ratio to expect of `trials` strategies without any skill; 0 for one.

    `sqrt(V) ((1 - gamma) Z^-1[1 - 1/N] + gamma Z^-1[1 - 1/(N e)])`, gamma = 0.5772...

    Args:
        trials: number of independent ones, at least 1.
        variance: of Sharpe ratios across them, a day.
    """
    if trials < 1 or variance < 0:
        raise DataError(
            f"needs at least one trial and a variance from 0 on; received {trials} and {variance}"
        )
    if trials == 1:
        return 0.0
    near, far = ndtri(1.0 - 1.0 / trials), ndtri(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * float((1.0 - np.euler_gamma) * near + np.euler_gamma * far)


def deflated_sharpe(track: Moments, trials: int, variance: float) -> float:
    """Probability that the true Sharpe ratio exceeds what the best of so many tries has by luck alone.

    Args:
        track: of the strategy that was chosen.
        trials, variance: as in `expected_maximum_sharpe`.
    """
    return probabilistic_sharpe(track, expected_maximum_sharpe(trials, variance))


def minimum_track_days(track: Moments, benchmark: float = 0.0, confidence: float = 0.95) -> float:
    """Days after which a track of these moments shows a Sharpe ratio above `benchmark`; infinite if never.

    `1 + (1 - g3 SR + (g4 - 1) / 4 SR^2) (Z_confidence / (SR - SR*))^2`
    """
    if track.sharpe <= benchmark:
        return math.inf
    return 1.0 + _spread(track) * (float(ndtri(confidence)) / (track.sharpe - benchmark)) ** 2


def _spread(track: Moments) -> float:
    """`T - 1` times the variance of the estimated Sharpe ratio; positive, as kurtosis >= 1 + skewness^2."""
    return max(1.0 - track.skewness * track.sharpe + (track.kurtosis - 1.0) / 4.0 * track.sharpe**2, _FLAT)
