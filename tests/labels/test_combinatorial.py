from math import comb

import numpy as np
import pandas as pd
import pytest

from xrl import columns
from xrl.errors import ConfigError
from xrl.labels import combinatorial
from xrl.labels.combinatorial import Block, cpcv

START = pd.Timestamp("2025-01-01", tz="UTC")
HOUR = pd.Timedelta(hours=1)


def hours(bars):
    """Bars whose labels end three hours after their open; the last two are not matured."""
    time = pd.Series(pd.date_range(START, periods=bars, freq="h", unit="ms"))
    known = np.arange(bars) < bars - 2
    return pd.DataFrame(
        {
            columns.TIMESTAMP: time,
            columns.SCORE: np.where(known, np.arange(float(bars)), np.nan),
            columns.VOLATILITY: 1.0,
            columns.LABEL_END: (time + 3 * HOUR).where(known),
            columns.HORIZON_END: (time + 3 * HOUR).where(known),
        }
    )


def plan(params, bars=40, n_groups=4, k=2):
    return cpcv(START, START + bars * HOUR, HOUR, params, n_groups, k)


def test_four_groups_two_at_a_time_make_six_splits_and_three_paths(label_params):
    found = plan(label_params())
    assert [split.groups for split in found.splits] == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert found.paths == ((0, 0, 1, 2), (1, 3, 3, 4), (2, 4, 5, 5))


@pytest.mark.parametrize(("n_groups", "k"), [(2, 1), (5, 1), (5, 4), (6, 2), (6, 3)])
def test_paths_are_as_many_as_the_times_that_a_group_is_tested(label_params, n_groups, k):
    found = plan(label_params(), bars=60, n_groups=n_groups, k=k)
    assert len(found.splits) == comb(n_groups, k)
    assert len(found.paths) == comb(n_groups - 1, k - 1)
    for group in range(n_groups):  # each path takes another of the splits that test the group
        assert len({path[group] for path in found.paths}) == len(found.paths)
        assert all(group in found.splits[path[group]].groups for path in found.paths)


def test_neighbouring_groups_are_one_block(label_params):
    first, second = plan(label_params()).splits[:2]
    assert first.blocks == (Block(START, START + 20 * HOUR),)
    assert second.blocks == (
        Block(START, START + 10 * HOUR),
        Block(START + 20 * HOUR, START + 30 * HOUR),
    )


def test_both_sides_of_a_block_are_purged_and_embargoed(label_params):
    """Groups of ten hours; group 1 is tested, two bars of embargo. Before it bar 5 is the last whose label,
    three hours after its open, is known by 08:00. Its own last label is known at 22:00, so from bar 24 on.
    """
    split = plan(label_params(), k=1).splits[1]
    trained = np.flatnonzero(combinatorial.train_mask(hours(40), split))
    assert trained.tolist() == [*range(6), *range(24, 38)]
    assert np.flatnonzero(combinatorial.embargo_mask(hours(40), split)).tolist() == [8, 9, 22, 23]
    assert np.flatnonzero(combinatorial.test_mask(hours(40), split)).tolist() == list(range(10, 20))


def test_cuts_come_from_each_splits_training_bars(label_params):
    found = plan(label_params(percentiles=(0.25, 0.75)), k=1)
    fitted = combinatorial.fit_cuts(hours(40), found.splits, label_params(percentiles=(0.25, 0.75)))
    trained = np.array([*range(6), *range(24, 38)])
    assert (fitted[1].cut_low, fitted[1].cut_high) == tuple(np.quantile(trained, [0.25, 0.75]))


def test_a_path_takes_each_bar_from_the_split_that_it_names(label_params):
    found = plan(label_params())
    predicted = [np.full(40, float(split.index)) for split in found.splits]
    paths = combinatorial.assemble(hours(40), found, predicted)
    assert paths.shape == (3, 40)
    assert paths[1].tolist() == np.repeat([1, 3, 3, 4], 10).tolist()


def test_predictions_may_be_rows_of_probabilities(label_params):
    found = plan(label_params())
    paths = combinatorial.assemble(hours(44), found, [np.ones((44, 3))] * 6)
    assert paths.shape == (3, 44, 3)
    assert np.isnan(paths[:, 40:]).all() and (paths[:, :40] == 1).all()


def test_the_holdout_is_in_no_group(label_params):
    params = label_params(holdout_days=1)
    found = plan(params, bars=64)
    assert found.groups[-1].end == START + 40 * HOUR
    for split in found.splits:
        used = combinatorial.train_mask(hours(64), split) | combinatorial.test_mask(hours(64), split)
        assert not used[40:].any()


def test_counts_that_make_no_sense_are_refused(label_params):
    with pytest.raises(ConfigError, match="n_groups 4, k 4"):
        plan(label_params(), k=4)
    with pytest.raises(ConfigError, match="10 groups of 40 bars are 4 bars each"):
        plan(label_params(), n_groups=10)
