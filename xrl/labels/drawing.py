"""Lanes as text for a terminal and as an SVG picture. Enters: `Drawn`. Leaves: text."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl.labels.balance import Shares
from xrl.labels.lanes import STATES, Drawn, Lane

_UNUSED, _TRAINING, _PURGED, _EMBARGO, _TEST, _HOLDOUT = range(len(STATES))
_MARKS: Final = ".=pe#H"
#: A cell of text that covers bars both purged and embargoed.
_BOTH: Final = "x"
_COLUMNS, _TICK, _NAME = 84, 14, 11

_COLOURS: Final = ("#e8e8e8", "#4c78a8", "#e45756", "#f2a541", "#54a24b", "#b279a2")
_WIDTH, _LEFT, _RIGHT, _LANE, _TOP = 1100, 80, 260, 26, 46


Place = Callable[[np.datetime64], float]


class _Run(NamedTuple):
    """Consecutive moments of one state."""

    state: int
    start: np.datetime64
    end: np.datetime64


def text(drawn: Drawn) -> str:
    """A timeline with dates, one line a lane, and below it a table of bars and class shares.

    A cell shows what most of its bars are, but purge and embargo, which are short, wherever they fall.
    """
    edges = np.linspace(0, len(drawn.moments), _COLUMNS + 1).round().astype(int)[:-1]
    ticks = range(0, _COLUMNS, _TICK)
    dates = "".join(f"{_day(drawn.moments[edges[tick]]):<{_TICK}}" for tick in ticks)
    marks = "".join(f"{'|':<{_TICK}}" for _ in ticks)
    lines = [" " * _NAME + dates.rstrip(), " " * _NAME + marks.rstrip()]
    lines += [f"{lane.name:<{_NAME}}" + _cells(lane.state) for lane in drawn.lanes]
    legend = [f"{mark} {name}" for mark, name in zip(_MARKS, STATES)]
    lines += ["", " " * _NAME + "   ".join((*legend, f"{_BOTH} purged and embargo")), ""]
    return "\n".join([*lines, *_table(drawn)])


def _cells(state: NDArray[np.int8]) -> str:
    cell = np.arange(len(state)) * _COLUMNS // len(state)
    counts = np.zeros((_COLUMNS, len(STATES)), dtype=np.int64)
    np.add.at(counts, (cell, state), 1)
    found = []
    for own in counts:
        if own[_PURGED] and own[_EMBARGO]:
            found.append(_BOTH)
        elif own[_PURGED] or own[_EMBARGO]:
            found.append(_MARKS[_PURGED if own[_PURGED] else _EMBARGO])
        else:
            found.append(_MARKS[int(own.argmax())])
    return "".join(found)


def _table(drawn: Drawn) -> Iterator[str]:
    """Bars of every state, and the shares of the classes among training and test bars."""
    heads = ("training", "bars", "purged", "embargo", "test", "bars", "holdout", "sell/hold/buy %", "of test")
    widths = (23, 9, 8, 8, 23, 9, 9, 16, 11)
    yield " " * _NAME + _row(heads, widths)
    for lane in drawn.lanes:
        bars = [f"{lane.bars[name]:,}" for name in STATES[1:]]
        training, purged, embargo, test, holdout = bars
        cells = (
            *(_reach(drawn, lane, _TRAINING), training, purged, embargo),
            *(_reach(drawn, lane, _TEST), test, holdout, _shares(lane.train), _shares(lane.test)),
        )
        yield f"{lane.name:<{_NAME}}" + _row(cells, widths)


def _row(cells: tuple[str, ...], widths: tuple[int, ...]) -> str:
    return " ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths)).rstrip()


def _reach(drawn: Drawn, lane: Lane, state: int) -> str:
    """First and last day of a state; a state that comes and goes is told by its outermost days."""
    own = drawn.moments[lane.state == state]
    return f"{_day(own[0])}..{_day(own[-1])}" if len(own) else "-"


def _shares(shares: Shares) -> str:
    if not shares["bars"]:
        return "-"
    return "/".join(f"{100 * share:.0f}" for share in (shares["sell"], shares["hold"], shares["buy"]))


def svg(drawn: Drawn, title: str) -> str:
    """The same lanes as a picture; purge (upper half) and embargo (lower half) are wide enough to be seen."""
    height = _TOP + _LANE * len(drawn.lanes) + 54
    start, end = drawn.moments[0], drawn.moments[-1]
    scale = (_WIDTH - _LEFT - _RIGHT) / max((end - start) / np.timedelta64(1, "ms"), 1.0)

    def at(moment: np.datetime64) -> float:
        return float(_LEFT + (moment - start) / np.timedelta64(1, "ms") * scale)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="14">{title}</text>',
        f'<text x="{_WIDTH - _RIGHT + 10}" y="{_TOP - 10}" font-size="11">sell/hold/buy % of bars</text>',
    ]
    bottom = _TOP + _LANE * len(drawn.lanes)
    for tick in start + np.arange(6) * ((end - start) // 5):
        parts.append(f'<path d="M{at(tick):.1f} {_TOP - 6}V{bottom}" stroke="#bbb"/>')
        parts.append(f'<text x="{at(tick):.1f}" y="{_TOP - 10}" text-anchor="middle">{_day(tick)}</text>')
    for number, lane in enumerate(drawn.lanes):
        parts += _picture(drawn, lane, _TOP + _LANE * number, at)
    for state, name in enumerate(STATES):
        x = _LEFT + 130 * state
        parts.append(f'<rect x="{x}" y="{bottom + 18}" width="14" height="14" fill="{_COLOURS[state]}"/>')
        parts.append(f'<text x="{x + 20}" y="{bottom + 29}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _picture(drawn: Drawn, lane: Lane, top: int, at: Place) -> Iterator[str]:
    yield f'<text x="{_LEFT - 8}" y="{top + 17}" text-anchor="end">{lane.name}</text>'
    for run in sorted(_runs(drawn.moments, lane.state), key=lambda run: run.state in (_PURGED, _EMBARGO)):
        thin = run.state in (_PURGED, _EMBARGO)
        x, width = at(run.start), max(at(run.end) - at(run.start), 2.0 if thin else 0.1)
        tall = (_LANE - 6) // 2 if thin else _LANE - 6
        y = top + 3 + (tall if run.state == _EMBARGO else 0)
        yield (
            f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{tall}" '
            f'fill="{_COLOURS[run.state]}"><title>{lane.name}: {STATES[run.state]}, '
            f"{_day(run.start)}..{_day(run.end)}</title></rect>"
        )
    told = f"train {_shares(lane.train)} of {lane.train['bars']:,}"
    if lane.test["bars"]:
        told += f", test {_shares(lane.test)} of {lane.test['bars']:,}"
    yield f'<text x="{_WIDTH - _RIGHT + 10}" y="{top + 17}" font-size="11">{told}</text>'


def _runs(moments: NDArray[np.datetime64], state: NDArray[np.int8]) -> Iterator[_Run]:
    starts = np.flatnonzero(np.append(True, np.diff(state) != 0))
    ends = np.append(starts[1:], len(state) - 1)
    for first, last in zip(starts, ends):
        yield _Run(int(state[first]), moments[first], moments[last])


def _day(moment: np.datetime64) -> str:
    return f"{pd.Timestamp(moment):%Y-%m-%d}"
