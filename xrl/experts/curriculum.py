"""Easy bars first. Enters: classes, scores, an epoch. Leaves: the bars that this epoch trains on. Pure.

Source: Bengio et al. 2009, "Curriculum Learning"; the sources plan it without a definition. Taken here: a bar
is easy whose outcome was clear, ranked within its class so that the classes keep their shares.
"""

import numpy as np
from numpy.typing import NDArray

from xrl.columns import BUY, CLASSES, SELL
from xrl.presets import Curriculum


def clearness(
    label: NDArray[np.integer], score: NDArray[np.floating], learned: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """How clear each training bar's outcome was, 0 the least to 1 the most of its class; NaN elsewhere.

    SELL and BUY are clear far from zero, HOLD near the middle of its own scores.

    Args:
        label: (rows,) classes.
        score: (rows,) outcomes in units of volatility; NaN counts as least clear.
        learned: (rows,) bars that train.
    """
    found = np.full(len(label), np.nan)
    for number in range(len(CLASSES)):
        own = np.flatnonzero(learned & (label == number))
        if not len(own):
            continue
        value = score[own].astype(np.float64)
        if number == SELL:
            value = -value
        elif number != BUY:
            value = -np.abs(value - np.nanmedian(value))
        order = np.where(np.isnan(value), -np.inf, value).argsort(kind="stable")
        found[own[order]] = (np.arange(len(own)) + 1.0) / len(own)
    return found


def admitted(clear: NDArray[np.float64], epoch: int, settings: Curriculum) -> NDArray[np.bool_]:
    """The bars that epoch `epoch` (from 1) trains on: the clearest share, growing evenly to all of them.

    Args:
        clear: (rows,) as `clearness` gives it; NaN does not train.
        epoch: after `settings.epochs` of them, all bars are in.
        settings: section `curriculum` of the preset.
    """
    done = min((epoch - 1) / settings.epochs, 1.0) if settings.epochs else 1.0
    share = settings.first_share + (1.0 - settings.first_share) * done
    return np.asarray(clear > 1.0 - share + 1e-12)
