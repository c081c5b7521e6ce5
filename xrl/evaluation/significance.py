"""How far a figure could differ by luck. Enters: per-bar scores or daily returns. Leaves: intervals.

Bars overlap (a label spans 20 of them) and coins move together, so whole calendar weeks across all symbols
are resampled, not bars. A statistic is written as a function of sums (confusion counts, rank products, ...):
each week is reduced to its sums once and a draw is a weighted sum of weeks, so 1000 draws over 60k bars cost
milliseconds. Daily returns are resampled by the stationary bootstrap.

Sources: Künsch (1989) for blocks, Politis & Romano (1994) for the stationary bootstrap.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.errors import DataError
from xrl.evaluation import calibration, metrics
from xrl.evaluation.metrics import Array

#: A statistic of sums: (..., k) -> (...).
Statistic = Callable[[Array], Array]
_MONDAY = np.datetime64("1970-01-05", "D")
#: Mean block of the stationary bootstrap, in days.
MEAN_BLOCK_DAYS = 10.0


class Interval(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class PairedTest(NamedTuple):
    """A difference with its 95 % interval, and how often luck alone would put it as far from zero."""

    value: float
    low: float
    high: float
    p: float


def week_index(timestamp: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Calendar weeks from Monday 00:00 UTC, numbered from 0 as they occur in time; (n,) -> (n,)."""
    week = (timestamp.astype("datetime64[D]") - _MONDAY).astype(np.int64) // 7
    return np.unique(week, return_inverse=True)[1].astype(np.int64)


def block_sums(values: Array, block: NDArray[np.int64]) -> Array:
    """Sum of `values` (n, k) in each block: (blocks, k)."""
    count = int(block.max()) + 1 if len(block) else 0
    return np.stack([np.bincount(block, weights=column, minlength=count) for column in values.T], axis=-1)


def confusion_sums(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], block: NDArray[np.int64]
) -> Array:
    """Confusion counts of each block, flattened: (blocks, 9)."""
    count = int(block.max()) + 1 if len(block) else 0
    cell = block * 9 + truth.astype(np.int64) * 3 + predicted
    return np.bincount(cell, minlength=count * 9).reshape(count, 9).astype(np.float64)


def rank_sums(
    signal: Array, score: Array, block: NDArray[np.int64], year: NDArray[np.integer] | None = None
) -> Array:
    """Per block n, sum a, sum b, sum aa, sum bb, sum ab of the ranks over all blocks: (blocks, 6).

    Ranks are taken once, over everything or within each year, so a draw's correlation of them differs from
    Spearman's of the draw by a smooth monotone re-ranking only.
    """
    if year is None:
        a, b = metrics.ranks(signal), metrics.ranks(score)
    else:
        a, b = metrics.ranks_within(signal, year), metrics.ranks_within(score, year)
    return block_sums(np.stack([np.ones_like(a), a, b, a * a, b * b, a * b], axis=-1), block)


def gap_sums(said: Array, came_true: NDArray[np.bool_], block: NDArray[np.int64]) -> Array:
    """Per block the rows, then of each bin of `said` the sum of `came_true - said`: (blocks, 1 + bins)."""
    count = int(block.max()) + 1 if len(block) else 0
    cell = block * calibration.BINS + calibration.bins_of(said)
    gaps = np.bincount(cell, weights=came_true - said, minlength=count * calibration.BINS)
    rows = np.bincount(block, minlength=count)
    return np.concatenate([rows[:, None], gaps.reshape(count, calibration.BINS)], axis=1)


def calibration_error(sums: Array) -> Array:
    """Expected calibration error from `gap_sums`, 0 for no rows; (..., 1 + bins) -> (...)."""
    return np.asarray(np.abs(sums[..., 1:]).sum(axis=-1) / np.maximum(sums[..., 0], 1.0))


def correlation(sums: Array) -> Array:
    """Correlation from `rank_sums`; 0 where one side is constant. (..., 6) -> (...)."""
    n, a, b, aa, bb, ab = np.moveaxis(sums, -1, 0)
    covariance, spread = n * ab - a * b, (n * aa - a * a) * (n * bb - b * b)
    positive = spread > 1e-18 * n**4
    return np.where(positive, covariance / np.sqrt(np.where(positive, spread, 1.0)), 0.0)


def share(sums: Array) -> Array:
    """Second over first sum, 0 where there is nothing; (..., 2) -> (...)."""
    return np.divide(sums[..., 1], sums[..., 0], out=np.zeros(sums.shape[:-1]), where=sums[..., 0] > 0)


def of_confusion(statistic: Statistic) -> Statistic:
    """A statistic of (..., 3, 3) as one of flattened counts (..., 9)."""
    return lambda sums: statistic(sums.reshape(*sums.shape[:-1], 3, 3))


def bootstrap(statistic: Statistic, sums: Array, draws: int, seed: int) -> Array:
    """`statistic` of `draws` resamples of the blocks, shape (draws,).

    Args:
        statistic: (..., k) -> (...).
        sums: (blocks, k).
        draws: number of resamples.
        seed: of the resampling; the same seed gives the same weeks to every statistic, so draws are paired.

    Raises:
        DataError: fewer than two blocks: there is nothing to resample.
    """
    blocks = len(sums)
    if blocks < 2:
        raise DataError(
            f"an interval needs at least 2 weeks of predictions; received {blocks}. Test on a longer span."
        )
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=draws)
    return statistic(weights @ sums)


def interval(statistic: Statistic, sums: Array, draws: int, seed: int, level: float = 0.95) -> Interval:
    """Value on all blocks with its percentile interval; arguments as in `bootstrap`."""
    return _interval(float(statistic(sums.sum(axis=0))), bootstrap(statistic, sums, draws, seed), level)


def unbiased_interval(statistic: Statistic, sums: Array, draws: int, seed: int) -> Interval:
    """Interval of a distance from 0 such as a calibration error, whose every resample lies too far out.

    A sum of absolute gaps grows with any noise, so resampling adds to it; the draws are moved back by their
    mean excess and cut off at 0. Arguments as in `bootstrap`.
    """
    value, drawn = float(statistic(sums.sum(axis=0))), bootstrap(statistic, sums, draws, seed)
    return _interval(value, np.maximum(drawn - (drawn.mean() - value), 0.0), 0.95)


def paired(
    ours: Statistic, theirs: Statistic, sums: Array, rival: Array, draws: int, seed: int, level: float = 0.95
) -> Interval:
    """Difference of two statistics on the same resampled blocks, ours minus theirs.

    Args:
        ours, theirs: statistics of `sums` and of `rival`.
        sums, rival: (blocks, k) and (blocks, m), row i of both from block i.
        draws, seed: as in `bootstrap`.
        level: of the interval.
    """
    difference, both = _difference(ours, theirs, sums, rival)
    return interval(difference, both, draws, seed, level)


def paired_test(
    ours: Statistic, theirs: Statistic, sums: Array, rival: Array, draws: int, seed: int
) -> PairedTest:
    """Difference as in `paired`, with the two-sided p-value of "no difference".

    The p-value is twice the share of draws on zero's other side, never below what `draws` can resolve.
    """
    difference, both = _difference(ours, theirs, sums, rival)
    return of_draws(float(difference(both.sum(axis=0))), bootstrap(difference, both, draws, seed))


def of_draws(value: float, draws: Array) -> PairedTest:
    """The test of a difference whose bootstrap draws are known. (draws,)"""
    beyond = min(float((draws <= 0).mean()), float((draws >= 0).mean()))
    return PairedTest(*_interval(value, draws, 0.95), p=min(max(2.0 * beyond, 1.0 / len(draws)), 1.0))


def _difference(ours: Statistic, theirs: Statistic, sums: Array, rival: Array) -> tuple[Statistic, Array]:
    """The difference as one statistic, and the sums it is of."""
    width = sums.shape[1]

    def difference(both: Array) -> Array:
        return np.asarray(ours(both[..., :width]) - theirs(both[..., width:]))

    return difference, np.concatenate([sums, rival], axis=1)


def stationary_indices(
    days: int, draws: int, seed: int, mean_block: float = MEAN_BLOCK_DAYS
) -> NDArray[np.int64]:
    """Resampled day numbers (draws, days): blocks of geometric length that wrap around the end.

    Source: Politis & Romano (1994).
    """
    rng = np.random.default_rng(seed)
    starts = rng.integers(days, size=(draws, days))
    fresh = rng.random((draws, days)) < 1.0 / mean_block
    fresh[:, 0] = True
    position = np.arange(days)
    begun = np.maximum.accumulate(np.where(fresh, position, 0), axis=1)  # where the running block began
    return np.asarray((np.take_along_axis(starts, begun, axis=1) + position - begun) % days)


def sharpe_interval(daily: Array, draws: int, seed: int, level: float = 0.95) -> Interval:
    """Sharpe ratio of daily returns (days,) with its stationary-bootstrap interval."""
    _enough_days(daily)
    resampled = daily[stationary_indices(len(daily), draws, seed)]  # (draws, days)
    return _interval(float(metrics.sharpe(daily)), metrics.sharpe(resampled), level)


def sharpe_differences(ours: Array, theirs: Array, draws: int, seed: int) -> Array:
    """Sharpe of ours minus theirs on the same resampled days, (draws,).

    Raises:
        DataError: the two do not cover the same days, or fewer than two.
    """
    if ours.shape != theirs.shape:
        raise DataError(f"compare on common days; received {ours.shape} and {theirs.shape} daily returns")
    _enough_days(ours)
    index = stationary_indices(len(ours), draws, seed)
    return np.asarray(metrics.sharpe(ours[index]) - metrics.sharpe(theirs[index]))


def _enough_days(daily: Array) -> None:
    if len(daily) < 2:
        raise DataError(f"a Sharpe interval needs at least 2 daily returns; received {len(daily)}")


def _interval(value: float, draws: Array, level: float) -> Interval:
    low, high = np.quantile(draws, ((1.0 - level) / 2.0, (1.0 + level) / 2.0))
    return Interval(value, float(low), float(high))
