"""No training label reaches into a test span or its embargo: every scheme, any gaps, several symbols."""

from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xrl import columns
from xrl.config import LabelKind
from xrl.errors import ConfigError, DataError
from xrl.labels import combinatorial, folds, holdout
from xrl.labels.history import history
from xrl.stages.labels import label_table

START = pd.Timestamp("2025-01-01", tz="UTC")
HOUR = pd.Timedelta(hours=1)
SYMBOLS = ("BTCUSDT", "ADAUSDT", "SOLUSDT")


@st.composite
def gapped_bars(draw, walk):
    """Bars of one to three symbols, each with its own start, end and missing stretches."""
    total = draw(st.integers(500, 900))
    seed = draw(st.integers(0, 2**32 - 1))
    parts = []
    for i, symbol in enumerate(SYMBOLS[: draw(st.integers(1, 3))]):
        missing = np.zeros(total, dtype=bool)
        if i:  # the first symbol spans the history
            missing[: draw(st.integers(0, 60))] = True
            missing[total - draw(st.integers(0, 60)) :] = True
        for at, length in draw(
            st.lists(st.tuples(st.integers(2, total - 2), st.integers(1, 50)), max_size=4)
        ):
            missing[at : min(at + length, total - 1)] = True
        prices = walk(total, seed + i)
        time = pd.date_range(START, periods=total, freq="h", unit="ms")
        frame = pd.DataFrame({columns.SYMBOL: symbol, columns.TIMESTAMP: time, **prices._asdict()})
        parts.append(frame[~missing])
    return pd.concat(parts, ignore_index=True)


def laid_params(draw, label_params):
    horizon = draw(st.integers(1, 12))
    rolling = draw(st.booleans())
    return label_params(
        kind=draw(st.sampled_from(LabelKind.__args__)),
        horizon_bars=horizon,
        volatility_window=20,
        embargo_bars=horizon + draw(st.integers(0, 30)),
        folds=tuple(range(draw(st.integers(2, 4)))),
        scheme="rolling" if rolling else "anchored",
        train_days=draw(st.integers(5, 9)) if rolling else None,
        cadence_days=draw(st.sampled_from([None, 1, 2, 3])),
        first_train_share=draw(st.floats(0.35, 0.7)),
        holdout_days=draw(st.sampled_from([0, 0, 3])),
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_walk_forward_training_ends_an_embargo_before_what_it_is_tested_on(label_params, walk, data):
    bars, params = data.draw(gapped_bars(walk)), laid_params(data.draw, label_params)
    span = history(bars)
    held = holdout.holdout_span(span.end, span.bar, params)
    labels = holdout.sealed(label_table(bars, params), held)
    try:
        laid = folds.fit_cuts(labels, folds.walk_forward(span.start, span.end, span.bar, params), params)
    except (ConfigError, DataError):
        assume(False)
    tested = np.zeros(len(labels), dtype=int)
    for fold in laid:
        train, test = folds.train_mask(labels, fold), folds.test_mask(labels, fold)
        reach = labels[columns.LABEL_END][train].max()
        assert reach + params.embargo_bars * HOUR <= labels[columns.TIMESTAMP][test].min()
        assert labels[columns.TIMESTAMP][train].min() >= fold.train_start
        assert not (train & (test | folds.purged_mask(labels, fold) | folds.embargo_mask(labels, fold))).any()
        tested += test
    after = (labels[columns.TIMESTAMP] >= laid[0].test_start).to_numpy()
    seen = np.zeros(len(labels), dtype=bool) if held is None else (labels.timestamp >= held.start).to_numpy()
    assert (tested == (after & ~seen)).all()  # every bar from the first test span on once, but the holdout
    if held is not None:
        refit = folds.refit_span(labels, params, held)
        assert labels[columns.LABEL_END].max() <= held.start
        assert labels[columns.LABEL_END][folds.train_mask(labels, refit)].max() <= held.train_end


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_combinatorial_training_keeps_away_from_every_block_and_paths_cover_each_bar_once(
    label_params, walk, data
):
    bars, params = data.draw(gapped_bars(walk)), laid_params(data.draw, label_params)
    n_groups = data.draw(st.integers(2, 6))
    k = data.draw(st.integers(1, n_groups - 1))
    span = history(bars)
    labels = holdout.sealed(label_table(bars, params), holdout.holdout_span(span.end, span.bar, params))
    plan = combinatorial.cpcv(span.start, span.end, span.bar, params, n_groups, k)
    embargo = params.embargo_bars * HOUR
    opens, ends = labels[columns.TIMESTAMP], labels[columns.LABEL_END]
    for split in plan.splits:
        train, test = combinatorial.train_mask(labels, split), combinatorial.test_mask(labels, split)
        assert not (train & test).any()
        for block in split.blocks:
            own = test & ((opens >= block.start) & (opens < block.end)).to_numpy()
            first, last = opens[own].min(), max(ends[own].max(), opens[own].max() + HOUR)
            apart = (ends[train] + embargo <= first) | (opens[train] >= last + embargo)
            assert apart.all()
    covered = (opens < plan.groups[-1].end).to_numpy()
    mark = [np.where(combinatorial.test_mask(labels, split), split.index, np.nan) for split in plan.splits]
    paths = combinatorial.assemble(labels, plan, mark)
    assert len(paths) == comb(n_groups - 1, k - 1)
    for path in paths:
        assert (np.isfinite(path) == covered).all()  # from a split that tests the bar, so out of sample
    for row in paths[:, covered].T[:: max(covered.sum() // 50, 1)]:
        assert len(set(row)) == len(row)  # no split serves two paths on one bar


@pytest.mark.parametrize("kind", LabelKind.__args__)
def test_what_comes_after_training_changes_no_class_that_it_learned(label_params, walk, kind):
    """Prefix test of labels, folds and cut-offs together: the history cut at a fold's test start."""
    params = label_params(kind=kind, horizon_bars=5, volatility_window=20, embargo_bars=5)
    prices = walk(600)
    time = pd.date_range(START, periods=600, freq="h", unit="ms")
    bars = pd.DataFrame({columns.SYMBOL: "BTCUSDT", columns.TIMESTAMP: time, **prices._asdict()})
    labels = label_table(bars, params)
    fold = folds.fit_cuts(labels, folds.walk_forward(START, START + 600 * HOUR, HOUR, params), params)[0]
    known = label_table(bars[bars[columns.TIMESTAMP] < fold.test_start], params)
    again = folds.fit_cuts(known, [fold], params)[0]
    assert again == fold
    train = folds.train_mask(labels, fold)
    pd.testing.assert_frame_equal(labels[train], known[folds.train_mask(known, fold)], check_exact=True)
