"""Each kind of bad batch is caught by the rule that names it and by no other; good ones pass.

All bad batches of a kind are judged in one run, as different symbols, so none touches another.
"""

import json
import multiprocessing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.batches import (
    GOOD,
    PARAMS,
    ROW,
    START,
    Spoil,
    batch,
    candles,
    frozen,
    funding,
    put,
    rows,
    shifted,
    silent,
    then,
    time_of,
    times,
)
from xrl import columns as c
from xrl.errors import ConfigError, DataError
from xrl.market import tables
from xrl.market.expectations import CONTEXT_ROWS, Batch, Verdict, validate
from xrl.market.rules import every_rule
from xrl.sandbox import worlds
from xrl.sandbox.venue import open_venue

NAN, INF = np.nan, np.inf
BAR = candles().iloc[ROW]  # a rising one
MIDDLE = (BAR[c.OPEN] + BAR[c.CLOSE]) / 2


@dataclass(frozen=True)
class Bad:
    """A spoiled batch, the rule that must name it, its first bad row, rules that must break as well."""

    rule: str
    spoil: Spoil
    kind: tables.Kind = "1h"
    first: int = ROW
    also: frozenset[str] = frozenset()
    severity: str = "stop"


def also(*names: str) -> frozenset[str]:
    return frozenset(names)


def retyped(column: str, dtype: str) -> Spoil:
    return lambda frame: frame.assign(**{column: frame[column].astype(dtype)})


def zoned(zone: str | None) -> Spoil:
    return lambda frame: frame.assign(timestamp=frame[c.TIMESTAMP].dt.tz_convert(zone))


def without_time(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(timestamp=frame[c.TIMESTAMP].where(frame.index != ROW))


def leapt(frame: pd.DataFrame) -> pd.DataFrame:
    """From ROW's close on all prices are three times what they were."""
    prices = {c.OPEN: 3, c.HIGH: 3, c.LOW: 3, c.CLOSE: 3, c.QUOTE_VOLUME: 3, c.TAKER_BUY_QUOTE_VOLUME: 3}
    leap = times(ROW, len(frame), **prices)(frame)
    return put(open=BAR[c.OPEN], low=BAR[c.LOW])(leap)


def spiked(frame: pd.DataFrame) -> pd.DataFrame:
    """ROW closes at 1.6 times its price, where the next bar opens and whence it returns."""
    close = BAR[c.CLOSE] * 1.6
    up = put(high=close, close=close)(frame)
    back = {name: up[name].where(up.index != ROW + 1, close) for name in (c.OPEN, c.HIGH)}
    return up.assign(**back)


WHOLE = len(candles()) - 1
AMOUNTS = (c.VOLUME, *c.OPTIONAL_CANDLE)
SURGE = dict.fromkeys(AMOUNTS, 5000.0)

BAD: dict[str, Bad] = {
    # Schema
    "a column left out": Bad("columns", lambda f: f.drop(columns=c.VOLUME), first=0),
    "a column renamed": Bad("columns", lambda f: f.rename(columns={c.VOLUME: "amount"}), first=0),
    "a column too many": Bad("columns", lambda f: f.assign(spread=0.0), first=0),
    "columns in another order": Bad("columns", lambda f: f[list(f.columns[::-1])], first=0),
    **{
        f"{kind}: {name} as text": Bad(f"{name} is float64", retyped(name, "str"), kind, first=0)
        for kind in GOOD
        for name in tables.table(kind).columns[1:]
    },
    "counts as integers": Bad("trades is float64", retyped(c.TRADES, "int64"), first=0),
    "times as numbers": Bad("time is UTC", retyped(c.TIMESTAMP, "int64"), first=-1),
    "times without a zone": Bad("time is UTC", zoned(None), first=-1),
    "times of Tokyo": Bad("time is UTC", zoned("Asia/Tokyo"), first=0),
    "times in nanoseconds": Bad("time is UTC", retyped(c.TIMESTAMP, "datetime64[ns, UTC]"), first=0),
    # Time
    "no time": Bad("time is there", without_time, first=-1),
    "the same row twice": Bad("time is not repeated", rows(slice(ROW + 1), slice(ROW, None)), first=ROW + 1),
    "two rows for one slot": Bad(
        "time is not repeated",
        then(rows(slice(ROW + 1), slice(ROW, None)), times(ROW, ROW, close=1.001, high=1.001)),
        first=ROW + 1,
    ),
    "an old row at the end": Bad("time increases", rows(slice(None), 5), first=WHOLE + 1),
    "a late row": Bad(
        "time increases",
        rows(slice(ROW), slice(ROW + 1, ROW + 3), slice(ROW, ROW + 1), slice(ROW + 3, None)),
        first=ROW + 2,
        also=also("one bar every 1h"),
    ),
    "jitter": Bad("time is on the grid", shifted(0.007)),
    "another timeframe": Bad("time is on the grid", shifted(1800)),
    "a missing bar": Bad("one bar every 1h", rows(slice(ROW), slice(ROW + 1, None)), first=ROW),
    "a missing day": Bad("one bar every 1h", rows(slice(ROW), slice(ROW + 24, None)), first=ROW),
    # Values
    **{f"no {name}": Bad(f"{name} is there", put(**{name: NAN})) for name in c.OHLCV},
    **{
        f"infinite {name}": Bad("values are finite", put(**{name: INF}))
        for name in (c.HIGH, c.VOLUME, c.QUOTE_VOLUME, c.TRADES)
    },
    "open of 0": Bad("open is positive", put(open=0.0), also=also("open is not below low")),
    "low of 0": Bad("low is positive", put(low=0.0)),
    "low below 0": Bad("low is positive", put(low=-1.0)),
    "close below 0": Bad("close is positive", put(close=-1.0), also=also("close is not below low")),
    "high below 0": Bad(
        "high is positive",
        put(high=-1.0),
        also=also("high is not below low", "high is not below open", "high is not below close"),
    ),
    "volume below 0": Bad("volume is not negative", put(volume=-1.0, taker_buy_volume=NAN)),
    "quote volume below 0": Bad(
        "quote_volume is not negative", put(quote_volume=-1.0, taker_buy_quote_volume=NAN)
    ),
    "trades below 0": Bad("trades is not negative", put(trades=-1.0)),
    "takers below 0": Bad("taker_buy_volume is not negative", put(taker_buy_volume=-1.0)),
    "takers' quote below 0": Bad(
        "taker_buy_quote_volume is not negative", put(taker_buy_quote_volume=-1.0)
    ),
    "half a trade": Bad("trades are whole", put(trades=12.5)),
    # Order
    "high below low": Bad(
        "high is not below low",
        put(low=BAR[c.HIGH] + 1),
        also=also("open is not below low", "close is not below low"),
    ),
    "high below open": Bad("high is not below open", put(open=BAR[c.HIGH] + 1)),
    "high below close": Bad("high is not below close", put(high=MIDDLE)),
    "low above open": Bad("open is not below low", put(low=MIDDLE)),
    "low above close": Bad(
        "close is not below low",
        put(open=BAR[c.HIGH], low=(BAR[c.HIGH] + BAR[c.CLOSE]) / 2),
    ),
    "takers above volume": Bad(
        "volume is not below taker_buy_volume",
        put(taker_buy_volume=BAR[c.VOLUME] * 1.2, taker_buy_quote_volume=NAN),
    ),
    "takers above quote volume": Bad(
        "quote_volume is not below taker_buy_quote_volume",
        put(taker_buy_quote_volume=BAR[c.QUOTE_VOLUME] * 1.2, taker_buy_volume=NAN),
    ),
    # Units
    "quote volume in coins": Bad(
        "quote_volume fits volume", times(quote_volume=1e-5, taker_buy_quote_volume=1e-5),
        also=also("taker_buy_quote_volume fits taker_buy_volume"),
    ),
    "volume in contracts": Bad("quote_volume fits volume", times(volume=100.0)),
    "takers in contracts": Bad(
        "taker_buy_quote_volume fits taker_buy_volume", times(taker_buy_quote_volume=0.5)
    ),
    # Moves
    "prices of another coin": Bad("price jump is plausible", leapt),
    "a spike": Bad("price does not spike and return", spiked),
    "a wrong open": Bad("open follows the close before", put(open=BAR[c.OPEN] * 1.5, high=BAR[c.OPEN] * 1.6)),
    "a wrong high": Bad("wicks are plausible", times(high=10.0)),
    "a wrong low": Bad("wicks are plausible", times(low=0.1)),
    "a surge of volume": Bad("volume is plausible", times(**SURGE)),
    # Feed
    "absent volume as 0": Bad(
        "no volume, no move",
        put(**dict.fromkeys(AMOUNTS, 0.0)),
        also=also("trading goes on"),
    ),
    "two equal bars": Bad("rows differ", frozen(2), first=ROW + 1, severity="warn"),
    "a frozen feed": Bad("feed is not frozen", frozen(5), first=ROW + 3, also=also("rows differ")),
    "an hour's outage": Bad("trading goes on", silent(1), severity="warn"),
    "a dead feed": Bad("feed is not silent", silent(13), first=ROW + 11, also=also("trading goes on")),
    # Funding
    "funding: no rate": Bad("funding_rate is there", put(funding_rate=NAN), "funding"),
    "funding: percent": Bad("funding_rate is plausible", put(funding_rate=-0.05), "funding"),
    "funding: infinite": Bad("funding_rate is plausible", put(funding_rate=INF), "funding"),
    "funding: missing": Bad("no settlement is missing", rows(slice(ROW), slice(ROW + 1, None)), "funding"),
    "funding: odd gap": Bad(
        "settlements keep a schedule",
        lambda f: shifted(-3600)(funding(every_h=4)),
        "funding",
        severity="warn",
    ),
    "funding: half past": Bad("time is on the grid", shifted(1800), "funding"),
    "funding: repeated": Bad(
        "time is not repeated", rows(slice(ROW + 1), slice(ROW, None)), "funding", first=ROW + 1
    ),
    "funding: old row": Bad("time increases", rows(slice(None), 5), "funding", first=60),
    "funding: a column left out": Bad("columns", lambda f: f[[c.TIMESTAMP]], "funding", first=0),
    # Open interest
    "marks: none": Bad("open_interest is there", put(open_interest=NAN), "open_interest"),
    "marks: below 0": Bad("open_interest is not negative", put(open_interest=-1.0), "open_interest"),
    "marks: worth below 0": Bad(
        "open_interest_value is not negative", put(open_interest_value=-1.0), "open_interest"
    ),
    "marks: infinite": Bad("values are finite", put(open_interest_value=INF), "open_interest"),
    "marks: in contracts": Bad(
        "open_interest jump is plausible",
        times(ROW, WHOLE, open_interest=100.0, open_interest_value=100.0),
        "open_interest",
    ),
    "marks: worth in coins": Bad(
        "implied price jump is plausible", times(ROW, WHOLE, open_interest_value=1e-4), "open_interest"
    ),
    "marks: missing": Bad("one row every hour", rows(slice(ROW), slice(ROW + 1, None)), "open_interest"),
    "marks: at a standstill": Bad("rows differ", frozen(4), "open_interest", first=ROW + 3, severity="warn"),
    "marks: frozen": Bad(
        "feed is not frozen", frozen(12), "open_interest", first=ROW + 11, also=also("rows differ")
    ),
    # Taker volume
    "takers: none": Bad("taker_sell_volume is there", put(taker_sell_volume=NAN), "taker_volume"),
    "takers: below 0": Bad("taker_buy_volume is not negative", put(taker_buy_volume=-1.0), "taker_volume"),
    "takers: no buys": Bad("taker_buy_volume is there", put(taker_buy_volume=NAN), "taker_volume"),
    "takers: sales below 0": Bad(
        "taker_sell_volume is not negative", put(taker_sell_volume=-1.0), "taker_volume"
    ),
    "takers: infinite": Bad("values are finite", put(taker_buy_volume=INF), "taker_volume"),
    "takers: surge": Bad("volume is plausible", times(taker_buy_volume=5000.0), "taker_volume"),
    "takers: frozen": Bad(
        "feed is not frozen", frozen(4), "taker_volume", first=ROW + 3, also=also("rows differ")
    ),
    "takers: silent": Bad(
        "feed is not silent",
        times(ROW, ROW + 12, taker_buy_volume=0.0, taker_sell_volume=0.0),
        "taker_volume",
        first=ROW + 11,
        also=also("trading goes on"),
    ),
    "takers: missing": Bad("one row every hour", rows(slice(ROW), slice(ROW + 1, None)), "taker_volume"),
}  # fmt: skip


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Verdict]]:
    """The quarantine and the verdict on each bad batch, and on a good one of each kind among them."""
    quarantine = tmp_path_factory.mktemp("quarantine")
    verdicts: dict[str, Verdict] = {}
    for kind in GOOD:
        spoiled = [batch(kind, name, bad.spoil) for name, bad in BAD.items() if bad.kind == kind]
        verdicts |= validate(kind, [*spoiled, batch(kind, f"good {kind}")], PARAMS, quarantine)
    return quarantine, verdicts


@pytest.mark.parametrize("name", BAD)
def test_a_bad_batch_is_caught_by_its_rule_alone(name: str, judged: tuple[Path, dict[str, Verdict]]):
    bad, (_, verdicts) = BAD[name], judged
    found = {failure.rule: failure for failure in verdicts[name].failures}
    assert set(found) == {bad.rule, *bad.also}
    failure = found[bad.rule]
    frame = batch(bad.kind, name, bad.spoil).frame
    assert failure.first_timestamp == (None if bad.first < 0 else time_of(frame, bad.first))
    assert failure.severity == bad.severity
    assert failure.rows >= 1 and 1 <= len(failure.sample_rows) <= 5


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_lies_in_quarantine_with_its_report(
    name: str, judged: tuple[Path, dict[str, Verdict]]
):
    bad, (quarantine, verdicts) = BAD[name], judged
    verdict = verdicts[name]
    stops = any(failure.severity == "stop" for failure in verdict.failures)
    assert verdict.accepted != stops
    if verdict.accepted:
        assert verdict.report is None and not (quarantine / name).exists()
        return
    assert verdict.report is not None
    assert verdict.report.parent == quarantine / name / bad.kind
    report = json.loads((verdict.report / "report.json").read_text(), parse_constant=pytest.fail)
    assert (report["symbol"], report["kind"]) == (name, bad.kind)
    assert {one["rule"] for one in report["failures"]} == {bad.rule, *bad.also}
    assert bad.rule in (verdict.report / "report.md").read_text()
    kept = pd.read_parquet(verdict.report / "batch.parquet")
    assert len(kept) == len(batch(bad.kind, name, bad.spoil).frame)


def test_every_rule_has_a_batch_that_breaks_it():
    by_key = {rule.name: key for key, found in every_rule(PARAMS).items() for _, rule in found}
    demanded = {
        "rows are there",
        "newest row is fresh",
        "history is long enough",
        "history is of good length",
        "close agrees with the other venue",
    }
    assert {by_key[bad.rule] for bad in BAD.values()} == set(every_rule(PARAMS)) - demanded
    assert len(BAD) > 30


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_batch_among_bad_ones_is_accepted(kind: str, judged: tuple[Path, dict[str, Verdict]]):
    assert judged[1][f"good {kind}"] == Verdict(True, (), None)


def test_data_docs_have_a_page_for_each_refused_batch(judged: tuple[Path, dict[str, Verdict]]):
    quarantine, verdicts = judged
    index = (quarantine / "data_docs" / "index.html").read_text()
    refused = [name for name, verdict in verdicts.items() if not verdict.accepted]
    pages = list((quarantine / "data_docs" / "validations").rglob("*.html"))
    assert len(pages) == len(refused) == index.count("<a href=")
    page = next(page for page in pages if page.parts[-4] == "a spike-1h").read_text()
    assert "price does not spike and return" in page and time_of(candles(), ROW) in page


def test_the_message_says_all_that_a_log_reader_needs(judged: tuple[Path, dict[str, Verdict]]):
    verdict = judged[1]["volume below 0"]
    message = verdict.message("BTCUSDT", "1h")
    for part in (
        "BTCUSDT 1h refused",
        "rule 'volume is not negative' (stop) broken by 1 row(s)",
        f"first at {time_of(candles(), ROW)}",
        "volume -1.0",
        str(verdict.report),
        "Next: pull the interval again",
        "validation.severity",
    ):
        assert part in message
    warned = judged[1]["an hour's outage"].message("BTCUSDT", "1h")
    assert "accepted with warnings" in warned and "(warn)" in warned and "Next" not in warned
    assert judged[1]["good 1h"].message("BTCUSDT", "1h") == "BTCUSDT 1h: every rule holds."


def one(batches: Batch | list[Batch], quarantine: Path, kind: tables.Kind = "1h", **more: object) -> Verdict:
    listed = batches if isinstance(batches, list) else [batches]
    params = more.pop("params", PARAMS)
    (verdict,) = validate(kind, listed, params, quarantine, **more).values()  # type: ignore[arg-type]
    return verdict


def broken(verdict: Verdict) -> set[str]:
    return {failure.rule for failure in verdict.failures}


def test_accepted_batches_leave_nothing_behind(tmp_path: Path):
    assert one(batch("1h"), tmp_path / "quarantine").accepted
    assert one(batch("1h", spoil=silent(2)), tmp_path / "quarantine").accepted
    assert not (tmp_path / "quarantine").exists()


def test_rows_of_the_past_are_never_judged(tmp_path: Path):
    good = batch("1h")
    worse = good.context.assign(volume=-1.0, high=1.0, trades=0.5)
    assert one(good._replace(context=worse), tmp_path) == Verdict(True, (), None)


def test_a_hole_between_the_past_and_the_batch_is_not_the_batchs(tmp_path: Path):
    good = batch("1h")
    assert one(good._replace(context=good.context.iloc[:-9]), tmp_path).accepted
    paid = batch("funding")
    assert one(paid._replace(context=paid.context.iloc[:-9]), tmp_path, "funding").accepted


def test_the_past_shows_what_the_batch_alone_does_not(tmp_path: Path):
    spoiled = batch("1h", spoil=lambda f: times(0, WHOLE, **SURGE)(f))
    assert broken(one(spoiled, tmp_path)) == {"volume is plausible"}
    alone = spoiled._replace(context=candles(hours=0))
    assert one(alone, tmp_path).accepted  # nothing to compare with


def test_more_past_than_needed_changes_no_verdict(tmp_path: Path):
    start = START - pd.Timedelta(hours=300)
    spoiled = batch("1h", spoil=then(leapt, put(volume=-1.0)))
    long = spoiled._replace(context=candles(hours=300, start=start))
    assert len(long.context) > CONTEXT_ROWS
    assert one(long, tmp_path).failures == one(spoiled, tmp_path).failures


def test_stretches_of_a_symbol_are_judged_apart_and_share_a_verdict(tmp_path: Path):
    frame = candles()
    nothing = frame.head(0)
    around_a_hole = [Batch("BTCUSDT", frame.iloc[:20], nothing), Batch("BTCUSDT", frame.iloc[30:], nothing)]
    assert one(around_a_hole, tmp_path).accepted
    worse = [part._replace(frame=part.frame.assign(trades=0.5)) for part in around_a_hole]
    verdict = one(worse, tmp_path)
    assert verdict.failures[0].rows == 62
    assert verdict.failures[0].first_timestamp == time_of(frame, 0)


def test_no_rows_are_nothing_to_judge(tmp_path: Path):
    nothing = Batch("BTCUSDT", candles(hours=0), candles())
    assert one(nothing, tmp_path) == Verdict(True, (), None)
    assert validate("1h", [], PARAMS, tmp_path) == {}


def test_a_past_of_another_kind_is_refused_at_once(tmp_path: Path):
    with pytest.raises(DataError, match="BTCUSDT: rows before a batch must have columns"):
        one(batch("1h")._replace(context=funding()), tmp_path)


def test_severity_is_a_parameter(tmp_path: Path):
    spoiled = batch("1h", spoil=rows(slice(ROW), slice(ROW + 1, None)))
    lenient = PARAMS.model_copy(update={"severity": {"one bar every step": "warn"}})
    assert not one(spoiled, tmp_path).accepted
    accepted = one(spoiled, tmp_path, params=lenient)
    assert accepted.accepted and accepted.failures[0].severity == "warn"
    strict = PARAMS.model_copy(update={"severity": {"trading goes on": "stop"}})
    assert not one(batch("1h", spoil=silent(1)), tmp_path, params=strict).accepted


def test_severity_of_an_unknown_rule_is_refused_with_the_list(tmp_path: Path):
    wrong = PARAMS.model_copy(update={"severity": {"price is right": "warn"}})
    with pytest.raises(ConfigError, match=r"do not exist: \['price is right'\].*'price jump is plausible'"):
        one(batch("1h"), tmp_path, params=wrong)


def test_bounds_are_parameters(tmp_path: Path):
    tight = PARAMS.model_copy(update={"max_wick": 1e-4, "sigmas": 0.01})
    assert "wicks are plausible" in broken(one(batch("1h"), tmp_path, params=tight))


def test_a_batch_that_ends_too_early_is_stale(tmp_path: Path):
    end = START + pd.Timedelta(hours=72)
    assert one(batch("1h"), tmp_path, fresh_until=end).accepted
    late = one(batch("1h"), tmp_path, fresh_until=end + pd.Timedelta(hours=3))
    assert broken(late) == {"newest row is fresh"}
    assert late.failures[0].sample_rows[0]["behind_h"] == 3.0
    assert one(batch("funding"), tmp_path, "funding", fresh_until=START + pd.Timedelta(days=20)).accepted
    nothing = Batch("BTCUSDT", candles(hours=0), candles())
    assert broken(one(nothing, tmp_path, fresh_until=end)) == {"rows are there"}


@pytest.mark.parametrize(("days", "failing"), [(5, 2), (10, 1), (15, 0)])
def test_a_whole_history_should_be_long_enough(days: int, failing: int, tmp_path: Path):
    history = Batch("BTCUSDT", candles(hours=24 * days), candles(hours=0))
    verdict = one(history, tmp_path, whole_history=True)
    both = [("history is long enough", "stop"), ("history is of good length", "warn")]
    assert [(one.rule, one.severity) for one in verdict.failures] == both[2 - failing :]
    assert verdict.accepted == (days >= 7)


def test_venues_that_disagree_are_named(tmp_path: Path):
    reference = candles()
    assert one(batch("1h"), tmp_path, references={"BTCUSDT": reference}, venue="bybit").accepted
    apart = times(close=1.5)(reference)
    verdict = one(batch("1h"), tmp_path, references={"BTCUSDT": apart}, venue="bybit")
    assert broken(verdict) == {"close agrees with bybit"}
    assert verdict.failures[0].first_timestamp == time_of(reference, ROW)
    only_elsewhere = {"BTCUSDT": reference.assign(timestamp=reference[c.TIMESTAMP] + pd.Timedelta(days=90))}
    assert one(batch("1h"), tmp_path, references=only_elsewhere).accepted


def test_odd_frames_are_refused_not_crashed_on(tmp_path: Path):
    frame = candles()
    twice = pd.concat([frame, frame[[c.CLOSE]]], axis=1)
    mixed = frame.assign(close=[None, "a", *frame[c.CLOSE].iloc[2:]])
    for odd in (twice, mixed, pd.DataFrame(), frame.head(0).drop(columns=c.OPEN)):
        verdict = one(Batch("BTCUSDT", odd, frame.head(0)), tmp_path)
        assert not verdict.accepted and verdict.report is not None
        assert len(pd.read_parquet(verdict.report / "batch.parquet")) == len(odd)


def test_a_refused_batch_replaces_the_earlier_one_and_data_docs_keep_both(tmp_path: Path):
    first = one(batch("1h", spoil=put(volume=-1.0)), tmp_path)
    again = one(batch("1h", spoil=put(trades=0.5)), tmp_path)
    assert first.report == again.report and again.report is not None
    report = json.loads((again.report / "report.json").read_text())
    assert [failure["rule"] for failure in report["failures"]] == ["trades are whole"]
    assert (tmp_path / "data_docs" / "index.html").read_text().count("<a href=") == 2
    assert [path.name for path in again.report.parent.iterdir()] == [again.report.name]


def test_what_a_killed_run_left_does_not_hurt_the_next(tmp_path: Path):
    one(batch("1h", spoil=put(volume=-1.0)), tmp_path)
    (page,) = (tmp_path / "data_docs" / "results").rglob("*.json")
    page.with_name(f"{page.name}.part").write_text('{"half')
    (tmp_path / "data_docs" / "index.html.part").write_text("<html")
    one(batch("1h", spoil=put(trades=0.5)), tmp_path)
    assert (tmp_path / "data_docs" / "index.html").read_text().count("<a href=") == 2


def refuse(quarantine: Path, symbol: str, runs: int) -> None:
    for run in range(runs):
        assert not one(batch("1h", f"{symbol}{run}", put(volume=-1.0)), quarantine).accepted


def test_two_processes_at_once_lose_no_page(tmp_path: Path):
    other = multiprocessing.get_context("fork").Process(target=refuse, args=(tmp_path, "THEIRS", 3))
    other.start()
    refuse(tmp_path, "OURS", 3)
    other.join(60)
    assert other.exitcode == 0
    assert (tmp_path / "data_docs" / "index.html").read_text().count("<a href=") == 6


@pytest.mark.parametrize("world", worlds.SYNTHETIC)
def test_years_of_every_coin_of_the_worlds_pass(world: str, tmp_path: Path):
    end = pd.Timestamp("2026-10-01", tz="UTC")
    bars = {coin: worlds.bars(world, coin, worlds.WORLD_START, end, 7) for coin in worlds.COINS}
    assert len(bars) == 10
    for kind, names in (("1h", c.CANDLE), ("funding", c.FUNDING)):
        frames = {coin: whole[list(names)] for coin, whole in bars.items()}
        if kind == "funding":
            frames = {coin: frame.dropna(ignore_index=True) for coin, frame in frames.items()}
        batches = [Batch(coin, frame, frame.head(0)) for coin, frame in frames.items()]
        verdicts = validate(kind, batches, PARAMS, tmp_path, whole_history=True)
        assert {coin: verdict.failures for coin, verdict in verdicts.items() if verdict.failures} == {}


@pytest.mark.parametrize(
    ("kind", "days"),
    [("1m", 20), ("15m", 200), ("4h", 1000), ("1d", 1000), ("open_interest", 500), ("taker_volume", 500)],
)
def test_other_tables_of_the_worlds_pass(kind: tables.Kind, days: int, tmp_path: Path):
    venue = open_venue(7, None)
    first = int(worlds.WORLD_START.timestamp() * 1000)
    read = venue.bars if tables.is_candles(kind) else venue.series
    for world in worlds.SYNTHETIC:
        frames = {
            coin: read(world, coin, kind, first, first + days * 86_400_000)
            for coin in ("BTCUSDT", "DOGEUSDT")
        }
        batches = [Batch(coin, frame, frame.head(0)) for coin, frame in frames.items()]
        verdicts = validate(kind, batches, PARAMS, tmp_path)
        assert {coin: verdict.failures for coin, verdict in verdicts.items() if verdict.failures} == {}


@st.composite
def random_walks(draw: st.DrawFn) -> pd.DataFrame:
    """Candles whose closes are a random walk of any usual volatility, price and volume."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, sigma = draw(st.integers(2, 200)), draw(st.floats(1e-4, 0.03))
    price, size = draw(st.floats(1e-6, 1e6)), draw(st.floats(1e-2, 1e9))
    close = price * np.exp(np.cumsum(sigma * generator.standard_normal(count)))
    open_ = np.concatenate([[price], close[:-1]])
    top, bottom = np.maximum(open_, close), np.minimum(open_, close)
    high = top * np.exp(sigma * generator.random(count))
    low = bottom * np.exp(-sigma * generator.random(count))
    volume = size * np.exp(generator.standard_normal(count))
    share = generator.random(count)
    values = (open_, high, low, close, volume, volume * (open_ + close) / 2, np.ceil(volume), share * volume)
    frame = pd.DataFrame(dict(zip(c.CANDLE[1:], values)))
    frame.insert(0, c.TIMESTAMP, pd.date_range(START, periods=count, freq="h", unit="ms"))
    worth = frame[c.TAKER_BUY_VOLUME] * frame[c.OPEN].where(frame[c.OPEN] < frame[c.CLOSE], frame[c.CLOSE])
    return frame.assign(**{c.TAKER_BUY_QUOTE_VOLUME: worth})


@settings(max_examples=4, deadline=None)
@given(walks=st.lists(random_walks(), min_size=1, max_size=12))
def test_any_good_random_walk_passes(walks: list[pd.DataFrame]):
    batches = [Batch(str(number), walk, walk.head(0)) for number, walk in enumerate(walks)]
    verdicts = validate("1h", batches, PARAMS, Path("/nonexistent"))
    assert [verdict.failures for verdict in verdicts.values()] == [()] * len(walks)


SPOILS = [
    put(volume=-1.0), put(close=NAN), put(high=INF), leapt, spiked, frozen(6), silent(14), shifted(7),
    rows(slice(ROW), slice(ROW + 2, None)), rows(slice(ROW + 1), slice(ROW, None)), times(**SURGE),
    times(low=0.1),
]  # fmt: skip


@settings(max_examples=4, deadline=None)
@given(
    cases=st.lists(
        st.tuples(st.lists(st.sampled_from(SPOILS), min_size=1, max_size=3), st.integers(1, 71)),
        min_size=1,
        max_size=6,
    )
)
def test_cutting_off_later_rows_changes_no_verdict_on_earlier_ones(
    cases: list[tuple[list[Spoil], int]], tmp_path_factory: pytest.TempPathFactory
):
    batches = []
    for number, (spoils, cut) in enumerate(cases):
        whole = batch("1h", f"whole {number}", then(*spoils))
        batches += [whole, whole._replace(symbol=f"cut {number}", frame=whole.frame.iloc[:cut])]
    verdicts = validate("1h", batches, PARAMS, tmp_path_factory.mktemp("quarantine"))
    for number, (_, cut) in enumerate(cases):
        end = time_of(batches[2 * number].frame, cut - 1)
        known = {
            name: {failure.rule: failure.first_timestamp for failure in verdicts[f"{name} {number}"].failures}
            for name in ("whole", "cut")
        }
        seen = {rule: first for rule, first in known["whole"].items() if first is not None and first <= end}
        ahead = {"price does not spike and return"}  # looks one bar ahead
        assert {rule: first for rule, first in seen.items() if rule not in ahead} == {
            rule: first for rule, first in known["cut"].items() if rule not in ahead
        }
