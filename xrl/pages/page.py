"""The page itself: one HTML file with its scripts and data inside, which asks the network for nothing.

Enters: what the stage `backtest` wrote, the bars it traded, alarms. Leaves: HTML. Plots are thinned to what
can be seen (daily equity, merged candles, the largest round trips); tables and files hold the rest.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from plotly.offline import get_plotlyjs

from xrl import columns as c
from xrl.backtest import performance, plots
from xrl.backtest.portfolio import grid_of, money_before
from xrl.pages import figures, prices, tables

_TEMPLATE = Path(__file__).with_name("page.html")
_OURS = "policy"


@dataclass(frozen=True)
class Shown:
    """What a page shows."""

    market: str
    found: Mapping[str, Any]  # metrics.json
    returns: pd.DataFrame  # timestamp and one equity curve per strategy, ours first
    track: pd.DataFrame  # the traded bars, as stages/backtest/track.parquet
    trades: pd.DataFrame  # columns.TRADE
    bars: pd.DataFrame  # symbol, columns.BAR
    checks: Sequence[Mapping[str, Any]]  # alarms: name, figure, relation, bound, passed, reason


def html(shown: Shown) -> str:
    """The page as one document."""
    found = shown.found
    trading = found["trading"]
    failed = [check for check in shown.checks if not check["passed"]]
    parts = {
        "title": escape(f"Backtest: {shown.market}"),
        "span": _span(shown),
        "tiles": tables.tiles(trading),
        "verdict": _verdict(failed, len(shown.checks)),
        "strategies": tables.strategies_table(found),
        "exits": tables.exits_line(trading["exits"]),
        "trades": tables.trades_table(shown.trades),
        "trading": tables.trading_table(trading),
        "stress": tables.stress_table(trading),
        "classes": tables.classes_table(found["prediction"]),
        "folds": tables.folds_table(found["folds"]),
        "years": tables.slices_table(trading["years"], "year"),
        "symbols": tables.slices_table(trading["symbols"], "symbol"),
        "checks": tables.checks_table(shown.checks),
        "notes": _NOTES,
        "figures": _script(_figures(shown)),
        "plotly": _plotly(),
    }
    page = _TEMPLATE.read_text(encoding="utf-8")
    for name, text in parts.items():
        page = page.replace(f"{{{{{name}}}}}", text)
    return page


def _figures(shown: Shown) -> dict[str, Any]:
    stamps = shown.returns[c.TIMESTAMP].dt.tz_localize(None).to_numpy("datetime64[ms]")
    curves = {name: shown.returns[name].to_numpy(np.float64) for name in shown.returns.columns[1:]}
    return {
        "equity": figures.equity(plots.daily_equity(stamps, curves)),
        "months": figures.months(performance.monthly_returns(stamps, curves[_OURS])),
        "ratios": figures.ratios(_ratios(shown.found)),
        "sources": figures.sources(daily_sources(shown.track)),
        "actions": figures.actions(shown.found["trading"]["action_share"]),
        "sides": figures.sides(shown.track),
        "prices": {symbol: _prices(shown, symbol) for symbol in shown.track[c.SYMBOL].unique()},
    }


def _prices(shown: Shown, symbol: str) -> figures.Figure:
    time = shown.track.loc[shown.track[c.SYMBOL] == symbol, c.TIMESTAMP]
    bars = shown.bars[
        (shown.bars[c.SYMBOL] == symbol) & shown.bars[c.TIMESTAMP].between(time.min(), time.max())
    ]
    return prices.price_chart(bars, shown.trades[shown.trades[c.SYMBOL] == symbol])


def daily_sources(track: pd.DataFrame) -> pd.DataFrame:
    """What each day added to the portfolio's equity, by source, shares of the equity at the start.

    Args:
        track: symbol, timestamp, net_return, costs, funding, insurance; shares of the sub-account's equity.

    Returns:
        Index: days; `net` is the sum of the others.
    """
    opens = [own.dt.tz_localize(None).to_numpy("datetime64[ms]") for _, own in _times(track)]
    money = money_before(track["net_return"].to_numpy(np.float64), grid_of(opens))
    spent = {"fees and slippage": "costs", "funding": "funding", "liquidated margin": "insurance"}
    lost = {name: -track[column].to_numpy(np.float64) for name, column in spent.items()}
    net = track["net_return"].to_numpy(np.float64)
    parts = {"price moves": net - sum(lost.values()), **lost, "net": net}
    parts = {name: part for name, part in parts.items() if name == "net" or np.any(part)}
    added = pd.DataFrame({name: money * part for name, part in parts.items()}, index=track.index)
    return added.groupby(track[c.TIMESTAMP].dt.floor("D").to_numpy()).sum()


def _times(track: pd.DataFrame) -> list[tuple[Any, pd.Series]]:
    return list(track.groupby(c.SYMBOL, sort=False)[c.TIMESTAMP])


def _ratios(found: Mapping[str, Any]) -> list[tuple[str, float, float | None, float | None]]:
    trading = found["trading"]
    ours = trading["sharpe"]
    rows: list[tuple[str, float, float | None, float | None]] = [
        ("policy", ours["value"], ours["low"], ours["high"])
    ]
    rows += [
        (f"policy, {figures.named(name)}", trading[f"sharpe_{name}"], None, None)
        for name in ("costs_x0", "costs_x2", "delay_1", "funding_off")
    ]
    for name, own in found["baselines"].items():
        if "sharpe_interval" in own and name != "flat":
            interval = own["sharpe_interval"]
            rows.append((figures.named(name), own["sharpe"], interval["low"], interval["high"]))
    luck = found["baselines"]["random_timing"]
    rows.append(("random timing", luck["median"], luck["median"], luck["p95"]))
    if found.get("ceiling"):
        rows.append(("ceiling: knows the world", found["ceiling"]["sharpe"], None, None))
    return rows


def _span(shown: Shown) -> str:
    found = shown.found
    symbols = ", ".join(shown.track[c.SYMBOL].unique())
    return escape(
        f"{symbols}. Walk-forward, {found['start'][:10]} to {found['end'][:10]}: {found['bars']:,.0f} hourly "
        f"bars traded in {len(found['folds']) - 1} folds, each by a policy that was trained before them. "
        "Equal-weight isolated sub-accounts, rebalanced monthly."
    )


def _verdict(failed: Sequence[Mapping[str, Any]], checked: int) -> str:
    if not failed:
        return f'<p class="verdict">None of {checked} alarms is raised. <a href="#checks">Which ones</a></p>'
    names = ", ".join(figures.named(check["name"]) for check in failed)
    return (
        f'<p class="verdict alarmed"><span class="bad">{len(failed)} of {checked} alarms:</span> '
        f'{escape(names)}. <a href="#checks">What they mean</a></p>'
    )


def _script(node: Any) -> str:
    """JSON that may stand within a script element."""
    return json.dumps(node, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


@lru_cache(maxsize=1)
def _plotly() -> str:
    found: str = get_plotlyjs()
    return found


_NOTES = (
    "Hand-picked symbols that survived are not the market. Orders are decided at a bar's close and filled at "
    "the next open; liquidation is judged on the traded high and low, not on the mark price; there is no "
    "queue and no partial fill. Equity is drawn at the end of each day, prices as candles long enough that "
    f"at most {prices.MAX_CANDLES:,} are drawn, and of each symbol the {prices.MAX_TRADES} round trips that "
    "moved its account most. Nothing on this page is loaded from a network."
)
