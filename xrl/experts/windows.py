"""Windows of bars without copies: rows are kept once, a batch gathers what it needs.

Enters: rows sorted by symbol, then time. Leaves: positions, starts, windows. No window spans two symbols, a
missing bar or a row with NaN (warm-up), and none holds anything after its last row.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrl.experts.targets import Targets

BAR_MS = 3_600_000


@dataclass(frozen=True)
class Rows:
    """Bars of all symbols, sorted by symbol, then time.

    Attributes:
        x: (rows, columns) float32 scaled features, NaN in warm-up rows.
        position: (rows,) place within the unbroken run, see `positions`.
        label: (rows,) classes; any value where a mask does not ask for it.
        targets: what else may be learned of them, where the preset asks for it.
    """

    x: NDArray[np.float32]
    position: NDArray[np.int64]
    label: NDArray[np.int8]
    targets: Targets | None = None


def positions(
    symbol: NDArray[np.integer], time_ms: NDArray[np.int64], finite: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """How many bars of the same unbroken run precede each row.

    Three rows of one symbol and one of the next give `[0, 1, 2, 0]`; a NaN row gives -1 and the count starts
    anew after it.

    Args:
        symbol: (rows,) code of the symbol.
        time_ms: (rows,) open time of the bar in milliseconds.
        finite: (rows,) whether all features of the row are finite.

    Returns:
        (rows,) position within the run, -1 for a row that is not finite.
    """
    rows = np.arange(len(symbol))
    follows = np.zeros(len(symbol), dtype=bool)
    follows[1:] = (symbol[1:] == symbol[:-1]) & (time_ms[1:] - time_ms[:-1] == BAR_MS)
    follows[1:] &= finite[1:] & finite[:-1]
    start = np.maximum.accumulate(np.where(follows, 0, rows))
    return np.where(finite, rows - start, -1).astype(np.int64)


def window_ends(position: NDArray[np.int64], window: int) -> NDArray[np.bool_]:
    """Whether each row is the last of an unbroken window of `window` bars. (rows,)"""
    return position >= window - 1


def training_starts(position: NDArray[np.int64], window: int, hop: int, phase: int) -> NDArray[np.int64]:
    """First rows of training windows: every `hop` bars of each run, shifted by `phase`.

    Args:
        position: (rows,) see `positions`.
        window: bars in a window.
        hop: bars between neighbouring starts.
        phase: 0 <= phase < hop; another phase each epoch shows the same bars in other company.

    Returns:
        (windows,) row numbers, ascending.
    """
    fits = np.zeros(len(position), dtype=bool)
    fits[: max(len(position) - window + 1, 0)] = position[window - 1 :] >= window - 1
    return np.flatnonzero(fits & (position % hop == phase))


def gather(x: NDArray[np.float32], starts: NDArray[np.int64], window: int) -> NDArray[np.float32]:
    """Windows that begin at `starts`: (windows, window, columns)."""
    return np.asarray(x[starts[:, None] + np.arange(window)])
