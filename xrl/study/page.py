"""A contest as a page to read. Enters: what `contest` measured. Leaves: Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

Found = Mapping[str, Any]

_SCORES = (
    ("direction", "direction_accuracy", 3),
    ("IC, pooled", "ic", 3),
    ("IC within years", "ic_within_year", 3),
    ("log-loss", "log_loss", 4),
    ("ECE", "ece_interval", 3),
)
_PAIRED = (
    ("F1 macro", "f1_macro", 4),
    ("direction", "direction_accuracy", 4),
    ("IC, pooled", "ic", 4),
    ("IC within years", "ic_within_year", 4),
    ("log-loss", "log_loss", 5),
)


def markdown(found: Found) -> str:
    """The page: one section a label, then what it cost and how to get it again."""
    parts = [f"# Contest: {found['market']}", "", *_preface(found)]
    for name, question in found["labels"].items():
        parts += ["", *_question(name, question)]
    return "\n".join([*parts, ""])


def _preface(found: Found) -> list[str]:
    return [
        f"{', '.join(found['symbols'])}; {found['columns']} feature columns. Every model is fitted on each "
        "fold's own past (purged, embargoed) and judged out of sample; probabilities of several seeds are "
        "averaged, never chosen. Brackets are 95 % weekly block-bootstrap intervals. *Without direction* is "
        "what a model's F1 would be if its HOLD calls stood and its directions were dealt out: that part "
        "cannot be traded. A dagger marks fewer seeds or folds than the others have. Hand-picked symbols "
        "that survived are not the market.",
        "",
        f"Recipes tried in this folder: {found['trials']}.",
    ]


def _question(name: str, question: Found) -> list[str]:
    about, models = question["about"], question["models"]
    shares = ", ".join(f"{label.upper()} {share:.0%}" for label, share in about["class_shares"].items())
    tested = ", ".join(fold[:10] for fold in about["folds"])
    lines = [
        f"## Label: {name}",
        f"{about['label']}, {about['horizon_bars']} bars ahead; {shares}; {about['bars']:,} bars judged, "
        f"folds tested from {tested}.",
        f"{question['cells']} cells took {question['cpu_seconds'] / 60:.0f} minutes of one core"
        + (f"; {question['stale']} of them are of other code than today's." if question["stale"] else "."),
        "",
        *_score_table(models, question["marked"]),
        "",
        "### Minus LightGBM, on the same bars",
        "",
        *_paired_table(models, question["marked"]),
        "",
        "### Single seeds: median, quartiles",
        "",
        *_seed_table(models),
        "",
        "### F1 macro, and without direction, fold by fold",
        "",
        *_fold_table(models, len(about["folds"])),
    ]
    if question["exponents"]:
        lines += ["", *_exponents(question["exponents"])]
    if question.get("trading"):
        lines += ["", "### Trading value", "", *_trading(question["trading"])]
    return lines


def _score_table(models: Found, marked: Sequence[str]) -> list[str]:
    rows = [
        [
            _named(name, marked),
            interval(own["f1_macro"], 3),
            number(own["f1_volatility_only"]),
            interval(own["f1_minus_volatility_only"], 3),
            *(interval(own[key], digits) for _, key, digits in _SCORES),
        ]
        for name, own in models.items()
    ]
    head = ["model", "F1 macro", "without direction", "difference", *(title for title, _, _ in _SCORES)]
    return table(head, rows)


def _paired_table(models: Found, marked: Sequence[str]) -> list[str]:
    rows = [
        [_named(name, marked), *(tested(own["paired"][key], digits) for _, key, digits in _PAIRED)]
        for name, own in models.items()
        if "paired" in own
    ]
    return table(["model", *(title for title, _, _ in _PAIRED)], rows)


def _seed_table(models: Found) -> list[str]:
    keys = (
        ("F1 macro", "f1_macro", 3),
        ("IC within years", "ic_within_year", 3),
        ("log-loss", "log_loss", 4),
    )
    rows = [
        [_named(name), str(own["seeds"]["count"]), *(_spread(own["seeds"][key], d) for _, key, d in keys)]
        for name, own in models.items()
        if "seeds" in own
    ]
    return table(["model", "seeds", *(title for title, _, _ in keys)], rows)


def _fold_table(models: Found, folds: int) -> list[str]:
    rows = []
    for name, own in models.items():
        cells = []
        for number in range(folds):
            one = own["per_fold"].get(str(number))
            cells.append("" if one is None else f"{one['f1_macro']:.3f}, {one['f1_volatility_only']:.3f}")
        rows.append([_named(name), *cells])
    return table(["model", *(f"fold {number}" for number in range(folds))], rows)


def _exponents(exponents: Found) -> list[str]:
    text = [
        f"{_named(name)}: " + "; ".join(
            f"fold {number} {', '.join(f'{weight:.2f}' for weight in own)}" for number, own in folds.items()
        )
        for name, folds in exponents.items()
    ]  # fmt: skip
    return [f"Exponents fitted on earlier folds: {'. '.join(text)}."]


def _trading(trading: Found) -> list[str]:
    years = sorted({year for own in trading.values() for year in own.get("sharpe_year", {})})
    head = [
        "strategy", "net Sharpe", *years, "costs x0", "costs x2", "a bar late",
        "random timing, median and 95th", "minus LightGBM's", "drawdown", "turnover a day",
    ]  # fmt: skip
    rows = [
        [
            _named(name),
            interval(own["sharpe"], 2),
            *(number(own["sharpe_year"].get(year), 2) for year in years),
            *(number(own.get(f"sharpe_{key}"), 2) for key in ("costs_x0", "costs_x2", "delay_1")),
            _pair(own.get("random_timing")),
            tested(own["minus_lightgbm"], 2) if "minus_lightgbm" in own else "",
            f"{own['max_drawdown']:.0%}",
            number(own.get("turnover"), 2),
        ]
        for name, own in trading.items()
    ]
    return [
        "Net of fees, slippage, funding and liquidation; 1x beyond a threshold on P(BUY) - P(SELL) that is "
        "chosen for each fold on the folds before it, so nothing is traded in the first.",
        "",
        *table(head, rows),
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_line(head), _line(["---"] * len(head)), *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _named(name: str, marked: Sequence[str] = ()) -> str:
    return name.replace("_", " ") + (" †" if name in marked else "")


def number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def interval(found: Found | None, digits: int) -> str:
    if found is None or found["value"] is None:
        return ""
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def _spread(found: Found, digits: int) -> str:
    return f"{found['median']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def tested(found: Found, digits: int) -> str:
    p = "< .01" if found["p"] < 0.01 else f"{found['p']:.2f}"
    return f"{found['value']:+.{digits}f} [{found['low']:+.{digits}f}, {found['high']:+.{digits}f}] p {p}"


def _pair(found: Found | None) -> str:
    return "" if found is None else f"{found['median']:.2f}, {found['p95']:.2f}"
