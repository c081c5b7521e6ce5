"""Truths about what a pull says it did."""

from pathlib import Path

from tests.market.conftest import utc
from xrl.market.outcome import Outcome, described
from xrl.market.spans import Span

HOLE = Span(utc("2024-05-30 05:00"), utc("2024-05-30 08:00"))


def test_a_good_pull_says_what_is_new_in_one_sentence():
    outcome = Outcome("BTCUSDT", {"funding": 3, "open_interest": 24, "taker_volume": 24, "1h": 24})
    assert outcome.complete
    assert outcome.sentences() == [
        "BTCUSDT: 3 funding rates, 24 open-interest marks, 24 taker volumes, 24 candles are new"
    ]


def test_everything_else_has_a_sentence_of_its_own():
    outcome = Outcome(
        "BTCUSDT",
        {"15m": 0},
        corrected=2,
        duplicates=5,
        missing={"1h": [HOLE]},
        holes={"funding": [HOLE]},
        unavailable={"taker_volume": "it is not published"},
        refused=["refused"],
        warnings=["warned"],
        mended=[Path("/bad/2024-05-abc.parquet")],
        failures=["failed"],
    )
    said = outcome.sentences()
    assert said[0] == "BTCUSDT: 0 15m candles are new"
    assert said[1] == "5 repeated row(s) were removed"
    assert said[2] == "2 stored row(s) were corrected by the venue"
    assert "/bad/2024-05-abc.parquet" in said[3]
    assert said[4] == "it is not published"
    assert said[5].startswith("3 candles (2024-05-30 05:00 to 2024-05-30 07:00) are missing: ")
    assert (
        said[6]
        == "funding rates (2024-05-30 05:00 to 2024-05-30 07:00) outside this interval are missing still"
    )
    assert said[7:] == ["warned", "refused", "failed"]


def test_only_what_is_refused_failed_or_missing_makes_it_incomplete():
    assert Outcome("A", {}, warnings=["warned"], unavailable={"funding": "no"}, holes={"1h": [HOLE]}).complete
    assert not Outcome("A", {}, refused=["refused"]).complete
    assert not Outcome("A", {}, failures=["failed"]).complete
    assert not Outcome("A", {}, missing={"1h": [HOLE]}).complete
    assert Outcome("A", {}, missing={"1h": [HOLE]}, tolerated=frozenset({"1h"})).complete
    assert not Outcome("A", {}, missing={"1h": [HOLE]}, tolerated=frozenset({"funding"})).complete


def test_many_spans_are_counted_and_the_first_shown():
    many = [Span(utc(f"2024-05-0{day}"), utc(f"2024-05-0{day} 01:00")) for day in range(1, 6)]
    assert described("1h", many) == (
        "5 candles (2024-05-01 00:00, 2024-05-02 00:00, 2024-05-03 00:00 and 2 more spans)"
    )
