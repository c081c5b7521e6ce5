"""From when to when a table of bars reaches. Enters: bars of any symbols. Leaves: their span."""

from typing import NamedTuple

import pandas as pd

from xrl import columns


class History(NamedTuple):
    """Open of the first bar, close of the last, length of a bar; UTC."""

    start: pd.Timestamp
    end: pd.Timestamp
    bar: pd.Timedelta


def history(bars: pd.DataFrame) -> History:
    """The span of `bars`; a bar lasts as long as the shortest step between two.

    Args:
        bars: timestamps, one symbol's rows after another's, each in time order.
    """
    time = bars[columns.TIMESTAMP]
    bar = time.diff().loc[lambda step: step > pd.Timedelta(0)].min()
    return History(time.min(), time.max() + bar, bar)
