"""The baselines as a page to read. Enters: what `xrl baselines` measured. Leaves: Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from xrl.backtest.contest import MODELS
from xrl.columns import CLASSES

Found = Mapping[str, Any]

_CLASS_COLUMNS = (
    ("F1 macro", "f1_macro", 3),
    ("balanced accuracy", "balanced_accuracy", 3),
    ("direction", "direction_accuracy", 3),
    ("IC, pooled", "ic", 3),
    ("IC, ranked within each year", "ic_within_year", 3),
    ("log-loss", "log_loss", 4),
    ("ECE", "ece_interval", 3),
)
_CALIBRATION_COLUMNS = (
    *((f"F1 {name}", f"f1_{name}") for name in CLASSES),
    ("ECE top label", "ece"),
    *((f"ECE {name}", f"ece_{name}") for name in CLASSES),
    ("null F1", "null_f1"),
    ("null direction", "null_direction"),
)


def markdown(found: Found) -> str:
    """The page: class scores, paired tests, trading value."""
    return "\n".join(
        [
            f"# Baselines: {found['about']['market']}",
            "",
            *_about(found["about"]),
            "",
            "## Class scores",
            *_class_table(found["models"]),
            "",
            *_detail_table(found["models"]),
            "",
            "## Paired differences",
            "Weekly block bootstrap on the same bars; a log-loss below zero is better.",
            "",
            *_paired_table(found["paired"]),
            "",
            "## Trading value",
            *_trading(found["trading"]),
            "",
        ]
    )


def _about(about: Found) -> list[str]:
    shares = ", ".join(f"{name.upper()} {share:.0%}" for name, share in about["class_shares"].items())
    folds = ", ".join(fold[:10] for fold in about["folds"])
    return [
        f"{', '.join(about['symbols'])}; {about['columns']} feature columns; {about['bars']:,} bars judged "
        f"out of sample, {about['start'][:10]} to {about['end'][:10]}. {len(about['folds'])} purged and "
        f"embargoed walk-forward folds tested from {folds}, each model fitted on each fold's own past. "
        f"Labels: {about['label']}, {about['horizon_bars']} bars ahead; {shares}. Brackets are 95 % weekly "
        "block-bootstrap intervals. Hand-picked symbols that survived are not the market.",
    ]


def _class_table(models: Found) -> list[str]:
    rows = [
        [named(model), *(_interval(models[model][key], digits) for _, key, digits in _CLASS_COLUMNS)]
        for model in MODELS
    ]
    return table(["model", *(title for title, _, _ in _CLASS_COLUMNS)], rows)


def _detail_table(models: Found) -> list[str]:
    rows = [
        [named(model), *(_number(models[model].get(key)) for _, key in _CALIBRATION_COLUMNS)]
        for model in MODELS
        if model != "volatility_only"  # its calls are dealt out, so it has no F1 of a class
    ]
    return table(["model", *(title for title, _ in _CALIBRATION_COLUMNS)], rows)


def _paired_table(paired: Found) -> list[str]:
    shown = [column for column in _CLASS_COLUMNS if column[1] not in ("balanced_accuracy", "ece_interval")]
    rows = [
        [
            named(name),
            *(_test(tests[key], digits + 1) for _, key, digits in shown),
        ]
        for name, tests in paired.items()
    ]
    return table(["difference", *(title for title, _, _ in shown)], rows)


def _trading(trading: Found) -> list[str]:
    strategies, search = trading["strategies"], trading["search"]
    years = sorted({year for own in strategies.values() for year in own.get("sharpe_year", {})})
    head = [
        "strategy", "net Sharpe", *years, "costs x0", "costs x2", "a bar late",
        "random timing, median and 95th", "return", "drawdown", "turnover a day", "PSR",
    ]  # fmt: skip
    rows = [
        [
            named(name),
            _interval(own["sharpe"], 2),
            *(_number(own["sharpe_year"].get(year), 2) for year in years),
            *(_number(own.get(f"sharpe_{key}"), 2) for key in ("costs_x0", "costs_x2", "delay_1")),
            _pair(own.get("random_timing")),
            f"{own['total_return']:+.0%}",
            f"{own['max_drawdown']:.0%}",
            _number(own.get("turnover"), 2),
            _number(own.get("probabilistic_sharpe"), 2),
        ]
        for name, own in strategies.items()
    ]
    differences = [f"{named(name)} {_test(test, 2)}" for name, test in trading["sharpe_differences"].items()]
    return [
        f"Net of costs (fee {trading['fee_bps']:g} bps and slippage {trading['slippage_bps']:g} bps a side, "
        f"funding, liquidation), equal-weight isolated sub-accounts rebalanced monthly, from "
        f"{trading['start'][:10]}. The rule: 1x beyond a threshold on P(BUY) - P(SELL), which is chosen for "
        "each fold on the folds before it, so nothing is traded in the first.",
        "",
        *table(head, rows),
        "",
        f"Paired Sharpe differences: {'; '.join(differences)}.",
        "",
        f"Picking the best of {search['candidates']:.0f} pairs of model and quantile by hindsight gives "
        f"{search['best']}, Sharpe {search['best_sharpe']:.2f}; effective trials "
        f"{search['effective_trials']:.0f}, deflated Sharpe {search['deflated_sharpe']:.2f}, probability of "
        f"backtest overfitting {search['probability_of_overfitting']:.2f}. What half of the days picks has "
        f"Sharpe {search['chosen_sharpe']:.2f} there and {search['kept_sharpe']:.2f} on the other half.",
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [_line(head), _line(["---"] * len(head)), *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def named(name: str) -> str:
    """A model, pair or strategy as the page calls it."""
    return name.replace("_", " ")


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _interval(found: Found | None, digits: int) -> str:
    if found is None or found["value"] is None:
        return ""
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def _test(found: Found, digits: int) -> str:
    p = "< .01" if found["p"] < 0.01 else f"{found['p']:.2f}"
    return f"{found['value']:+.{digits}f} [{found['low']:+.{digits}f}, {found['high']:+.{digits}f}] p {p}"


def _pair(found: Found | None) -> str:
    return "" if found is None else f"{found['median']:.2f}, {found['p95']:.2f}"
