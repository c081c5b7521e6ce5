"""The single checks of the promotion gate: a figure, its bound and why it matters. Pure.

Enters: the metrics that a bundle carries (written by the stages `backtest` and `refit`) and the section
`gate`. Leaves: `Check`s. A figure that is missing or not finite fails its check: what was not measured is
not promoted.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from xrl.columns import CLASSES
from xrl.config import GateParams

Relation = Literal[">", ">=", "<="]
Metrics = Mapping[str, Any]


class Check(NamedTuple):
    """One figure against its bound; either is None where it was not measured, which fails the check."""

    name: str
    figure: float | None
    relation: Relation
    bound: float | None
    passed: bool
    reason: str  # why a failure matters

    def sentence(self) -> str:
        """Figure, bound and, where it fails, the reason, in one line."""
        verdict = "passes" if self.passed else f"fails: {self.reason}"
        return f"{self.name} {_shown(self.figure)} {self.relation} {_shown(self.bound)} {verdict}"


class Rule(NamedTuple):
    """What a check compares: dotted paths into the metrics, a field of `GateParams` or a number."""

    name: str
    figure: str
    relation: Relation
    bound: str | float  # "gate.FIELD", a path into the metrics, or the bound itself
    reason: str


#: Does anything look ahead? Does it foresee anything, beyond volatility and not less than LightGBM? Does it
#: earn, after costs, more than luck and holding? Is the refit, which has no score of its own, the recipe that
#: was judged?
RULES = (
    Rule(
        "causality",
        "causality.difference",
        "<=",
        "gate.max_causal_difference",
        "a feature changes when later bars are cut off: it looks ahead",
    ),
    Rule(
        "causality_outcomes",
        "causality.label_difference",
        "<=",
        "gate.max_causal_difference",
        "an outcome counts as known before its bars have closed",
    ),
    Rule(
        "causality_scalers",
        "causality.scaler_difference",
        "<=",
        "gate.max_causal_difference",
        "a scaler was fitted on other bars than those that train",
    ),
    Rule(
        "causality_labels",
        "causality.reaching_labels",
        "<=",
        0.0,
        "training labels reach into the bars that test: purge or embargo is missing",
    ),
    Rule(
        "causality_rows",
        "causality.other_rows",
        "<=",
        0.0,
        "an expert learned from other bars than those that may train it",
    ),
    Rule("f1_macro", "prediction.f1_macro.value", ">=", "gate.f1_floor", "F1 macro is below its floor"),
    Rule(
        "f1_minus_volatility_only",
        "prediction.f1_minus_volatility_only.low",
        ">",
        0.0,
        "F1 may be that of foreseeing volatility alone, which cannot be traded",
    ),
    Rule(
        "accuracy_minus_majority",
        "prediction.accuracy_minus_majority.low",
        ">",
        0.0,
        "accuracy may be no better than always naming the largest class",
    ),
    Rule("direction", "prediction.direction_accuracy.low", ">", 0.5, "direction may be a coin's"),
    Rule("ic", "prediction.ic.low", ">", 0.0, "the information coefficient may be zero or negative"),
    Rule("ece", "prediction.ece", "<=", "gate.max_ece", "the probabilities are not calibrated"),
    Rule("sharpe", "trading.sharpe.value", ">=", "gate.sharpe_floor", "net Sharpe is below its floor"),
    Rule("sharpe_low", "trading.sharpe.low", ">", 0.0, "net Sharpe may be zero or negative"),
    Rule(
        "sharpe_over_random_timing",
        "trading.sharpe.value",
        ">",
        "baselines.random_timing.p95",
        "net Sharpe is within what random timing at the same turnover reaches",
    ),
    Rule(
        "sharpe_over_buy_and_hold",
        "trading.sharpe.value",
        ">=",
        "baselines.buy_and_hold.sharpe",
        "net Sharpe is below buy and hold",
    ),
    Rule("sharpe_costs_x2", "trading.sharpe_costs_x2", ">", 0.0, "doubled costs eat the profit"),
    Rule("max_drawdown", "trading.max_drawdown", "<=", "gate.max_drawdown", "the drawdown is too deep"),
    Rule("liquidations", "trading.liquidations", "<=", 0.0, "accounts were liquidated"),
    Rule(
        "refit_rank_correlation",
        "refit.rank_correlation",
        ">=",
        "gate.min_refit_rank_correlation",
        "the refit ranks bars unlike the last fold's models",
    ),
    Rule(
        "refit_side_agreement",
        "refit.side_agreement",
        ">=",
        "gate.min_refit_side_agreement",
        "the refit's policy takes other sides than the last fold's",
    ),
    Rule(
        "refit_side_share",
        "refit.side_share",
        "<=",
        "gate.max_side_share",
        "the refit's policy is all-buy, all-sell or all-hold",
    ),
)


def compare(name: str, figure: float | None, relation: Relation, bound: float | None, reason: str) -> Check:
    """The check `figure relation bound`; a side that is None fails it."""
    held = figure is not None and bound is not None and _holds(figure, relation, bound)
    return Check(name, figure, relation, bound, held, reason)


def apply(rule: Rule, metrics: Metrics, params: GateParams) -> Check:
    """The check of one rule on one set of metrics."""
    if isinstance(rule.bound, float):
        bound: float | None = rule.bound
    elif rule.bound.startswith("gate."):
        bound = float(getattr(params, rule.bound.removeprefix("gate.")))
    else:
        bound = figure_at(metrics, rule.bound)
    return compare(rule.name, figure_at(metrics, rule.figure), rule.relation, bound, rule.reason)


def lightgbm(metrics: Metrics, params: GateParams) -> Check:
    """F1 is not below LightGBM's by more than the margin."""
    figure = figure_at(metrics, "prediction.f1_minus_lightgbm.low")
    reason = "LightGBM may be better by more than the margin"
    return compare("f1_minus_lightgbm", figure, ">", -params.f1_lightgbm_margin, reason)


def folds(metrics: Metrics, params: GateParams) -> Check:
    """The information coefficient is positive in most folds."""
    found = metrics.get("folds")
    entries = list(found.values()) if isinstance(found, Mapping) else list(found or ())
    coefficients = [figure_at(entry, "ic") for entry in entries]
    known = [ic for ic in coefficients if ic is not None]
    share = sum(ic > 0 for ic in known) / len(entries) if entries else None
    reason = "the information coefficient is positive in too few folds"
    return compare("positive_folds", share, ">", params.min_positive_folds, reason)


def collapse(metrics: Metrics, side_share: float | None, params: GateParams) -> list[Check]:
    """Classes and sides are told apart; `side_share`: largest share of bars long, short or flat."""
    reason = "one class takes nearly all predictions"
    return [
        compare(
            "class_share", _largest_share(metrics, "prediction.share_"), "<=", params.max_class_share, reason
        ),
        compare(
            "refit_class_share",
            _largest_share(metrics, "refit.share_"),
            "<=",
            params.max_class_share,
            f"{reason} of the refit",
        ),
        compare(
            "side_share",
            side_share,
            "<=",
            params.max_side_share,
            "the policy is all-buy, all-sell or all-hold",
        ),
    ]


def figure_at(metrics: Metrics, path: str) -> float | None:
    """The finite number at a dotted `path`, e.g. `trading.sharpe.low`, else None."""
    node: Any = metrics
    for part in path.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    if isinstance(node, bool) or not isinstance(node, int | float) or not math.isfinite(node):
        return None
    return float(node)


def _largest_share(metrics: Metrics, prefix: str) -> float | None:
    shares = [figure_at(metrics, f"{prefix}{name}") for name in CLASSES]
    known = [share for share in shares if share is not None]
    return max(known) if len(known) == len(CLASSES) else None


def _holds(figure: float, relation: Relation, bound: float) -> bool:
    if relation == ">":
        return figure > bound
    return figure >= bound if relation == ">=" else figure <= bound


def _shown(figure: float | None) -> str:
    return "not measured" if figure is None else f"{figure:.4g}"
