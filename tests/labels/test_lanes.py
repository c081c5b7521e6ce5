import numpy as np
import pandas as pd
import pytest

from xrl import columns
from xrl.labels import combinatorial, lanes
from xrl.labels.folds import Fold, Refit
from xrl.labels.holdout import Span, sealed

START = pd.Timestamp("2025-01-01", tz="UTC")
HOUR = pd.Timedelta(hours=1)
FOLD = Fold(0, START, START + 4 * HOUR, START + 5 * HOUR, START + 8 * HOUR, 0.5, 1.5)


@pytest.fixture
def drawn(ten_hours):
    """Labels end three hours after the open; the last two hours are held out, an embargo of one before."""
    held = Span(START + 8 * HOUR, START + 10 * HOUR, START + 7 * HOUR)
    refit = Refit(START, held.train_end, 0.5, 1.5)
    return lanes.fold_lanes(sealed(ten_hours, held), [FOLD], refit, held)


def named(lane):
    return [lanes.STATES[state] for state in lane.state]


def test_every_hour_of_a_fold_has_its_state(drawn):
    fold, _ = drawn.lanes
    assert fold.name == "fold 0"
    assert named(fold) == [*["training"] * 2, *["purged"] * 2, "embargo", *["test"] * 3, *["holdout"] * 2]
    assert fold.bars == {
        "unused": 0, "training": 2, "purged": 2, "embargo": 1, "test": 3, "holdout": 2,
    }  # fmt: skip


def test_the_refit_learns_up_to_an_embargo_before_the_holdout(drawn):
    _, refit = drawn.lanes
    assert named(refit) == [*["training"] * 5, *["purged"] * 2, "embargo", *["holdout"] * 2]


def test_shares_are_of_the_bars_whose_label_is_known(drawn):
    """Training bars score 0 and 1, SELL and HOLD; of the test bars 5, 6, 7 only bar 5's label is known."""
    fold, _ = drawn.lanes
    assert fold.train == {"bars": 2, "sell": 0.5, "hold": 0.5, "buy": 0.0}
    assert fold.test == {"bars": 1, "sell": 0.0, "hold": 0.0, "buy": 1.0}


def test_without_a_holdout_the_refit_ends_where_labels_are_not_known_yet(ten_hours):
    refit = Refit(START, START + 10 * HOUR, 0.5, 1.5)
    lane = lanes.fold_lanes(ten_hours, [FOLD], refit, None).lanes[-1]
    assert named(lane) == [*["training"] * 8, *["purged"] * 2]


def test_symbols_share_a_lane_and_each_bar_is_counted(ten_hours):
    other = ten_hours.assign(**{columns.SYMBOL: "ADAUSDT"}).iloc[3:]
    both = pd.concat([ten_hours, other], ignore_index=True)
    fold = lanes.fold_lanes(both, [FOLD], Refit(START, START + 10 * HOUR, 0.5, 1.5), None).lanes[0]
    assert len(fold.state) == 10
    assert sum(fold.bars.values()) == 17
    assert fold.bars["test"] == 6


def test_splits_show_both_sides_of_their_blocks(label_params):
    """Four groups of ten hours, the second tested: see the truths about masks for the numbers."""
    time = pd.Series(pd.date_range(START, periods=40, freq="h", unit="ms"))
    known = np.arange(40) < 38
    labels = pd.DataFrame(
        {
            columns.SYMBOL: "BTCUSDT",
            columns.TIMESTAMP: time,
            columns.SCORE: np.where(known, np.arange(40.0), np.nan),
            columns.VOLATILITY: 1.0,
            columns.LABEL_END: (time + 3 * HOUR).where(known),
            columns.HORIZON_END: (time + 3 * HOUR).where(known),
        }
    )
    plan = combinatorial.cpcv(START, START + 40 * HOUR, HOUR, label_params(), 4, 1)
    splits = combinatorial.fit_cuts(labels, plan.splits, label_params())
    lane = lanes.split_lanes(labels, splits, None).lanes[1]
    assert lane.name == "split 1"
    expected = ["training"] * 6 + ["purged"] * 2 + ["embargo"] * 2 + ["test"] * 10
    expected += ["purged"] * 2 + ["embargo"] * 2 + ["training"] * 14 + ["unused"] * 2
    assert named(lane) == expected
