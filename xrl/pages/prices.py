"""Round trips on the price chart, one plot per symbol, thinned to what can be seen.

Enters: bars and round trips of one symbol. Leaves: a plot as in `figures`.
"""

from typing import Any, Final

import numpy as np
import pandas as pd

from xrl import columns as c
from xrl.pages.figures import GAIN, LOSS, QUIET, Figure, rounded

#: Most candles of a plot; hourly bars are merged into longer ones until they fit.
MAX_CANDLES: Final = 1500
#: Most round trips of a plot: those that moved the account most.
MAX_TRADES: Final = 400
_CANDLE_HOURS: Final = (1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168, 336)


def price_chart(bars: pd.DataFrame, trades: pd.DataFrame) -> Figure:
    """Candles with every shown round trip as a line from entry to exit.

    Args:
        bars: timestamp and prices of one symbol over the traded span.
        trades: its round trips.
    """
    hours = candle_hours(len(bars))
    candles = merged(bars, hours)
    shown = largest(trades)
    price = {
        "type": "candlestick",
        "name": f"price, {hours} h",
        "x": _stamps(candles.index),
        **{side: rounded(candles[side].to_numpy(np.float64), 6) for side in (c.OPEN, c.HIGH, c.LOW, c.CLOSE)},
        "increasing": {"line": {"color": "rgba(140,140,140,0.9)", "width": 1}, "fillcolor": "rgba(0,0,0,0)"},
        "decreasing": {"line": {"color": "rgba(140,140,140,0.9)", "width": 1}, "fillcolor": QUIET},
        "hoverinfo": "x+y",
    }
    won = shown[c.TRADE_RETURN] > 0.0
    layout = {
        "height": 480,
        "hovermode": "closest",
        "xaxis": {"rangeslider": {"visible": False}},
        "yaxis": {"type": "log", "title": {"text": "USDT"}},
        "legend": {"orientation": "h", "y": 1.1},
    }
    lines = [_lines(shown[won], "won", GAIN), _lines(shown[~won], "lost", LOSS)]
    entries = [_entries(shown, "long", "triangle-up"), _entries(shown, "short", "triangle-down")]
    note = {"candle_hours": hours, "shown": len(shown), "trades": len(trades)}
    return {"data": [price, *lines, *entries], "layout": layout, "note": note}


def candle_hours(bars: int) -> int:
    """Length of the shortest candle with which so many hourly bars fit."""
    return next((hours for hours in _CANDLE_HOURS if bars / hours <= MAX_CANDLES), _CANDLE_HOURS[-1])


def merged(bars: pd.DataFrame, hours: int) -> pd.DataFrame:
    """Hourly bars as candles of `hours`: first open, highest high, lowest low, last close."""
    own = bars.set_index(c.TIMESTAMP).groupby(pd.Grouper(freq=f"{hours}h"))
    return own.agg({c.OPEN: "first", c.HIGH: "max", c.LOW: "min", c.CLOSE: "last"}).dropna()


def largest(trades: pd.DataFrame) -> pd.DataFrame:
    """Those of the largest gain or loss, in their order."""
    size = trades[c.TRADE_RETURN].abs()
    return trades.loc[size.nlargest(MAX_TRADES).index].sort_index()


def _lines(trades: pd.DataFrame, name: str, colour: str) -> Figure:
    """One broken line: entry, exit, gap."""
    times, prices, texts = [], [], []
    for entered, left, bought, sold, text in zip(
        _stamps(trades[c.ENTRY_TIME]),
        _stamps(trades[c.EXIT_TIME]),
        rounded(trades[c.ENTRY_PRICE], 6),
        rounded(trades[c.EXIT_PRICE], 6),
        [_told(trade) for _, trade in trades.iterrows()],
    ):
        times += [entered, left, None]
        prices += [bought, sold, None]
        texts += [text, text, None]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": times,
        "y": prices,
        "text": texts,
        "line": {"color": colour, "width": 1.6},
        "marker": {"size": 4, "color": colour},
        "hovertemplate": "%{text}<extra></extra>",
    }


def _entries(trades: pd.DataFrame, side: str, symbol: str) -> Figure:
    own = trades[trades[c.SIDE] == side]
    won = (own[c.TRADE_RETURN] > 0.0).tolist()
    return {
        "type": "scatter",
        "mode": "markers",
        "name": side,
        "x": _stamps(own[c.ENTRY_TIME]),
        "y": rounded(own[c.ENTRY_PRICE], 6),
        "marker": {"symbol": symbol, "size": 7, "color": [GAIN if each else LOSS for each in won]},
        "hoverinfo": "skip",
    }


def _told(trade: Any) -> str:
    gain = 100.0 * trade[c.TRADE_RETURN]
    return (
        f"{trade[c.SIDE]} {trade[c.LEVERAGE]:.1f}x, {trade[c.BARS_HELD]} h: {gain:+.2f} %"
        f"<br>{trade[c.ENTRY_PRICE]:,.6g} to {trade[c.EXIT_PRICE]:,.6g}, {trade[c.EXIT_REASON]}"
    )


def _stamps(times: Any) -> list[str]:
    return [f"{time:%Y-%m-%d %H:%M}" for time in pd.DatetimeIndex(times)]
