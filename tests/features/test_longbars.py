"""Bars of 6 hours and their windows: known when closed, relative to the newest, the same to the bit."""

import numpy as np
import pandas as pd
import pytest

from xrl import columns as c
from xrl.features import longbars
from xrl.features.longbars import BARS, COLUMNS, REQUIRED_HOURS, WARMUP, long_bars, window_ends, windows

START = pd.Timestamp("2025-01-01", tz="UTC")


def hourly(hours: int, seed: int = 0, start: pd.Timestamp = START) -> pd.DataFrame:
    """A random walk in columns.CANDLE."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, hours)))
    open_ = np.concatenate([[100.0], close[:-1]])
    time = pd.date_range(start, periods=hours, freq="h").astype(c.TIME_DTYPE)
    found = {
        c.TIMESTAMP: time,
        c.OPEN: open_,
        c.HIGH: np.maximum(open_, close) * 1.001,
        c.LOW: np.minimum(open_, close) * 0.999,
        c.CLOSE: close,
        c.VOLUME: rng.lognormal(3, 0.5, hours),
    }
    return pd.DataFrame({**found, **dict.fromkeys(c.OPTIONAL_CANDLE, np.nan)})[list(c.CANDLE)]


def newest_window(candles: pd.DataFrame) -> np.ndarray:
    bars = long_bars(candles)
    return windows(bars.series, window_ends(bars)[-1:])[0]


def column(candles: pd.DataFrame, name: str) -> np.ndarray:
    return long_bars(candles).series[:, COLUMNS.index(name)]


def test_a_bar_is_six_hours_of_the_utc_day():
    candles = hourly(14, start=START + pd.Timedelta(hours=4))  # 04:00 to 18:00: two whole bars
    bars = long_bars(candles)
    assert [pd.Timestamp(ms, unit="ms").hour for ms in bars.open_ms] == [6, 12]
    assert bars.close.tolist() == [candles[c.CLOSE][7], candles[c.CLOSE][13]]
    assert column(candles, "high")[0] == candles[c.HIGH][2:8].max()
    assert column(candles, "low")[1] == candles[c.LOW][8:14].min()
    assert column(candles, "volume")[0] == pytest.approx(candles[c.VOLUME][2:8].sum(), rel=1e-12)


def test_a_bar_is_known_when_its_last_hour_has_closed():
    """Prefix test, hour by hour: windows that end before the cut are the same to the bit."""
    candles = hourly(REQUIRED_HOURS + 40)
    whole = long_bars(candles)
    ends = window_ends(whole)
    expected = dict(zip(whole.open_ms[ends].tolist(), windows(whole.series, ends)))
    seen = set()
    for hours in range(REQUIRED_HOURS - 4, len(candles)):
        cut = long_bars(candles.iloc[:hours])
        newest = window_ends(cut)[-1:]
        assert (
            cut.open_ms[-1] + longbars.STEP_MS <= candles[c.TIMESTAMP][hours - 1].value // 10**6 + 3_600_000
        )
        for end in newest:
            seen.add(int(cut.open_ms[end]))
            np.testing.assert_array_equal(windows(cut.series, newest)[0], expected[int(cut.open_ms[end])])
    assert len(seen) >= 6


@pytest.mark.parametrize("dropped", range(6))
def test_the_required_hours_give_a_window_at_any_hour(dropped):
    """And the same one as the whole history, to the bit."""
    candles = hourly(REQUIRED_HOURS + 100).iloc[: REQUIRED_HOURS + 100 - dropped].reset_index(drop=True)
    needed = candles.tail(REQUIRED_HOURS).reset_index(drop=True)
    np.testing.assert_array_equal(newest_window(needed), newest_window(candles))


def test_fewer_hours_do_not():
    candles = hourly(REQUIRED_HOURS - 6)
    assert len(window_ends(long_bars(candles))) == 0


def test_a_missing_hour_breaks_the_run():
    """The bar of the missing hour does not exist, and no window or mean reaches over it."""
    hours = 2 * REQUIRED_HOURS
    candles = hourly(hours)
    lost = REQUIRED_HOURS // 6 * 6 + 3
    bars = long_bars(candles.drop(index=lost).reset_index(drop=True))
    lost_ms = candles[c.TIMESTAMP][lost - 3].value // 10**6
    assert lost_ms not in bars.open_ms
    first_after = int(np.searchsorted(bars.open_ms, lost_ms))
    ends = window_ends(bars)
    assert ends[ends >= first_after].min() == first_after + BARS + WARMUP - 1
    assert np.isnan(bars.series[first_after : first_after + WARMUP, COLUMNS.index("ema_slow")]).all()
    assert not np.isnan(bars.series[first_after + WARMUP :]).any()


class TestWindow:
    def test_nothing_absolute_enters(self):
        """Another price level and another unit of volume give the same window."""
        candles = hourly(REQUIRED_HOURS)
        other = candles.copy()
        for name in (c.OPEN, c.HIGH, c.LOW, c.CLOSE):
            other[name] *= 1024.0
        other[c.VOLUME] *= 8.0
        np.testing.assert_allclose(newest_window(other), newest_window(candles), rtol=1e-9, atol=1e-12)

    def test_it_is_relative_to_its_newest_bar(self):
        candles = hourly(REQUIRED_HOURS)
        found, bars = newest_window(candles), long_bars(candles)
        assert found.shape == (60, 7)
        assert found[-1, 0] == 0.0
        assert found[0, 0] == pytest.approx(np.log(bars.close[-60] / bars.close[-1]))
        assert found[:, 1].mean() == pytest.approx(1.0)
        assert (found[:, 2] >= found[:, 0]).all()
        assert (found[:, 3] <= found[:, 0]).all()

    def test_without_any_volume_its_volumes_are_1(self):
        candles = hourly(REQUIRED_HOURS).assign(**{c.VOLUME: 0.0})
        assert (newest_window(candles)[:, 1] == 1.0).all()

    def test_the_history_is_not_changed(self):
        bars = long_bars(hourly(REQUIRED_HOURS))
        before = bars.series.copy()
        windows(bars.series, window_ends(bars))
        np.testing.assert_array_equal(bars.series, before)


class TestSeries:
    @staticmethod
    def closes(values: list[float]) -> pd.DataFrame:
        """Candles whose 6-hour closes are `values`."""
        candles = hourly(6 * len(values))
        candles[c.CLOSE] = np.repeat(np.array(values, dtype=float), 6)
        return candles.assign(**dict.fromkeys((c.OPEN, c.HIGH, c.LOW), candles[c.CLOSE]))

    def test_rsi_by_hand(self):
        """Fourteen changes, four of +1 and two of -1: 4 / 6."""
        steps = [1, 1, 1, 1, -1, -1] + [0] * 8
        closes = (100 + np.cumsum([0, *steps])).tolist()
        assert column(self.closes(closes), "rsi")[-1] == pytest.approx(100 * 4 / 6)
        assert np.isnan(column(self.closes(closes), "rsi")[:-1]).all()

    def test_a_still_price_has_a_neutral_rsi_and_its_own_mean(self):
        still = self.closes([7.0] * 60)
        assert column(still, "rsi")[-1] == 50.0
        assert column(still, "ema_fast")[-1] == pytest.approx(7.0)
        assert column(still, "ema_slow")[-1] == pytest.approx(7.0)

    def test_the_fast_mean_by_hand(self):
        """A rise of 1 in the newest bar moves it by the newest weight: 1 / sum_(k<24) (11/13)^k."""
        found = column(self.closes([10.0] * 59 + [11.0]), "ema_fast")[-1]
        assert found == pytest.approx(10.0 + 1.0 / ((1 - (11 / 13) ** 24) / (1 - 11 / 13)))

    def test_warm_up_is_nan(self):
        series = long_bars(self.closes([10.0] * 60)).series
        first = {name: int(np.isnan(series[:, j]).sum()) for j, name in enumerate(COLUMNS)}
        assert first == {
            "close": 0, "volume": 0, "high": 0, "low": 0, "rsi": 14, "ema_fast": 23, "ema_slow": 51,
        }  # fmt: skip


def test_the_definition_names_what_a_window_is_made_of():
    assert longbars.definition()["columns"] == list(COLUMNS)
    assert REQUIRED_HOURS == 671
