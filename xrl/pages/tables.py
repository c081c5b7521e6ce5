"""The page's tables. Enters: what `metrics.json` says, round trips. Leaves: HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

import pandas as pd

from xrl import columns as c
from xrl.pages.figures import named

Found = Mapping[str, Any]

#: Key, name, how it is shown, and what it is.
_TRADING: Final = (
    ("sharpe", "Sharpe ratio", "ratio", "mean over deviation of daily returns, times √365"),
    ("sortino", "Sortino ratio", "ratio", "the same over the deviation of losing days"),
    ("calmar", "Calmar ratio", "ratio", "annual return over the largest drawdown"),
    ("annual_return", "annual return", "signed", "compound"),
    ("annual_volatility", "annual volatility", "share", "of daily returns"),
    ("total_return", "total return", "signed", "over the whole track"),
    ("max_drawdown", "largest drawdown", "share", "from a peak, within days too"),
    ("longest_drawdown_days", "longest drawdown", "days", "days in a row below an earlier peak"),
    ("trades", "round trips", "count", "one position from flat to flat or to the other side"),
    ("win_rate", "win rate", "share", "of ended round trips, after all costs"),
    ("profit_factor", "profit factor", "ratio", "returns won over returns lost"),
    ("mean_trade", "mean round trip", "fine", "share of the equity before it"),
    ("mean_win", "mean win", "fine", "of the same"),
    ("mean_loss", "mean loss", "fine", "of the same"),
    ("mean_fees", "fees of a round trip", "fine", "share of the equity before it"),
    ("mean_slippage", "slippage of a round trip", "fine", "share of the equity before it"),
    ("mean_funding", "funding of a round trip", "fine", "negative: received"),
    ("bars_held", "median holding", "hours", "from fill to fill"),
    ("turnover", "turnover", "ratio", "notional traded a day, multiples of equity"),
    ("exposure", "mean exposure", "ratio", "size of notional / equity at the closes"),
    ("time_in_market", "time in the market", "share", "of symbol-bars"),
    ("time_long", "long", "share", "of symbol-bars"),
    ("time_short", "short", "share", "of symbol-bars"),
    ("fee_share", "fees and slippage a year", "share", "of equity"),
    ("funding_share", "funding paid a year", "fine", "of equity; negative: received"),
    ("liquidations", "liquidations", "count", "in all"),
)
_LIMITED: Final = (
    ("sharpe", "Sharpe under the risk limits", "ratio", "nothing above is limited, nor judged by these rows"),
    ("max_drawdown", "drawdown under them", "share", "of hourly equity"),
    ("held_share", "held back by them", "share", "of symbol-bars: an order was changed, or none allowed"),
    ("killed", "accounts closed by them", "count", "for good, by the drawdown limit"),
    ("liquidations", "liquidations under them", "count", "in all"),
)
_SLICES: Final = (
    ("sharpe", "Sharpe", "ratio"),
    ("sortino", "Sortino", "ratio"),
    ("calmar", "Calmar", "ratio"),
    ("total_return", "return", "signed"),
    ("max_drawdown", "drawdown", "share"),
    ("exposure", "exposure", "ratio"),
    ("turnover", "turnover", "ratio"),
    ("trades", "round trips", "count"),
    ("win_rate", "win rate", "share"),
    ("profit_factor", "profit factor", "ratio"),
    ("fee_share", "fees a year", "share"),
    ("funding_share", "funding a year", "fine"),
    ("liquidations", "liquidations", "count"),
)
_CLASSES: Final = (
    ("f1_macro", "F1 macro", 3),
    ("f1_minus_volatility_only", "F1 less volatility only", 4),
    ("f1_minus_lightgbm", "F1 less LightGBM", 4),
    ("accuracy_minus_majority", "accuracy less largest class", 4),
    ("balanced_accuracy", "balanced accuracy", 3),
    ("direction_accuracy", "direction accuracy", 3),
    ("ic", "information coefficient, pooled", 3),
    ("ic_within_year", "information coefficient, within years", 3),
    ("log_loss", "log-loss", 4),
    ("ece_interval", "calibration error", 4),
)
_STRESS: Final = (
    ("costs_x0", "without fees and slippage"),
    ("costs_x2", "at double costs"),
    ("delay_1", "orders a bar late"),
    ("funding_off", "without funding"),
)
_GOOD: Final = '<span class="good">passes</span>'
_BAD: Final = '<span class="bad">alarm</span>'


def tiles(trading: Found) -> str:
    """The figures that are read first."""
    shown = (
        ("sharpe", "ratio"), ("annual_return", "signed"), ("max_drawdown", "share"), ("calmar", "ratio"),
        ("trades", "count"), ("win_rate", "share"), ("profit_factor", "ratio"), ("fee_share", "share"),
    )  # fmt: skip
    titles = {key: title for key, title, *_ in _TRADING}
    return "".join(
        f'<div class="tile"><div class="label">{titles[key]}</div>'
        f'<div class="figure-value">{_value(trading[key], kind)}</div>'
        f'<div class="range">{_range(trading[key], kind)}</div></div>'
        for key, kind in shown
    )


def trading_table(trading: Found) -> str:
    """Every figure of the policy, with its interval where there is one."""
    rows = [
        (title, _value(trading[key], kind), _range(trading[key], kind), meaning)
        for key, title, kind, meaning in _TRADING
    ]
    rows += [
        (title, _value(trading["limited"][key], kind), "", meaning) for key, title, kind, meaning in _LIMITED
    ]
    return table(("policy, net of costs", "", "95 % interval", ""), rows, wide=3)


def stress_table(trading: Found) -> str:
    """Sharpe ratios of the policy where the world is kinder or harder."""
    rows = [("as it stands", _value(trading["sharpe"], "ratio"))]
    rows += [(title, _value(trading[f"sharpe_{key}"], "ratio")) for key, title in _STRESS]
    return table(("policy, asked again", "Sharpe"), rows)


def strategies_table(found: Found) -> str:
    """The policy and every baseline on the same bars under the same costs."""
    head = (
        "strategy", "Sharpe", "95 % interval", "Sortino", "Calmar", "annual return", "drawdown", "F1 macro",
        "policy's Sharpe less it",
    )  # fmt: skip
    trading = found["trading"]
    rows = [
        (
            "policy",
            *(_value(trading["sharpe"], "ratio"), _range(trading["sharpe"], "ratio")),
            *(_value(trading[key], "ratio") for key in ("sortino", "calmar")),
            *(_value(trading["annual_return"], "signed"), _value(trading["max_drawdown"], "share")),
            *(_value(found["prediction"]["f1_macro"], "class"), ""),
        )
    ]
    for name, own in found["baselines"].items():
        if "max_drawdown" in own:
            rows.append(
                (
                    named(name),
                    *(_value(own["sharpe"], "ratio"), _range(own["sharpe_interval"], "ratio")),
                    *(_value(own[key], "ratio") for key in ("sortino", "calmar")),
                    *(_value(own["annual_return"], "signed"), _value(own["max_drawdown"], "share")),
                    *(_value(own.get("f1_macro"), "class"), _difference(own["policy_minus"])),
                )
            )
    luck, blind = found["baselines"]["random_timing"], found["baselines"]["volatility_only"]
    most = f"95 % below {_value(luck['p95'], 'ratio')}"
    rows.append(("random timing, same turnover", _value(luck["median"], "ratio"), most, *[""] * 6))
    rows.append(("volatility only", *[""] * 6, _value(blind["f1_macro"], "class"), "knows no direction"))
    return table(head, rows)


def slices_table(slices: Mapping[str, Found], first: str) -> str:
    """The policy's figures of every year or symbol."""
    rows = [
        (escape(name), *(_value(own[key], kind) for key, _, kind in _SLICES)) for name, own in slices.items()
    ]
    return table((first, *(title for _, title, _ in _SLICES)), rows)


def classes_table(prediction: Found) -> str:
    """What the committee foresees, with intervals."""
    rows = [
        (title, *(_number(prediction[key][end], digits) for end in ("value", "low", "high")))
        for key, title, digits in _CLASSES
    ]
    rows.append(("F1 macro of labels shifted in time", _number(prediction["null_f1"], 3), "", ""))
    rows.append(("F1 macro of volatility only", _number(prediction["f1_volatility_only"], 3), "", ""))
    return table(("committee, out of fold", "", "low", "high"), rows)


def folds_table(folds: Mapping[str, Found]) -> str:
    """Every fold's scores; the first has no past to train a policy on."""
    keys = (("f1_macro", 3), ("direction_accuracy", 3), ("ic", 3), ("sharpe", 2))
    rows = [(f"fold {name}", *(_number(own[key], d) for key, d in keys)) for name, own in folds.items()]
    return table(("", "F1 macro", "direction", "IC", "policy's Sharpe"), rows)


def exits_line(exits: Mapping[str, float]) -> str:
    """How the round trips ended, in a sentence."""
    told = ", ".join(f"{number:,.0f} by {named(reason)}" for reason, number in exits.items() if number)
    still = " (by end: still open)" if exits.get("end") else ""
    return f'<p class="quiet">How they ended, all symbols: {told or "there was none"}{still}.</p>'


def trades_table(trades: pd.DataFrame, count: int = 12) -> str:
    """The best and the worst round trips."""
    if trades.empty:
        return "<p>No position was taken.</p>"
    best = trades.sort_values(c.TRADE_RETURN, ascending=False)
    chosen = best if len(best) <= 2 * count else pd.concat([best.head(count), best.tail(count)])
    head = (
        "symbol", "side", "entered", "at", "left", "at", "why", "hours", "leverage", "fees", "slippage",
        "funding", "gain, USDT", "gain, %",
    )  # fmt: skip
    rows = [
        (
            *(escape(str(row[c.SYMBOL])), row[c.SIDE]),
            *(f"{row[c.ENTRY_TIME]:%Y-%m-%d %H:%M}", f"{row[c.ENTRY_PRICE]:,.6g}"),
            *(f"{row[c.EXIT_TIME]:%Y-%m-%d %H:%M}", f"{row[c.EXIT_PRICE]:,.6g}"),
            *(named(row[c.EXIT_REASON]), f"{row[c.BARS_HELD]:,}", f"{row[c.LEVERAGE]:.2f}"),
            *(f"{row[name]:,.2f}" for name in (c.FEES, c.SLIPPAGE, c.FUNDING_PAID, c.PNL)),
            f"{100.0 * row[c.TRADE_RETURN]:+.2f}",
        )
        for _, row in chosen.iterrows()
    ]
    return table(head, rows)


def checks_table(checks: Sequence[Mapping[str, Any]]) -> str:
    """What would alarm a reader, and whether it does.

    Args:
        checks: name, figure, relation, bound, passed, reason.
    """
    rows = [
        (
            _GOOD if check["passed"] else _BAD,
            escape(named(check["name"])),
            f"{_number(check['figure'], 3)} {escape(check['relation'])} {_number(check['bound'], 3)}",
            "" if check["passed"] else escape(check["reason"]),
        )
        for check in checks
    ]
    return table(("", "check", "figure", "if not"), rows, wide=3)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], wide: int = 0) -> str:
    """Cells are HTML; the first column, and `wide` if it is not 0, hold words."""
    words = {0, wide}

    def line(cells: Sequence[str], tag: str) -> str:
        each = (
            f"<{tag}{' class=words' if i in words else ''}>{cell}</{tag}>" for i, cell in enumerate(cells)
        )
        return f"<tr>{''.join(each)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="scroll"><table><thead>{line(head, "th")}</thead><tbody>{body}</tbody></table></div>'


def _value(found: Any, kind: str) -> str:
    value = found["value"] if isinstance(found, Mapping) else found
    if value is None:
        return "–"
    styles = {
        "ratio": f"{value:.2f}", "class": f"{value:.3f}", "share": f"{value:.1%}",
        "signed": f"{value:+.1%}" if abs(value) < 10.0 else f"{value:+,.0%}",
        "fine": f"{value:+.3%}", "count": f"{value:,.0f}",
        "days": f"{value:,.0f} d", "hours": f"{value:,.0f} h",
    }  # fmt: skip
    return styles[kind]


def _range(found: Any, kind: str) -> str:
    if not isinstance(found, Mapping) or found["low"] is None or found["high"] is None:
        return ""
    return f"{_value(found['low'], kind)} to {_value(found['high'], kind)}"


def _difference(found: Found) -> str:
    p = "&lt; .01" if found["p"] < 0.01 else f"{found['p']:.2f}"
    return f"{found['value']:+.2f} [{found['low']:+.2f}, {found['high']:+.2f}] p {p}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
