"""What the rules look at: literals by hand, and nothing of it known too early."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.market.batches import GOOD, ROW, START, Spoil, batch, candles, frozen, put, rows, silent, times
from xrl import columns as c
from xrl.market import derived as d
from xrl.market import tables

HOUR = pd.Timedelta(hours=1)


def bars(*closes: float, volume: float = 1.0) -> pd.DataFrame:
    """Hourly candles that open at the close before."""
    close = np.array(closes)
    open_ = np.concatenate([close[:1], close[:-1]])
    stamps = pd.date_range(START, periods=len(close), freq="h", unit="ms")
    frame = pd.DataFrame(index=range(len(close)), columns=list(c.CANDLE[1:]), dtype="float64")
    frame = frame.assign(open=open_, high=np.maximum(open_, close), low=np.minimum(open_, close), close=close)
    frame = frame.assign(volume=volume)
    frame.insert(0, c.TIMESTAMP, stamps)
    return frame


def judged(frame: pd.DataFrame, kind: tables.Kind = "1h", past: int = 0, **demand: object) -> pd.DataFrame:
    """Derived columns of `frame` after its first `past` rows."""
    one = d.Batch("BTCUSDT", frame.iloc[past:], frame.iloc[:past])
    return d.judged_rows(kind, [one], d.Demand(**demand))[0]  # type: ignore[arg-type]


def test_moves_are_logs_of_what_the_columns_say():
    frame = bars(100, 110, 99).assign(high=[100, 121, 110], low=[50, 100, 99], open=[100, 105, 110])
    found = judged(frame)
    assert found[d.JUMP].tolist() == pytest.approx([np.nan, np.log(1.1), np.log(110 / 99)], nan_ok=True)
    assert found[d.GAP].tolist() == pytest.approx([np.nan, np.log(1.05), 0], nan_ok=True)
    assert found[d.WICK].tolist() == pytest.approx([np.log(2), np.log(1.1), 0])
    # The move of row 1 is taken back by row 2; the last row has no next one.
    assert found[d.SPIKE].tolist() == pytest.approx([np.nan, np.log(1.1), np.nan], nan_ok=True)


def test_only_a_move_that_is_taken_back_is_a_spike():
    spikes = judged(bars(100, 110, 121, 100, 100, 90))[d.SPIKE]
    assert spikes.tolist() == pytest.approx([np.nan, np.nan, np.log(1.1), *[np.nan] * 3], nan_ok=True)


def test_rows_of_one_slot_are_not_equal_bars():
    frame = bars(*[100.0] * 3)
    again = frame.iloc[[0, 1, 1, 2]].reset_index(drop=True)
    assert judged(again)[d.EQUAL_BARS].tolist() == [1, 2, 1, 2]


def test_volatility_is_that_of_the_bars_before_over_the_time_of_the_move():
    steps = 0.01 * np.where(np.arange(20) % 2, 1, -1)  # |move| of one percent, always
    frame = bars(*(100 * np.exp(np.cumsum(steps))))
    found = judged(frame.drop(index=[12, 13, 14]).reset_index(drop=True))
    sigma = 0.01 * np.sqrt(np.pi / 2)
    assert found[d.VOLATILITY].iloc[: d.LEAST_BARS + 1].isna().all()  # too few moves to say
    assert found[d.VOLATILITY].iloc[d.LEAST_BARS + 1 : 12].tolist() == pytest.approx([sigma] * 3)
    assert found[d.SLOTS].iloc[12] == 4
    assert found[d.VOLATILITY].iloc[12] == pytest.approx(2 * sigma)  # four bars long


def test_a_bar_is_not_part_of_its_own_recent_past():
    calm = bars(*([100.0, 100.1] * 12))
    wild = calm.assign(close=calm[c.CLOSE].where(calm.index != 23, 200.0), volume=[1.0] * 23 + [50.0])
    assert judged(wild)[d.VOLATILITY].iloc[23] == judged(calm)[d.VOLATILITY].iloc[23]
    assert judged(wild)[d.VOLUME_RATIO].iloc[23] == 50


def test_a_window_holds_so_many_bars_and_no_more():
    volume = np.concatenate([np.full(10, 1000.0), np.full(d.RECENT_BARS, 2.0), [6.0]])
    found = judged(bars(*np.full(len(volume), 100.0)).assign(volume=volume))
    assert found[d.VOLUME_RATIO].iloc[-1] == 3
    assert found[d.VOLUME_RATIO].iloc[10] == 0.002


def test_runs_count_equal_and_silent_bars():
    frame = bars(100, 101, 101, 101, 101, 102).assign(
        open=[100, 101, 101, 101, 101, 101], high=[100, 101, 101, 101, 101, 102], volume=[1, 5, 5, 5, 0, 1]
    )
    found = judged(frame.assign(volume=frame[c.VOLUME].astype(float), low=frame[c.OPEN]))
    assert found[d.EQUAL_BARS].tolist() == [1, 1, 2, 3, 0, 1]
    assert found[d.QUIET_H].tolist() == [0, 0, 0, 0, 1, 0]
    quiet = judged(bars(*[100.0] * 4, volume=0.0))
    assert quiet[d.QUIET_H].tolist() == [1, 2, 3, 4]
    assert judged(bars(*[100.0] * 4, volume=0.0), "15m")[d.QUIET_H].tolist() == [0.25, 0.5, 0.75, 1.0]
    moved = judged(bars(100, 110, volume=0.0))
    assert moved[d.IDLE_RANGE].tolist() == pytest.approx([0, np.log(1.1)])


def test_slots_count_steps_whatever_the_jitter():
    frame = bars(*[100.0] * 6)
    offsets = pd.to_timedelta([0, 7, 0, 0, 0, 0], unit="s")
    frame = frame.assign(timestamp=frame[c.TIMESTAMP] + offsets).iloc[[0, 1, 1, 2, 5, 3]]
    found = judged(frame.assign(timestamp=frame[c.TIMESTAMP].astype(c.TIME_DTYPE)))
    assert found[d.SLOTS].tolist() == pytest.approx([np.nan, 1, 0, 1, 3, -2], nan_ok=True)


def test_the_past_feeds_values_and_is_left_out():
    frame = candles()
    whole, part = judged(frame), judged(frame, past=40)
    pd.testing.assert_frame_equal(part, whole.iloc[40:].reset_index(drop=True))


def test_a_hole_after_the_past_is_not_known_inside_it_is():
    frame = bars(*[100.0] * 9).drop(index=[4, 7]).reset_index(drop=True)
    assert judged(frame, past=4)[d.SLOTS].tolist() == pytest.approx([np.nan, 1, 2], nan_ok=True)


def test_batches_do_not_see_each_other():
    silent_one = candles("random_walk").assign(volume=0.0)
    alone = [candles(), silent_one, candles(hours=5), silent_one, silent_one.tail(20)]
    together = [d.Batch(str(number), frame, frame.head(0)) for number, frame in enumerate(alone)]
    table, owner = d.judged_rows("1h", together, d.Demand())
    for number, frame in enumerate(alone):
        pd.testing.assert_frame_equal(table[owner == number].reset_index(drop=True), judged(frame))


def test_gaps_of_funding_are_whole_hours():
    stamps = START + pd.to_timedelta([0, 8 * 3600, 12 * 3600 + 30, 36 * 3600], unit="s")
    frame = pd.DataFrame({c.TIMESTAMP: stamps.astype(c.TIME_DTYPE), c.FUNDING_RATE: 1e-4})
    assert judged(frame, "funding")[d.GAP_H].tolist() == pytest.approx([np.nan, 8, 4, 24], nan_ok=True)


def test_open_interest_moves_and_implies_a_price():
    stamps = pd.date_range(START, periods=3, freq="h", unit="ms")
    values = {c.OPEN_INTEREST: [10.0, 20.0, 20.0], c.OPEN_INTEREST_VALUE: [100.0, 200.0, np.nan]}
    found = judged(pd.DataFrame({c.TIMESTAMP: stamps, **values}), "open_interest")
    assert found[d.JUMP].tolist() == pytest.approx([np.nan, np.log(2), 0], nan_ok=True)
    assert found[d.IMPLIED_JUMP].tolist() == pytest.approx([np.nan, 0, np.nan], nan_ok=True)
    assert found[d.EQUAL_BARS].tolist() == [1, 1, 2]


def test_the_other_venue_is_met_bar_by_bar():
    reference = bars(100, 200, 100, 100).iloc[[1, 3]]
    found = judged(bars(100, 100, 100, 100), references={"BTCUSDT": reference})
    assert found[d.VENUE_GAP].tolist() == pytest.approx([np.nan, np.log(2), np.nan, 0], nan_ok=True)


def test_the_newest_row_speaks_for_the_batch():
    found = judged(bars(*[100.0] * 6), past=2, fresh_until=START + 8 * HOUR, whole_history=True)
    assert found[d.BEHIND_H].tolist() == pytest.approx([np.nan] * 3 + [2], nan_ok=True)
    assert found[d.HISTORY_DAYS].tolist() == pytest.approx([np.nan] * 3 + [4 / 24], nan_ok=True)


def test_impossible_values_make_moves_unknown_not_infinite():
    frame = candles()
    for name, value in (
        (c.CLOSE, 0.0),
        (c.CLOSE, -1.0),
        (c.CLOSE, np.inf),
        (c.VOLUME, np.inf),
        (c.HIGH, np.nan),
    ):
        found = judged(put(**{name: value})(frame)).drop(columns=list(c.CANDLE))
        assert not np.isinf(found).any(axis=None)


def test_the_batches_stay_as_they_were():
    one = batch("1h")
    frame, past = one.frame.copy(), one.context.copy()
    d.judged_rows("1h", [one], d.Demand({"BTCUSDT": candles()}, "bybit", START, True))
    pd.testing.assert_frame_equal(one.frame, frame)
    pd.testing.assert_frame_equal(one.context, past)


SPOILS = [
    put(volume=-1.0), put(close=np.nan), frozen(6), silent(14), times(0, 5, volume=1e6), times(close=3.0),
    rows(slice(ROW), slice(ROW + 2, None)), rows(slice(ROW + 1), slice(ROW, None)), rows(slice(None), 5),
]  # fmt: skip


@given(
    kind=st.sampled_from(list(GOOD)),
    spoils=st.lists(st.sampled_from(SPOILS), max_size=3),
    cut=st.integers(1, 59),
)
def test_no_row_knows_later_ones(kind: tables.Kind, spoils: list[Spoil], cut: int):
    frame = GOOD[kind]()
    if kind == "1h":
        for spoil in spoils:
            frame = spoil(frame)
    whole, part = judged(frame, kind), judged(frame.iloc[:cut], kind)
    known = [name for name in whole.columns if name != d.SPIKE]
    pd.testing.assert_frame_equal(part[known], whole[known].iloc[:cut], check_exact=True)
    if d.SPIKE in whole:  # looks one bar ahead
        pd.testing.assert_series_equal(
            part[d.SPIKE].iloc[:-1], whole[d.SPIKE].iloc[: cut - 1], check_exact=True
        )
