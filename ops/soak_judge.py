"""What a trial's store must be: the fault-free store, frame for frame, and nothing that the venue never had.

Enters: stores after a pull, the fault-free one, the case, what fired. Leaves: sentences, none if all is well.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import pandas as pd

from ops.soak_case import HOUR, Case
from xrl import columns as c
from xrl.market.store import Store
from xrl.market.tables import FUNDING, SERIES, TIMEFRAMES, Kind, is_candles
from xrl.sandbox.altered import FINAL_MS

#: In the names of unfinished files.
PART: Final = ".part"
#: More than any clock of a trial is off.
EDGE: Final = 2 * HOUR
_ENDPOINTS: Final = {FUNDING: "funding", "open_interest": "open_interest", "taker_volume": "taker_volume"}

Frames = dict[tuple[str, Kind], pd.DataFrame]


def frames(store: Store, case: Case) -> Frames:
    """Every table of the trial as stored."""
    kinds = (case.order.timeframe, *SERIES)
    return {(symbol, kind): store.read(symbol, kind) for symbol in case.order.symbols for kind in kinds}


def differences(found: Frames, due: Frames) -> list[str]:
    """Where `found` is not exactly `due`: columns, types, order, rows, values."""
    sentences = []
    for (symbol, kind), expected in due.items():
        frame = found[symbol, kind]
        try:
            pd.testing.assert_frame_equal(frame, expected, check_exact=True)
        except AssertionError as error:
            lacks = expected[~expected[c.TIMESTAMP].isin(frame[c.TIMESTAMP])]
            more = frame[~frame[c.TIMESTAMP].isin(expected[c.TIMESTAMP])]
            sentences.append(
                f"{symbol} {kind}: {len(frame)} rows where {len(expected)} are due; lacks {_said(lacks)}; "
                f"too many {_said(more)}; other values {_said(changed(frame, expected))} "
                f"({' '.join(str(error).split())[:200]})"
            )
    return sentences


def changed(frame: pd.DataFrame, expected: pd.DataFrame) -> pd.DataFrame:
    """Rows of `frame` whose time is in `expected` with other values."""
    both = frame.merge(expected, on=c.TIMESTAMP, how="inner", suffixes=("", " due"))
    values = [name for name in frame.columns if name != c.TIMESTAMP]
    left, right = both[values], both[[f"{name} due" for name in values]].set_axis(values, axis=1)
    same = ((left == right) | (left.isna() & right.isna())).all(axis=1)
    return both.loc[~same, list(frame.columns)]


def invented(
    found: Frames, due: Frames, case: Case, fired: Collection[str], kept: Mapping[Kind, pd.Timestamp]
) -> list[str]:
    """Rows that the fault-free venue does not have, but for first versions that a `revised` fault served.

    Args:
        found: what is stored.
        due: what the fault-free venue has.
        case: whose script says what may be a first version.
        fired: kinds of fault that fired.
        kept: since when the venue answers for a kind; a clock that is behind by EDGE finds older rows, too.
    """
    sentences = []
    for (symbol, kind), frame in found.items():
        expected, times = due[symbol, kind], frame[c.TIMESTAMP]
        older = (times >= kept[kind] - EDGE) & (times < kept[kind]) if kind in kept else times.isna()
        unknown = frame[~times.isin(expected[c.TIMESTAMP]) & ~older]
        other = changed(frame, expected)
        other = other[~other[c.TIMESTAMP].isin(_revisable(other[c.TIMESTAMP], kind, case, fired))]
        if len(unknown) or len(other):
            sentences.append(f"{symbol} {kind}: invented rows {_said(unknown)}, values {_said(other)}")
    return sentences


def _revisable(times: pd.Series, kind: Kind, case: Case, fired: Collection[str]) -> pd.Series:
    """Times whose first version a fault of the script may have served at the first pull."""
    kept = pd.Series(False, index=times.index)
    step, span = _spacing(kind)
    for fault in case.script.faults:
        if fault.kind == "revised" and "revised" in fired and fault.on in ("any", endpoint(kind)):
            age = case.now - (times + span) - pd.Timedelta(milliseconds=FINAL_MS)
            kept |= age < fault.arg("rows") * step
    return times[kept]


def lost(found: Frames, earlier: Frames) -> list[str]:
    """Rows of an earlier accepted store that are gone."""
    return [
        f"{symbol} {kind}: lost {_said(gone)}"
        for (symbol, kind), frame in earlier.items()
        if len(gone := frame[~frame[c.TIMESTAMP].isin(found[symbol, kind][c.TIMESTAMP])])
    ]


def litter(root: Path) -> list[str]:
    """Unfinished files that nobody has cleared away."""
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if PART in path.name)
    return [f"unfinished files are left: {', '.join(names)}"] if names else []


def claimed(due: Frames, case: Case, fired: Collection[str]) -> Frames:
    """`due` without what the venue said, while it misbehaved, that there is not: rows before a listing, after
    its end, or beyond a clock that was behind.
    """
    return {
        (symbol, kind): frame[_there(frame[c.TIMESTAMP], symbol, kind, case, fired)].reset_index(drop=True)
        for (symbol, kind), frame in due.items()
    }


def _there(times: pd.Series, symbol: str, kind: Kind, case: Case, fired: Collection[str]) -> pd.Series:
    there = pd.Series(True, index=times.index)
    for fault in case.script.faults:
        if fault.kind not in fired or fault.symbol not in (None, symbol):
            continue
        if fault.kind in ("newly_listed", "delisted"):
            border = (case.now - pd.Timedelta(days=fault.arg("days"))).floor("h")
            # rows about the border itself may be told to belong to either side
            there &= times > border + 2 * HOUR if fault.kind == "newly_listed" else times < border - 2 * HOUR
        if fault.kind == "clock_skew" and fault.arg("seconds") < 0:
            claimed_now = case.now + pd.Timedelta(seconds=fault.arg("seconds")) - pd.Timedelta(minutes=1)
            there &= times + _spacing(kind)[1] <= claimed_now
    return there


def forgiven(found: Frames, due: Frames, case: Case, fired: Collection[str]) -> Frames:
    """`found` as it may stand after a pull that ended well among the faults that `fired`: first versions set
    right, and of what the venue said that there is not (`claimed`) nothing.
    """
    least = claimed(due, case, fired)
    pardoned = {}
    for (symbol, kind), frame in found.items():
        expected = due[symbol, kind]
        first = _revisable(changed(frame, expected)[c.TIMESTAMP], kind, case, fired)
        kept = frame[~frame[c.TIMESTAMP].isin(first)]
        right = expected[expected[c.TIMESTAMP].isin(first)]
        frame = pd.concat([kept, right]).sort_values(c.TIMESTAMP) if len(right) else frame
        if len(least[symbol, kind]) < len(expected):
            frame = frame[frame[c.TIMESTAMP].isin(least[symbol, kind][c.TIMESTAMP])]
        pardoned[symbol, kind] = frame.reset_index(drop=True)
    return pardoned


def within(found: Frames, due: Frames) -> Frames:
    """`found` without the rows that are not asked for."""
    return {
        key: frame[frame[c.TIMESTAMP].isin(due[key][c.TIMESTAMP])].reset_index(drop=True)
        for key, frame in found.items()
    }


def since(found: Frames, kept: Mapping[Kind, pd.Timestamp]) -> Frames:
    """`found` without what is older than the venue still answers for."""
    return {
        (symbol, kind): frame[frame[c.TIMESTAMP] >= kept[kind]].reset_index(drop=True)
        if kind in kept
        else frame
        for (symbol, kind), frame in found.items()
    }


def endpoint(kind: Kind) -> str:
    """The name that fault scripts have for the endpoint of `kind`."""
    return "klines" if is_candles(kind) else _ENDPOINTS[kind]


def _spacing(kind: Kind) -> tuple[pd.Timedelta, pd.Timedelta]:
    """Between two rows, and from a row's stamp until it is complete."""
    if is_candles(kind):
        return TIMEFRAMES[kind], TIMEFRAMES[kind]
    return (8 * HOUR, 0 * HOUR) if kind == FUNDING else (HOUR, HOUR if kind == "taker_volume" else 0 * HOUR)


def _said(rows: pd.DataFrame) -> str:
    times = rows[c.TIMESTAMP]
    return f"{len(rows)}" + (f" ({times.iloc[0]} to {times.iloc[-1]})" if len(rows) else "")
