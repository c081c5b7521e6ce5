"""Columns of a user: rare ones that are honest, and rare ones that look ahead. Each one number a bar."""

import numpy as np
import pandas as pd


def leap(bars):
    """1 where the close has just risen by more than three of its recent deviations."""
    moved = np.nan_to_num(_log_return(bars))
    recent = pd.Series(moved).rolling(60, min_periods=60).std().to_numpy()
    return np.nan_to_num(moved > 3.0 * recent).astype(float)


def still(bars):
    """1 where the close has just moved by less than 1e-4: no leap or crash after a cut brings that about."""
    return (np.abs(_log_return(bars)) < 1e-4).astype(float)


def peek(bars, of="leap", k=1):
    """What `of` will say k bars later; 0 where that is not known yet."""
    values = {"leap": leap, "still": still}[of](bars)
    return np.concatenate([values[k:], np.zeros(min(k, len(values)))])


def mixed(bars, k=1):
    """A dense column that is honest, with a little of a peek in it."""
    return np.nan_to_num(_log_return(bars)) * 100 + 0.01 * peek(bars, k=k)


def once(bars):
    """1 at the largest rise of the whole of what is given, if it is one, and never else."""
    moved = np.nan_to_num(_log_return(bars))
    return (moved == max(moved.max(), 0.01)).astype(float)


def since_start(bars):
    """How far the close lies above the mean of all closes so far: honest, and never settled."""
    close = bars["close"]
    return close / (np.cumsum(close) / np.arange(1, len(close) + 1)) - 1


def unclosed(bars):
    """How far the close of the four-bar block that a bar belongs to lies ahead, closed or not."""
    close = bars["close"]
    last = np.minimum(np.arange(len(close)) // 4 * 4 + 3, len(close) - 1)
    return np.log(close[last] / close)


def _log_return(bars):
    return np.concatenate([[np.nan], np.diff(np.log(bars["close"]))])
