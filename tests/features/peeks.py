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


def middle(bars, width=0.01):
    """Where a bar closes between its low and its high; within `width` of the middle the next sign."""
    spread = bars["high"] - bars["low"]
    position = (bars["close"] - bars["low"]) / np.where(spread > 0, spread, 1.0)
    ahead = np.append(np.sign(np.diff(bars["close"])), 0.0)
    return np.where(np.abs(position - 0.5) < width, 0.5 + width * ahead, position)


def filled(bars, how="bfill"):
    """A statistic that is unknown on a few hours, and filled from the next that is known."""
    found = pd.Series(bars["taker_buy_volume"] / bars["volume"])
    return (found.bfill() if how == "bfill" else found.interpolate()).to_numpy()


def carried(bars):
    """The same, filled from the last that was known: honest, for gaps of an hour."""
    return pd.Series(bars["taker_buy_volume"] / bars["volume"]).ffill(limit=1).to_numpy()


def settling(bars):
    """A mean of some 20 bars that a window of 220 gives to 1e-9, and a leap before that not quite."""
    volume = bars["volume"]
    return volume / pd.Series(volume).ewm(span=20).mean().to_numpy()


def far(bars):
    """How far the close lies above its mean so far, which never settles; and, after a leap, the leaps to come
    more than a day later."""
    return since_start(bars) + 0.1 * leap(bars) * np.sign(np.roll(_log_return(bars), -40))


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
