"""The forecast's figures as a page. Enters: report.json of the stage `forecast`. Leaves: Markdown."""

from collections.abc import Mapping
from typing import Any


def markdown(report: Mapping[str, Any]) -> str:
    """A table of every figure with its 95 % interval and what it is held against."""
    if not report["enabled"]:
        return "The forecast is not enabled (`forecast.enabled` in params.yaml).\n"
    found, learned = report["figures"], ", ".join(f"{fold['learned']:,}" for fold in report["folds"])
    rows = [
        (
            "direction accuracy",
            _interval(found["direction_accuracy"]),
            f"a coin .5; always up {found['always_up']:.3f}",
        ),
        ("where sure", _interval(found["direction_accuracy_sure"]), f"{found['share_sure']:.0%} of bars"),
        ("sure less unsure", _interval(found["sure_minus_unsure"], sign=True), "0: confidence tells nothing"),
        (
            "error of the change, %",
            f"{found['change_error']:.4f}",
            f"no change {found['zero_change_error']:.4f}",
        ),
        ("gain over no change, %", _interval(found["change_gain"], 4, sign=True), "0"),
        ("rank correlation of the change", _interval(found["rank_correlation"], sign=True), "0"),
        ("calibration error, up", _interval(found["up_calibration_error"]), "0"),
        ("calibration error, being right", _interval(found["right_calibration_error"]), "0"),
        ("called up", f"{found['share_up']:.3f}", ""),
    ]
    lines = [
        f"Six-hour forecast of {', '.join(report['symbols'])}: {found['rows']:,} bars out of sample, "
        f"{len(report['folds'])} folds that learned from {learned} windows, weekly bootstrap intervals.",
        "",
        "| figure | value | held against |",
        "|---|---|---|",
        *(f"| {name} | {value} | {beside} |" for name, value, beside in rows),
    ]
    return "\n".join(lines) + "\n"


def _interval(found: Mapping[str, float], digits: int = 3, sign: bool = False) -> str:
    form = f"{'+' if sign else ''}.{digits}f"
    return f"{found['value']:{form}} [{found['low']:{form}}, {found['high']:{form}}]"
