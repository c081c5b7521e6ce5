"""Where to cut a history off to see whether a column looks ahead: around the bars that it singles out.

Enters: one column's values. Leaves: row numbers. A column that is nearly always 0 and looks ahead gives
itself away on the few bars where it is something else, cut off right behind them, and nowhere else.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from xrl.features.rolling import Array

#: A row that stands out is cut before, right behind, and one bar further on: the one that alone knows, the
#: last of a run, the first.
_AROUND: Final = (0, 1, 2)


def cuts(values: Array, count: int, seed: int) -> NDArray[np.int64]:
    """Ends of prefixes `values[:end]` that show whether a row that stands out knew of later ones.

    Args:
        values: (n,) a column.
        count: rows that stand out, at most; three ends each.
        seed: of the draw where there are more.

    Returns:
        (<= 3 count,) ascending, each in 1..n.
    """
    ends = (outstanding(values, count, seed)[:, None] + np.array(_AROUND)).ravel()  # (3 rows,)
    return np.unique(ends[(ends >= 1) & (ends <= len(values))])


def outstanding(values: Array, count: int, seed: int) -> NDArray[np.int64]:
    """Rows that hold another number than the column's most frequent one, or are unlike the row before them.

    Args:
        values: (n,) a column, NaN where unknown.
        count: rows, at most.
        seed: of the draw where there are more.

    Returns:
        (<= count,) ascending: all; of too many half those that moved most, the rest drawn from the others.
    """
    known = np.isfinite(values)
    found, times = np.unique(values[known], return_counts=True)
    if not len(found):
        return np.empty(0, np.int64)
    rare = known & (values != found[times.argmax()])
    changed = np.zeros(len(values), dtype=bool)
    changed[1:] = (values[1:] != values[:-1]) & (known[1:] | known[:-1])
    changed[: known.argmax() + 1] = False  # the end of the warm-up
    rows = np.flatnonzero(rare | changed)
    if len(rows) <= count:
        return rows
    with np.errstate(invalid="ignore"):
        moved = np.nan_to_num(np.abs(np.diff(values, prepend=values[0])), nan=np.inf, posinf=np.inf)[rows]
    order = np.argsort(-moved, kind="stable")
    drawn = np.random.default_rng(seed).permutation(order[count // 2 :])[: count - count // 2]
    return np.sort(rows[np.concatenate([order[: count // 2], drawn])])
