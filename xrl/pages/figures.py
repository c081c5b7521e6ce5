"""The page's interactive plots, as plotly.js takes them: plain dicts of traces and layout.

Enters: equity curves, the track, round trips, bars, metrics. Leaves: one dict per plot. Colours hold on light
and dark paper alike; paper, text and grid are set by the page, which knows which of the two it is on.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from xrl import columns as c

Figure = dict[str, Any]
Found = Mapping[str, Any]

GAIN, LOSS, QUIET = "#1a9a78", "#d1603d", "#8c8c8c"
COLOURS: Final = {
    "policy": GAIN,
    "lightgbm": LOSS,
    "logistic": "#d9a441",
    "committee_threshold": "#4c8bd0",
    "buy_and_hold": QUIET,
    "always_short": "#b08fc7",
    "flat": "#b5b5b5",
}
#: Strategies whose lines are drawn at once; a click on the legend draws the others.
_SHOWN: Final = ("policy", "lightgbm", "buy_and_hold")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ACTION_COLOURS: Final = {"buy": GAIN, "sell": LOSS, "close": "#4c8bd0", "hold": QUIET}


def equity(daily: pd.DataFrame) -> Figure:
    """Equity of every strategy on a logarithmic axis, and how far each stands below its peak.

    Args:
        daily: `date` and one column per strategy, equity at each UTC day's end.
    """
    traces = []
    names = [name for name in daily.columns if name != "date"]
    for name in [*names[1:], names[0]]:  # ours is drawn last, so on top
        level = daily[name].to_numpy(np.float64)
        line = {"color": COLOURS.get(name, QUIET), "width": 2.4 if name == names[0] else 1.3}
        shown: Figure = {
            "type": "scatter",
            "mode": "lines",
            "name": named(name),
            "legendgroup": name,
            "x": daily["date"].tolist(),
            "line": line,
            "visible": True if name in _SHOWN else "legendonly",
        }
        fall = 100.0 * (level / np.maximum.accumulate(np.maximum(level, 1e-9)) - 1.0)
        below = {
            "yaxis": "y2",
            "showlegend": False,
            "hovertemplate": "%{y:.1f} %<extra>%{fullData.name}</extra>",
        }
        if name == names[0]:
            below |= {"fill": "tozeroy"}
        traces += [
            shown | {"y": rounded(level, 5), "hovertemplate": "x%{y:.3f}<extra>%{fullData.name}</extra>"},
            shown | {"y": rounded(fall, 4)} | below,
        ]
    layout = {
        "height": 520,
        "hovermode": "x unified",
        "yaxis": {"type": "log", "domain": [0.34, 1.0], "title": {"text": "equity, start = 1"}},
        "yaxis2": {"domain": [0.0, 0.27], "title": {"text": "below peak, %"}, "rangemode": "tozero"},
        "xaxis": {"anchor": "y2"},
        "legend": {"orientation": "h", "y": 1.07, "traceorder": "reversed"},
    }
    return {"data": traces, "layout": layout}


def months(monthly: pd.Series) -> Figure:
    """Heat map of monthly returns in per cent; each year's own return beside its name.

    Args:
        monthly: `performance.monthly_returns`.
    """
    percent = 100.0 * monthly
    years = sorted({month.year for month in monthly.index}, reverse=True)
    z = [[percent.get(pd.Period(f"{year}-{m:02d}", "M")) for m in range(1, 13)] for year in years]
    totals = [100.0 * (np.prod(1.0 + monthly[monthly.index.year == year]) - 1.0) for year in years]
    bound = max(float(percent.abs().quantile(0.95)), 1.0)
    trace = {
        "type": "heatmap",
        "x": list(_MONTHS),
        "y": [f"{year}  {total:+.1f} %" for year, total in zip(years, totals)],
        "z": [[None if cell is None else float(f"{cell:.2f}") for cell in row] for row in z],
        "text": [["" if cell is None else f"{cell:+.1f}" for cell in row] for row in z],
        "texttemplate": "%{text}",
        "hovertemplate": "%{x} %{y}<br>%{z:.2f} %<extra></extra>",
        "colorscale": [[0.0, LOSS], [0.5, "rgba(140,140,140,0.10)"], [1.0, GAIN]],
        "zmid": 0.0,
        "zmin": -bound,
        "zmax": bound,
        "xgap": 2,
        "ygap": 2,
        "showscale": False,
    }
    layout = {
        "height": 110 + 38 * len(years),
        "xaxis": {"side": "top", "showgrid": False, "fixedrange": True},
        "yaxis": {"autorange": "reversed", "showgrid": False, "fixedrange": True, "type": "category"},
        "margin": {"l": 110, "t": 30, "b": 10},
    }
    return {"data": [trace], "layout": layout}


def sources(days: pd.DataFrame) -> Figure:
    """What the portfolio's equity is made of: price moves, less costs, less funding.

    Args:
        days: index dates; columns of what each day added, shares of the first equity.
    """
    colours = {"price moves": "#4c8bd0", "fees and slippage": LOSS, "funding": "#d9a441", "net": GAIN}
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": [str(day)[:10] for day in days.index],
            "y": rounded(100.0 * days[name].cumsum().to_numpy(np.float64), 5),
            "line": {"color": colours.get(name, QUIET), "width": 2.4 if name == "net" else 1.6},
            "hovertemplate": "%{y:.1f} %<extra>%{fullData.name}</extra>",
        }
        for name in days.columns
    ]
    layout = {
        "height": 340,
        "hovermode": "x unified",
        "yaxis": {"title": {"text": "added so far, % of start"}},
        "legend": {"orientation": "h", "y": 1.12},
    }
    return {"data": traces, "layout": layout}


def ratios(rows: Sequence[tuple[str, float, float | None, float | None]]) -> Figure:
    """Sharpe ratios with their intervals, one line each.

    Args:
        rows: name, value, low and high (None where there is no interval), best first.
    """
    names, values, lows, highs = (list(column) for column in zip(*rows[::-1]))
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": rounded(values, 4),
        "y": names,
        "marker": {"size": 9, "color": [GAIN if name.startswith("policy") else QUIET for name in names]},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [0.0 if h is None else h - v for v, h in zip(values, highs)],
            "arrayminus": [0.0 if low is None else v - low for v, low in zip(values, lows)],
            "color": QUIET,
            "thickness": 1.6,
            "width": 4,
        },
        "hovertemplate": "%{y}: %{x:.2f}<extra></extra>",
    }
    layout = {
        "height": 90 + 30 * len(rows),
        "xaxis": {"title": {"text": "Sharpe ratio, net of costs"}, "zeroline": True},
        "yaxis": {"type": "category", "showgrid": False, "fixedrange": True},
        "margin": {"l": 190, "t": 20},
        "showlegend": False,
    }
    return {"data": [trace], "layout": layout}


def actions(share: Mapping[str, float]) -> Figure:
    """How often each action was taken."""
    names = list(share)
    trace = {
        "type": "bar",
        "x": [named(name) for name in names],
        "y": rounded([100.0 * share[name] for name in names], 4),
        "marker": {"color": [_ACTION_COLOURS.get(name.partition("_")[0], "#b08fc7") for name in names]},
        "texttemplate": "%{y:.1f}",
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{x}: %{y:.2f} %<extra></extra>",
    }
    return {"data": [trace], "layout": {"height": 300, "yaxis": {"title": {"text": "% of decisions"}}}}


def sides(track: pd.DataFrame) -> Figure:
    """Shares of bars long, flat and short in every month, all symbols together."""
    month = track[c.TIMESTAMP].dt.strftime("%Y-%m-01")
    held = track["exposure"]
    shares = (
        pd.DataFrame({"short": held < 0.0, "flat": held == 0.0, "long": held > 0.0}).groupby(month).mean()
    )
    colours = {"short": LOSS, "flat": "rgba(140,140,140,0.35)", "long": GAIN}
    traces = [
        {
            "type": "bar",
            "name": side,
            "x": shares.index.tolist(),
            "y": rounded(100.0 * shares[side].to_numpy(np.float64), 4),
            "marker": {"color": colours[side]},
            "hovertemplate": "%{y:.0f} %<extra>%{fullData.name}</extra>",
        }
        for side in ("long", "flat", "short")
    ]
    layout = {
        "height": 300,
        "xaxis": {"tickformat": "%b %Y", "dtick": "M1" if len(shares) < 8 else "M6"},
        "barmode": "stack",
        "bargap": 0.06,
        "hovermode": "x unified",
        "yaxis": {"title": {"text": "% of bars"}, "range": [0, 100]},
        "legend": {"orientation": "h", "y": 1.15},
    }
    return {"data": traces, "layout": layout}


def named(name: str) -> str:
    """A key as words."""
    return name.replace("_", " ")


def rounded(values: Any, digits: int) -> list[float | None]:
    """Numbers with so many significant digits, which is what can be seen; None where not finite."""
    return [float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in values]
