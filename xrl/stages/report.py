"""Stage `report`: the backtest as one page to read, with what would alarm its reader.

Reads stages/backtest and stages/snapshot. Writes stages/report/backtest.html, aside and renamed. It decides
nothing: the gate makes the same checks of the bundle.
"""

import json
import logging
from typing import Any

import pandas as pd

from xrl import columns as c
from xrl.config import Config
from xrl.errors import DataError
from xrl.pages import page
from xrl.paths import Paths
from xrl.registry import alarms, checks
from xrl.stages.aside import aside

log = logging.getLogger(__name__)


def run(config: Config, paths: Paths) -> None:
    """Draw the page of the last backtest.

    Raises:
        DataError: stage `backtest` or `snapshot` has not run.
    """
    for path, stage in ((paths.metrics, "backtest"), (paths.trades, "backtest"), (paths.bars, "snapshot")):
        if not path.is_file():
            raise DataError(f"no {path.name} at {path}; run `xrl {stage}`")
    found = json.loads(paths.metrics.read_text())
    shown = page.Shown(
        market=config.market.name,
        found=found,
        returns=pd.read_parquet(paths.returns),
        track=pd.read_parquet(paths.track),
        trades=pd.read_parquet(paths.trades),
        bars=pd.read_parquet(paths.bars, columns=[c.SYMBOL, c.TIMESTAMP, *c.OHLCV[:4]]),
        checks=_checked(found, config),
    )
    with aside(paths.report_page) as place:
        place.write_text(page.html(shown), encoding="utf-8")
    log.info("written: %s", paths.report_page)


def _checked(found: dict[str, Any], config: Config) -> list[dict[str, Any]]:
    """The gate's alarms that a backtest has the figures for."""
    params, market, trading = config.gate, config.market, found["trading"]
    if not alarms.has_ceiling(market.source, market.world):
        found = {**found, "ceiling": None}
    skipped = alarms.skipped(config.labels.kind)
    side = max(trading["time_long"], trading["time_short"], 1.0 - trading["time_in_market"])
    made = [*alarms.alarms(found, params), *alarms.null(found, params), *checks.collapse(found, side, params)]
    return [
        check._asdict() for check in made if not check.name.startswith("refit") and check.name not in skipped
    ]
