"""Baselines on combinatorial paths as a page to read. Enters: what `xrl baselines --groups` found. Leaves:
Markdown.
"""

from collections.abc import Mapping
from typing import Any, Final

from xrl.backtest.contest import MODELS
from xrl.backtest.standings import named, table

Found = Mapping[str, Any]

_COLUMNS: Final = (
    ("F1 macro", "f1_macro", 3),
    ("direction", "direction_accuracy", 3),
    ("IC, pooled", "ic", 3),
    ("IC, ranked within each year", "ic_within_year", 3),
    ("log-loss", "log_loss", 4),
)


def markdown(found: Found) -> str:
    """The page: scores over the paths, who is better on how many, trading value and its choice."""
    return "\n".join(
        [
            f"# Baselines on combinatorial paths: {found['about']['market']}",
            "",
            *_about(found["about"], len(found["paths"])),
            "",
            "## Class scores",
            "Median over the paths, quartiles in brackets.",
            "",
            *_scores(found["spread"]),
            "",
            "Share of the paths on which the first is better:",
            "",
            *_better(found["better"]),
            "",
            "## Trading value",
            *_trading(found["trading"]),
            "",
        ]
    )


def _about(about: Found, paths: int) -> list[str]:
    groups = ", ".join(start[:10] for start in about["groups"])
    return [
        f"{', '.join(about['symbols'])}; {about['columns']} feature columns; {about['bars']:,} bars, "
        f"{about['start'][:10]} to {about['end'][:10]}. {len(about['groups'])} groups (from {groups}), "
        f"{about['tested']} tested at a time: {about['splits']} splits, each trained on what purge and an "
        f"embargo of {about['embargo_bars']} bars leave on either side of the tested groups, and {paths} "
        f"paths, each of which tests every bar once. Labels: {about['label']}, {about['horizon_bars']} bars "
        "ahead, cut-offs of each split's own training bars.",
        "",
        "The paths share their bars and, two by two, some of their predictions: the spread tells how much a "
        "score owes to what was trained on, and is no confidence interval. Training bars lie after tested "
        "ones too, so nothing here is a track that could have been lived.",
    ]


def _scores(spread: Found) -> list[str]:
    rows = [
        [named(model), *(_quartiles(spread[model][key], digits) for _, key, digits in _COLUMNS)]
        for model in MODELS
    ]
    return table(["model", *(title for title, _, _ in _COLUMNS)], rows)


def _better(better: Found) -> list[str]:
    rows = [
        [named(pair), *("" if own[key] is None else f"{own[key]:.0%}" for _, key, _ in _COLUMNS)]
        for pair, own in better.items()
    ]
    return table(["pair", *(title for title, _, _ in _COLUMNS)], rows)


def _trading(trading: Found) -> list[str]:
    rows = [
        [name, _quartiles(own, 2), f"{own['least']:.2f}, {own['most']:.2f}"]
        for name, own in trading["sharpe"].items()
    ]
    risk, best = trading["overfitting"], trading["best"]
    picks = ", ".join(f"{name} ({best.count(name)})" for name in dict.fromkeys(best))
    return [
        "Net Sharpe ratio of 1x beyond a quantile of the size of P(BUY) - P(SELL) in the path's other "
        f"groups. Buy and hold over the same bars: {trading['buy_and_hold']:.2f}.",
        "",
        *table(["model and quantile", "net Sharpe, median and quartiles", "least, most"], rows),
        "",
        f"The best of these {len(rows)} by hindsight, with the number of paths: {picks}. Probability "
        "of backtest overfitting (the best of one half of the days is no better than the median on the "
        f"other): median {risk['value']:.2f}, from {risk['least']:.2f} to {risk['most']:.2f}.",
    ]


def _quartiles(found: Found | None, digits: int) -> str:
    if found is None:
        return ""
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"
