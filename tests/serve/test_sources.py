"""Truths of context that a model was always given: a request without it is not answered."""

import pytest

from tests.serve import tiny
from xrl.errors import RequestError
from xrl.features import table
from xrl.features.coverage import FLAGS
from xrl.serve import sources
from xrl.serve.candles import Needs, Window, read_candles

NEEDS = Needs(tiny.SYMBOLS, tiny.REQUIRED_BARS, tiny.BAR_MS)
ALONE = {feature.name for feature in table.FEATURES if feature.source not in ("lead", "market")}
ALWAYS = ALONE - set(FLAGS.values())  # the flags never changed in training and were left out
DEMO = {name for name in ALWAYS if table.feature(name).source != "open_interest"}


def window(**changes: object) -> Window:
    return read_candles("BTCUSDT", {**tiny.newest(tiny.candles()), **changes}, NEEDS)


def ask(found: Window, inputs: set[str]) -> None:
    built = table.build(found.bars, found.timestamp.astype("datetime64[ms]"), tiny.CONFIG.features)
    sources.check(built, found, sources.needed(inputs, tiny.WINDOW))


def without(name: str, newest: int, keep: int = 0) -> list[float | None]:
    """The column with its `newest` values unknown, the last `keep` excepted."""
    values = list(tiny.newest(tiny.candles())[name])
    end = len(values) - keep
    values[end - newest : end] = [None] * newest
    return values


def test_complete_candles_are_answered() -> None:
    ask(window(), ALWAYS)


@pytest.mark.parametrize("name", ["taker_buy_volume", "funding_rate", "open_interest"])
def test_a_column_that_is_missing_is_named_with_what_to_send(name: str) -> None:
    with pytest.raises(RequestError, match=rf"`{name}` is missing: this model was trained.*; send "):
        ask(window(**{name: [None] * tiny.REQUIRED_BARS}), ALWAYS)


def test_what_training_did_not_have_is_not_asked_for() -> None:
    ask(window(open_interest=[None] * tiny.REQUIRED_BARS), DEMO)
    price_alone = {name for name in table.names() if table.feature(name).source not in FLAGS}
    candles = tiny.newest(tiny.candles())
    bare = {name: candles[name] for name in ("timestamp", "open", "high", "low", "close", "volume")}
    ask(read_candles("BTCUSDT", bare, NEEDS), price_alone)


def test_a_model_that_reads_the_flag_may_be_asked_without_the_source() -> None:
    ask(window(taker_buy_volume=[None] * tiny.REQUIRED_BARS), ALWAYS | {"taker_available"})


def test_a_gap_counts_as_far_back_as_a_feature_reaches() -> None:
    for keep in (0, 106):  # 60 bars of the window and 47 before its first
        with pytest.raises(RequestError, match=r"unknown in 1 of the newest 107"):
            ask(window(taker_buy_volume=without("taker_buy_volume", 1, keep)), DEMO)
    ask(window(taker_buy_volume=without("taker_buy_volume", 1, keep=107)), DEMO)


def test_funding_that_ended_a_day_ago_is_missing() -> None:
    with pytest.raises(RequestError, match=r"`funding_rate` is missing"):
        ask(window(funding_rate=without("funding_rate", 24)), DEMO)
    ask(window(funding_rate=without("funding_rate", 9)), DEMO)
