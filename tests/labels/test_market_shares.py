"""Class shares on six real perpetuals, tested in 2021-24: each year by cut-offs of what came before.

The expected shares were measured independently, by other code on the same candles.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from xrl import columns
from xrl.config import load_config
from xrl.labels import balance, folds
from xrl.labels.history import history
from xrl.stages.labels import label_table

ROOT = Path(__file__).resolve().parents[2]
MARKET = ROOT.parent / "shared" / "market"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "LTCUSDT")

pytestmark = pytest.mark.skipif(not MARKET.is_dir(), reason="no real candles in ../shared/market")


class Case(NamedTuple):
    changes: dict
    expected: tuple[int, int, int]  # sell, hold, buy in %


CASES = {
    "adaptive x1.0": Case({"kind": "adaptive"}, (13, 73, 14)),
    "adaptive x1.0, filtered": Case({"kind": "adaptive_filtered"}, (7, 85, 8)),
    "adaptive x0.5": Case({"kind": "adaptive", "threshold_multiplier": 0.5}, (26, 46, 27)),
    "raw percentile": Case({"kind": "raw_percentile"}, (29, 44, 27)),
    "normalised percentile": Case({}, (35, 34, 32)),
    "triple barrier": Case({"kind": "triple_barrier"}, (30, 44, 26)),
}


@pytest.fixture(scope="module")
def bars():
    parts = []
    for symbol in SYMBOLS:
        own = pd.read_parquet(MARKET / f"binance_perp_{symbol}_1h.parquet")
        own[columns.TIMESTAMP] = pd.to_datetime(own[columns.TIMESTAMP], utc=True).astype(columns.TIME_DTYPE)
        parts.append(own.assign(**{columns.SYMBOL: symbol}))
    return pd.concat(parts, ignore_index=True)


def by_year(bars, **changes):
    """Labels, and four anchored folds that each test a year, the last ending with 2024."""
    shipped = load_config(ROOT / "params.yaml").labels
    params = shipped.model_copy(update={"cadence_days": 365, **changes})
    labels, span = label_table(bars, params), history(bars)
    return labels, folds.fit_cuts(labels, folds.walk_forward(*span, params), params)


def shares_of(labels, laid):
    """Class shares of all test bars, in %."""
    counts = np.zeros(3)
    for fold in laid:
        found = balance.shares(labels[folds.test_mask(labels, fold)], fold)
        counts += found["bars"] * np.array([found["sell"], found["hold"], found["buy"]])
    return 100 * counts / counts.sum()


@pytest.mark.parametrize("name", CASES)
def test_classes_are_shared_as_measured_elsewhere(bars, name):
    changes, expected = CASES[name]
    labels, laid = by_year(bars, **changes)
    assert [fold.test_start.year for fold in laid] == [2021, 2022, 2023, 2024]
    found = shares_of(labels, laid)
    print(f"\n{name}: " + "/".join(f"{share:.1f}" for share in found) + f", expected {expected}")
    assert np.abs(found - expected).max() < 2.5


def test_barriers_in_percent_are_met_as_often_as_a_search_bar_by_bar_finds(bars):
    """+-1.5 % within six bars, counted anew on a thousand bars of 2023."""
    labels, _ = by_year(
        bars, kind="triple_barrier", barrier_unit="percent", barrier=1.5, horizon_bars=6, embargo_bars=6
    )
    own = bars[bars[columns.SYMBOL] == "SOLUSDT"].reset_index(drop=True)
    score = labels.loc[labels[columns.SYMBOL] == "SOLUSDT", columns.SCORE].to_numpy()
    first = int((own[columns.TIMESTAMP] >= "2023-01-01").to_numpy().argmax())
    sides = []
    for t in range(first, first + 1000):
        close, side = own["close"][t], 0
        for later in range(t + 1, t + 7):
            up, down = own["high"][later] >= 1.015 * close, own["low"][later] <= 0.985 * close
            if up or down:
                side = int(up) - int(down)
                break
        sides.append(side)
    found = np.where(np.abs(score[first : first + 1000]) == 1, score[first : first + 1000], 0)
    np.testing.assert_array_equal(found, sides)
    assert set(sides) == {-1, 0, 1}
