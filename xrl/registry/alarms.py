"""What looks too good, and what is left when there is nothing to foresee: both point to a leak. Pure.

Enters: the metrics that a bundle carries and the section `gate`. Leaves: `Check`s. Bounds: evaluation.md. A
world's ceiling among the metrics raises bounds; the gate hands it on only for the world that has a known one.
"""

import math
from datetime import datetime
from typing import Final

from xrl.config import GateParams, LabelKind
from xrl.evaluation.alarms import null_tolerance
from xrl.registry.checks import Check, Metrics, compare, figure_at

#: The label whose F1 macro the alarm's bound is known for.
DEFAULT_KIND: Final[LabelKind] = "normalised_percentile"
_DAYS_OF_A_YEAR = 365.25
#: A calendar year has a Sharpe of its own when the track covers at least this share of it.
_COVERED_YEAR = 0.5
#: Width of a 95 % interval in standard errors.
_INTERVAL_ERRORS = 2 * 1.96
_TOO_GOOD = "too good to be true: look for a leak before anything else"


def skipped(kind: LabelKind) -> dict[str, str]:
    """Checks whose bound says nothing of this kind of label, and why."""
    if kind == DEFAULT_KIND:
        return {}
    why = f"its bound is of the label {DEFAULT_KIND}, not of {kind}; direction, IC and Sharpe have theirs"
    return {"alarm_f1_macro": why}


def has_ceiling(source: str, world: str | None) -> bool:
    """Whether a market's best figures are known: `market.source` and `market.world`."""
    return source == "sandbox" and world == "planted"


def alarms(metrics: Metrics, params: GateParams) -> list[Check]:
    """Figures that an honest model does not reach; a world with a known ceiling sets its own bounds.

    The bounds for direction and Sharpe are meant for tracks of one year and three. On a shorter track the
    sampling error grows with the root of the missing time, and so does the bound's distance from chance, down
    to the shortest track that is promoted at all.
    """
    years, judged = _span_years(metrics), _span_years(metrics.get("prediction", {}))
    if years is None or judged is None:
        return [compare("alarm_span", None, ">", 0.0, "start and end of track and scores are not recorded")]
    years = max(years, params.min_track_days / _DAYS_OF_A_YEAR)
    direction = 0.5 + (params.alarm_direction - 0.5) / math.sqrt(min(max(judged, years), 1.0))
    sharpe = params.alarm_sharpe / math.sqrt(min(years, 3.0) / 3.0)
    bounds = {
        "f1_macro": _raised(params.alarm_f1, metrics, "f1_macro", params),
        "direction_accuracy": _raised(direction, metrics, "direction_accuracy", params),
        "ic": _raised(params.alarm_ic, metrics, "ic", params),
    }
    checks = [
        compare(f"alarm_{name}", figure_at(metrics, f"prediction.{name}.value"), "<=", bound, _TOO_GOOD)
        for name, bound in bounds.items()
    ]
    whole = _raised(sharpe, metrics, "sharpe", params)
    checks.append(compare("alarm_sharpe", figure_at(metrics, "trading.sharpe.value"), "<=", whole, _TOO_GOOD))
    year = _raised(params.alarm_sharpe_year, metrics, "sharpe", params)
    checks += [compare("alarm_sharpe_year", found, "<=", year, _TOO_GOOD) for found in _best_year(metrics)]
    return checks


def null(metrics: Metrics, params: GateParams) -> list[Check]:
    """Labels shifted in time leave nothing to foresee.

    Chance is the F1 macro of dealing out the same calls at random on the same bars. The bound is the
    parameter or 2.6 block-bootstrap standard errors, read off the interval of the unshifted figure.
    """
    reason = "something is foreseen in labels shifted in time: features or folds leak"
    return [
        compare(
            f"null_{name}",
            _distance(figure_at(metrics, f"prediction.null_{name}"), chance),
            "<=",
            null_tolerance(bound, _standard_error(metrics, f"prediction.{interval}")),
            reason,
        )
        for name, interval, chance, bound in (
            ("f1", "f1_macro", figure_at(metrics, "prediction.chance_f1"), params.null_f1),
            ("direction", "direction_accuracy", 0.5, params.null_direction),
        )
    ]


def _raised(bound: float, metrics: Metrics, name: str, params: GateParams) -> float:
    """`bound`, or the world's ceiling with its factor where that is higher."""
    ceiling = figure_at(metrics, f"ceiling.{name}")
    if ceiling is None and name == "ic":
        ceiling = _ic_of_direction(figure_at(metrics, "ceiling.direction_accuracy"))
    return bound if ceiling is None else max(bound, ceiling * params.alarm_ceiling_factor)


def _ic_of_direction(accuracy: float | None) -> float | None:
    """Correlation of two jointly normal series whose signs agree this often: sin(pi (accuracy - 1/2))."""
    return None if accuracy is None else math.sin(math.pi * (accuracy - 0.5))


def _standard_error(metrics: Metrics, path: str) -> float:
    low, high = figure_at(metrics, f"{path}.low"), figure_at(metrics, f"{path}.high")
    return 0.0 if low is None or high is None else (high - low) / _INTERVAL_ERRORS


def _distance(figure: float | None, chance: float | None) -> float | None:
    return None if figure is None or chance is None else abs(figure - chance)


def _span(metrics: Metrics) -> tuple[datetime, datetime] | None:
    try:
        start, end = (datetime.fromisoformat(metrics[name]) for name in ("start", "end"))
    except (KeyError, TypeError, ValueError):
        return None
    return None if start.tzinfo is None or end.tzinfo is None else (start, end)


def _span_years(metrics: Metrics) -> float | None:
    span = _span(metrics)
    if span is None or span[1] <= span[0]:
        return None
    return (span[1] - span[0]).total_seconds() / 86400 / _DAYS_OF_A_YEAR


def _best_year(metrics: Metrics) -> tuple[float | None, ...]:
    """Largest Sharpe of the calendar years that the track covers well enough; empty when it covers none.

    One of them without a figure makes the whole unknown.
    """
    span = _span(metrics)
    if span is None:
        return ()
    covered = [
        year for year in range(span[0].year, span[1].year + 1) if _covered(year, *span) >= _COVERED_YEAR
    ]
    found = [figure_at(metrics, f"trading.sharpe_year.{year}") for year in covered]
    known = [figure for figure in found if figure is not None]
    if len(known) < len(found):
        return (None,)
    return (max(known),) if known else ()


def _covered(year: int, start: datetime, end: datetime) -> float:
    first = datetime(year, 1, 1, tzinfo=start.tzinfo)
    last = datetime(year + 1, 1, 1, tzinfo=start.tzinfo)
    return max((min(end, last) - max(start, first)) / (last - first), 0.0)
