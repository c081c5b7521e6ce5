"""Truths of comparing two tracks, with returns small enough to follow by hand."""

from pathlib import Path

import numpy as np
import pandas as pd

from tests.registry.evidence import track
from xrl.config import load_config
from xrl.registry.comparison import compare_tracks, daily_returns

PARAMS = load_config(Path(__file__).parents[2] / "params.yaml").gate


def test_a_day_is_the_mean_of_the_sub_accounts_and_a_month_rebalances_them() -> None:
    returns = {  # two bars a day; January ends after the second day
        "2024-01-30": [(0.10, 0.0), (0.0, 0.0)],
        "2024-01-31": [(0.10, 0.0), (0.0, 0.0)],
        "2024-02-01": [(0.10, 0.0), (0.0, -0.10)],
    }
    rows = [
        {
            "symbol": symbol,
            "timestamp": pd.Timestamp(day, tz="UTC") + pd.Timedelta(hours=12 * bar),
            "net_return": value,
        }
        for day, bars in returns.items()
        for bar, pair in enumerate(bars)
        for symbol, value in zip(("AUSDT", "BUSDT"), pair)
    ]
    found = daily_returns(pd.DataFrame(rows).sample(frac=1, random_state=0))
    # 30 January: 1.1 and 1 -> 1.05, the first bar itself being the base; 31: 1.21 and 1 -> 1.105;
    # 1 February: both set to 1.105 / 2, then +10 % and -10 % -> unchanged.
    np.testing.assert_allclose(found[-2:], [1.105 / 1.05 - 1, 0.0], atol=1e-12)


def test_a_track_is_no_better_than_itself() -> None:
    found = compare_tracks(track(), track(), PARAMS)
    assert found.days == 120
    assert found.superior == 0.0
    assert found.inferior == 0.0
    assert found.f1_difference == 0.0


def test_only_common_bars_count() -> None:
    """Prefix test: what one track holds beyond the other's end changes nothing."""
    short = track(days=40, drift=0.001)
    long = track(days=60, seed=1)
    spoiled = long.copy()
    later = spoiled["timestamp"] > short["timestamp"].max()
    spoiled.loc[later, "net_return"] = -0.5
    assert compare_tracks(short, long, PARAMS) == compare_tracks(short, spoiled, PARAMS)


def test_a_symbol_that_only_one_knows_is_left_out() -> None:
    ours, theirs = track(), track(seed=1)
    alone = theirs[theirs["symbol"] == "BTCUSDT"]
    assert compare_tracks(ours, alone, PARAMS) == compare_tracks(
        ours[ours["symbol"] == "BTCUSDT"], alone, PARAMS
    )


def test_nothing_in_common_compares_nothing() -> None:
    later = track().assign(timestamp=lambda frame: frame["timestamp"] + pd.Timedelta(days=400))
    assert compare_tracks(track(), later, PARAMS) == (0, None, None, None)
