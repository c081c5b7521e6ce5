"""Stage `forecast`: the LSTM predictor of the next six hours, trained walk-forward and refit.

Reads stages/snapshot and the folds of stages/labels. Writes stages/forecast/report.json; when
`forecast.enabled`, also predictions.parquet (out of sample) and what the bundle takes: forecast.onnx,
scaler_forecast.json and forecast.json, the spec with its golden pairs. Where it is not enabled, nothing is
trained and nothing but the report is there.
"""

import json
import logging
from typing import TYPE_CHECKING, Any

import pandas as pd

from xrl.config import Config
from xrl.errors import DataError
from xrl.evaluation import forecasts
from xrl.features import longbars
from xrl.labels import folds
from xrl.paths import Paths
from xrl.stages import onnx_order
from xrl.stages.aside import aside, write_json
from xrl.stages.forecast_rows import read_rows

if TYPE_CHECKING:
    from xrl.stages.forecast_training import Refitted

log = logging.getLogger(__name__)

#: Files that a bundle holds of a forecast, all or none.
BUNDLED = ("forecast.onnx", "scaler_forecast.json", "forecast.json")


def run(config: Config, paths: Paths) -> None:
    """Train, judge, export and write; a forecast that is not enabled is a report of one line.

    Raises:
        DataError: an earlier stage has not run, or the history is too short.
        TrainingError: a training cannot start or diverged.
        ExportError: the exported network differs from the trained one.
    """
    params = config.forecast
    if not params.enabled:
        write_json(paths.forecast_report, {"enabled": False})
        return
    from xrl.stages import forecast_training as training  # TensorFlow takes seconds, which only this needs

    laid, span = folds.load(paths.folds)
    rows = read_rows(paths)
    walked = training.walk_forward(rows, laid, params)
    draws, seed = config.backtest.bootstrap, config.backtest.bootstrap_seed
    said = training.judged(walked.predictions)
    figures = forecasts.figures(said, params.minimum_confidence, draws, seed)
    refitted = training.refit(rows, span, walked.predictions, params)
    parity = training.export(refitted, paths.forecast_file("forecast.onnx"))
    pairs = training.golden_pairs(
        pd.read_parquet(paths.bars), rows, refitted, params.golden_pairs, params.seed
    )
    with aside(paths.forecast_predictions) as place:
        walked.predictions.to_parquet(place, index=False)
    _write_files(config, paths, refitted, figures, pairs, span.train_end.isoformat())
    symbols = [str(symbol) for symbol in rows.table["symbol"].unique()]
    about = {"enabled": True, "symbols": symbols, "folds": walked.folds}
    write_json(
        paths.forecast_report,
        {**about, "figures": figures, "refit": {"windows": refitted.windows, "parity": parity}},
    )
    log.info("forecast: %s", {key: figures[key] for key in ("direction_accuracy", "change_gain")})


def bundle_files(paths: Paths) -> dict[str, bytes]:
    """What a bundle holds of the forecast: nothing where it is not enabled.

    Raises:
        DataError: the stage has not run.
    """
    if not paths.forecast_report.is_file():
        raise DataError(f"no report at {paths.forecast_report}; run `xrl forecast`")
    if not json.loads(paths.forecast_report.read_bytes())["enabled"]:
        return {}
    return {name: paths.forecast_file(name).read_bytes() for name in BUNDLED}


def _write_files(
    config: Config,
    paths: Paths,
    refitted: "Refitted",
    figures: dict[str, Any],
    pairs: list[dict[str, Any]],
    trained_through: str,
) -> None:
    """The network in canonical order, its scaler, and the spec by which the server reads them."""
    from xrl.stages.forecast_training import TOLERANCE

    with aside(paths.forecast_file("forecast.onnx")) as place:
        place.write_bytes(onnx_order.canonical(paths.forecast_file("forecast.onnx").read_bytes()))
    with aside(paths.forecast_file("scaler_forecast.json")) as place:
        place.write_text(refitted.forecaster.scaler.to_json() + "\n")
    write_json(
        paths.forecast_file("forecast.json"),
        {
            "definition": longbars.definition(),
            "required_hours": longbars.REQUIRED_HOURS,
            "change_scale": refitted.forecaster.change_scale,
            "quantiles": refitted.among.tolist(),
            "minimum_confidence": config.forecast.minimum_confidence,
            "vote_weight": config.forecast.vote_weight,
            "trained_through": trained_through,
            "windows": refitted.windows,
            "figures": figures,
            "golden": {"tolerance": TOLERANCE, "pairs": pairs},
        },
    )
