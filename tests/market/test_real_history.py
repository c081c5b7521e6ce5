"""Real years break no rule but where the venue was out. Those outages are listed here; nothing else shows."""

import re
from functools import lru_cache
from pathlib import Path

import pandas as pd
import pytest

from tests.market.batches import PARAMS
from tests.market.conftest import SHARED_MARKET
from xrl import columns as c
from xrl.market import derived as d
from xrl.market import tables
from xrl.market.checks import Usual, Within
from xrl.market.expectations import Batch, Verdict, validate
from xrl.market.rules import row_rules

pytestmark = pytest.mark.skipif(
    not SHARED_MARKET.is_dir(), reason="the real market data of ../shared/market are not here"
)
COINS = ("BTC", "ETH", "SOL", "XRP", "ADA", "LTC")
DOCUMENT = Path(__file__).parents[2] / "docs" / "validation.md"

#: Hours that Binance's spot market was closed: the first, and how many.
SPOT_HOLES = {
    "2019-03-12 02": 6, "2019-05-15 03": 10, "2019-08-15 02": 8, "2019-11-13 02": 2, "2019-11-25 02": 2,
    "2019-12-31 01": 23, "2020-02-09 02": 1, "2020-02-19 12": 5, "2020-03-04 10": 1, "2020-04-25 02": 2,
    "2020-06-28 02": 3, "2020-11-30 06": 1, "2020-12-21 14": 4, "2020-12-25 02": 1, "2021-02-11 04": 1,
    "2021-03-06 02": 1, "2021-04-20 02": 2, "2021-04-25 05": 3, "2021-08-13 02": 4, "2021-09-29 07": 2,
    "2023-03-24 13": 1,
}  # fmt: skip


@lru_cache(maxsize=32)
def history(name: str, kind: tables.Kind) -> pd.DataFrame:
    """`binance_{name}.parquet` as a frame of `kind`."""
    stored = pd.read_parquet(SHARED_MARKET / f"binance_{name}.parquet")
    stored = stored.rename(
        columns={"sum_open_interest": c.OPEN_INTEREST, "sum_open_interest_value": c.OPEN_INTEREST_VALUE}
    )
    frame = stored.reindex(columns=list(tables.table(kind).columns))
    return frame.astype(tables.empty(kind).dtypes.to_dict())


def candles_of(coin: str) -> pd.DataFrame:
    return history(f"perp_{coin}USDT_1h", "1h")


def alarms(verdict: Verdict) -> dict[str, tuple[int, str | None, str]]:
    return {one.rule: (one.rows, one.first_timestamp, one.severity) for one in verdict.failures}


def judge(kind: tables.Kind, frame: pd.DataFrame, quarantine: Path, **more: object) -> Verdict:
    return validate(kind, [Batch("X", frame, frame.head(0))], PARAMS, quarantine, **more)["X"]  # type: ignore[arg-type]


def test_hours_of_six_coins_show_the_first_quiet_hours_of_two_listings_and_nothing_else(tmp_path: Path):
    batches = [Batch(coin, candles_of(coin), candles_of(coin).head(0)) for coin in COINS]
    verdicts = validate("1h", batches, PARAMS, tmp_path, whole_history=True)
    assert all(verdict.accepted for verdict in verdicts.values())
    # BTC: 2019-09-08 18:00, 2019-09-09 00:00 and 01:00. ETH: one hour. Nobody traded yet.
    assert {coin: alarms(verdict) for coin, verdict in verdicts.items() if verdict.failures} == {
        "BTC": {"trading goes on": (3, "2019-09-08T18:00:00+00:00", "warn")},
        "ETH": {"trading goes on": (1, "2019-11-27T09:00:00+00:00", "warn")},
    }


def test_funding_of_six_coins_breaks_no_rule(tmp_path: Path):
    for coin in COINS:
        assert judge("funding", history(f"perp_{coin}USDT_funding", "funding"), tmp_path) == (True, (), None)


def test_quarter_hours_show_the_outage_of_october_2024_and_nothing_else(tmp_path: Path):
    verdict = judge("15m", history("perp_BTCUSDT_15m", "15m"), tmp_path)
    assert verdict.accepted
    # Four bars without a trade from 20:00 on; the fourth completes the hour.
    assert alarms(verdict) == {"trading goes on": (1, "2024-10-28T20:45:00+00:00", "warn")}


def test_spot_hours_show_83_missing_hours_and_three_quiet_ones(tmp_path: Path):
    frame = history("spot_BTCUSDT_1h_taker", "1h")
    every = pd.date_range(frame[c.TIMESTAMP].iloc[0], frame[c.TIMESTAMP].iloc[-1], freq="h", unit="ms")
    holes = [
        time
        for first, hours in SPOT_HOLES.items()
        for time in pd.date_range(first, periods=hours, freq="h", tz="UTC")
    ]
    assert sorted(every.difference(pd.DatetimeIndex(frame[c.TIMESTAMP]))) == holes and len(holes) == 83
    verdict = judge("1h", frame, tmp_path)
    assert not verdict.accepted
    assert alarms(verdict) == {
        "one bar every 1h": (21, "2019-03-12T08:00:00+00:00", "stop"),
        # An outage's hours without a trade: 2019-06-07 21:00, 2021-02-11 03:00, 2023-03-24 12:00.
        "trading goes on": (3, "2019-06-07T21:00:00+00:00", "warn"),
    }


def test_stretches_between_the_holes_are_accepted(tmp_path: Path):
    frame = history("spot_BTCUSDT_1h_taker", "1h")
    stretch = (frame[c.TIMESTAMP].diff() != pd.Timedelta(hours=1)).cumsum()
    batches = [Batch("X", part, frame.head(0)) for _, part in frame.groupby(stretch)]
    assert len(batches) == 22
    assert validate("1h", batches, PARAMS, tmp_path)["X"].accepted


def test_spot_and_perpetual_agree(tmp_path: Path):
    spot = {"X": history("spot_BTCUSDT_1h_taker", "1h")}
    verdict = judge("1h", candles_of("BTC"), tmp_path, references=spot, venue="spot")
    assert verdict.accepted and "close agrees with spot" not in alarms(verdict)


def test_hourly_marks_of_open_interest_break_no_rule(tmp_path: Path):
    marks = history("perp_BTCUSDT_oi_5m", "open_interest")
    marks = marks[marks[c.TIMESTAMP].dt.minute == 0].reset_index(drop=True)
    assert judge("open_interest", marks, tmp_path) == (True, (), None)


def largest() -> dict[str, tuple[float, float]]:
    """For each bounded rule on candles: the largest value seen, the nearest that any came to its bound."""
    spot = history("spot_BTCUSDT_1h_taker", "1h")
    frames = [("1h", candles_of(coin)) for coin in COINS]
    frames += [("15m", history("perp_BTCUSDT_15m", "15m")), ("1h", spot)]
    seen: dict[str, tuple[float, float]] = {}
    for kind, frame in frames:
        demand = d.Demand({"X": spot} if frame is frames[0][1] else None)
        rows, _ = d.judged_rows(kind, [d.Batch("X", frame, frame.head(0))], demand)
        for rule in row_rules(kind, PARAMS, demand):
            if isinstance(rule.check, Usual):
                bound = (rule.check.sigmas * rows[rule.check.volatility]).clip(lower=rule.check.bound)
            elif isinstance(rule.check, Within) and rule.check.column == d.VOLUME_RATIO:
                bound = pd.Series(rule.check.high, index=rows.index)
            else:
                continue
            # The first bars of a listing, whose volatility is not known yet, are held to three bounds.
            bound = bound.fillna(3 * rule.check.bound) if isinstance(rule.check, Usual) else bound
            values = rows[rule.check.column]
            most, near = seen.get(rule.key, (0.0, 0.0))
            seen[rule.key] = (max(most, values.max()), max(near, (values / bound).max()))
    return seen


def test_every_bound_stands_well_away_from_all_that_was_seen_and_the_document_says_so():
    seen = largest()
    assert len(seen) == 6
    text = DOCUMENT.read_text()
    for rule, (most, near) in seen.items():
        assert near < 0.75, rule
        line = re.search(rf"\| {rule} \| ([\d.]+)[^|]*\| ([\d.]+) %", text)
        assert line is not None, (
            f"{rule}: {most:.3g} seen, {100 * near:.0f} % of its bound, is not in {DOCUMENT}"
        )
        assert (float(line[1]), float(line[2])) == (float(f"{most:.3g}"), float(f"{100 * near:.0f}")), rule
