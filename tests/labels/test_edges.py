"""At the edge of what is known, no bar is taken or left out for its outcome.

A barrier that is met early is known early. Were such bars taken where their neighbours still wait, the last
bars of every training would be those that moved.
"""

import numpy as np
import pandas as pd
import pytest

from xrl import columns
from xrl.config import LabelKind
from xrl.labels import combinatorial, folds, holdout
from xrl.labels.classes import Cuts, classes
from xrl.labels.folds import Refit
from xrl.labels.holdout import Span
from xrl.labels.outcomes import UNTOUCHED
from xrl.stages.labels import label_table

START = pd.Timestamp("2025-01-01", tz="UTC")
HOUR = pd.Timedelta(hours=1)
BARS, HORIZON = 6000, 20


@pytest.fixture
def met_early(ten_hours):
    """Ten hours, horizon two: bars 1, 4 and 8 meet a barrier within the next bar; 8 and 9 have no horizon."""
    early = np.isin(np.arange(10), [1, 4, 8])
    ends = ten_hours[columns.TIMESTAMP] + 2 * HOUR
    table = ten_hours.assign(
        **{columns.LABEL_END: ten_hours[columns.LABEL_END].where(~early, ends), columns.SCORE: 0.0}
    )
    table.loc[9, columns.SCORE] = np.nan
    return table


def span(hours):
    return Refit(START, START + hours * HOUR, -1.0, 1.0)


def test_a_barrier_met_early_trains_no_sooner_than_its_neighbours(met_early):
    assert np.flatnonzero(folds.train_mask(met_early, span(5))).tolist() == [0, 1, 2]
    assert np.flatnonzero(folds.train_mask(met_early, span(6))).tolist() == [0, 1, 2, 3]  # 4 ends at six, too
    assert np.flatnonzero(folds.purged_mask(met_early, span(6))).tolist() == [4, 5]


def test_nor_before_a_tested_block_of_a_combinatorial_split(met_early, label_params):
    plan = combinatorial.cpcv(START, START + 40 * HOUR, HOUR, label_params(), 4, 1)
    late = met_early.assign(
        **{
            name: met_early[name] + 10 * HOUR
            for name in (columns.TIMESTAMP, columns.LABEL_END, columns.HORIZON_END)
        }
    )
    # The third group, tested, begins at hour 20; two hours of embargo: known by 18.
    assert np.flatnonzero(combinatorial.train_mask(late, plan.splits[2])).tolist() == [0, 1, 2, 3, 4, 5]


def test_nor_is_it_told_before_the_holdout_or_at_the_end_of_the_history(met_early, label_params):
    held = Span(START + 6 * HOUR, START + 10 * HOUR, START + 4 * HOUR)
    assert np.flatnonzero(holdout.sealed(met_early, held)[columns.SCORE].notna()).tolist() == [0, 1, 2, 3]
    told = holdout.sealed(met_early, None)
    assert np.flatnonzero(told[columns.SCORE].notna()).tolist() == list(range(8))
    assert folds.refit_span(told, label_params(kind="triple_barrier")).train_end == START + 10 * HOUR


def at_edges(labels, known, reach):
    """Share of HOLD among the bars that `known` admits in the last `reach` hours before many moments."""
    edge = []
    called = classes(labels, Cuts(-UNTOUCHED, UNTOUCHED))
    for hours in range(500, BARS - 100, 50):
        moment = START + hours * HOUR
        near = labels[columns.TIMESTAMP] > moment - reach * HOUR
        edge.append(called[(near & (labels[known] <= moment) & labels[columns.SCORE].notna()).to_numpy()])
    return float((np.concatenate(edge) == columns.HOLD).mean())


def table(walk, params):
    time = pd.date_range(START, periods=BARS, freq="h", unit="ms")
    prices = walk(BARS, seed=3)
    bars = pd.DataFrame({columns.SYMBOL: "BTCUSDT", columns.TIMESTAMP: time, **prices._asdict()})
    return label_table(bars, params)


def test_class_shares_of_the_last_training_bars_are_those_of_all(walk, label_params):
    """About 110 edges, and at each the last 20 bars that the rule admits, whichever the rule."""
    params = label_params(kind="triple_barrier", horizon_bars=HORIZON, volatility_window=60)
    labels = table(walk, params)
    whole = classes(labels, Cuts(-UNTOUCHED, UNTOUCHED))
    hold = float((whole[whole != columns.UNKNOWN] == columns.HOLD).mean())
    assert 0.3 < hold < 0.6
    assert at_edges(labels, columns.HORIZON_END, 2 * HORIZON + 1) == pytest.approx(hold, abs=0.04)
    assert at_edges(labels, columns.LABEL_END, HORIZON + 1) < 0.02  # both barriers within one bar


@pytest.mark.parametrize("kind", [kind for kind in LabelKind.__args__ if kind != "triple_barrier"])
def test_of_every_other_kind_label_and_horizon_end_together(walk, label_params, kind):
    labels = table(walk, label_params(kind=kind, horizon_bars=HORIZON))
    pd.testing.assert_series_equal(
        labels[columns.HORIZON_END], labels[columns.LABEL_END], check_names=False, check_exact=True
    )
    pd.testing.assert_frame_equal(holdout.sealed(labels, None), labels, check_exact=True)
