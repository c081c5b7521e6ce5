"""What looks ahead on a few bars only is found among the stored columns, every time; what does not, never."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xrl import columns as c
from xrl.config import Config, ContextParams, ExtraFeature, load_config
from xrl.features import table
from xrl.sandbox import worlds
from xrl.stages import leak_columns
from xrl.stages.features import build_all
from xrl.stages.stored_columns import Stored

_BASE = load_config(Path(__file__).parents[2] / "params.yaml")
START = pd.Timestamp("2025-01-01", tz="UTC")


def own(name: str, function: str, **params: object) -> ExtraFeature:
    return ExtraFeature(
        name=name, function=f"tests.features.peeks:{function}", inputs=("close",), params=params,
        group="pattern", window=66, warmup=61,
    )  # fmt: skip


def asked(*extra: ExtraFeature, context: ContextParams | None = None) -> Config:
    """params.yaml with users' columns that nobody has tried."""
    changes = {"extra": extra} | ({} if context is None else {"context": context})
    return _BASE.model_copy(update={"features": _BASE.features.model_copy(update=changes)})


def history(seed: int, symbols: tuple[str, ...] = ("BTCUSDT",), hours: int = 800) -> pd.DataFrame:
    """Later symbols begin 150 hours later."""
    end = START + pd.Timedelta(hours=hours)
    world = ("planted", "random_walk")[seed % 2]
    parts = [
        worlds.bars(world, symbol, START + k * pd.Timedelta(hours=150), end, seed).assign(
            **{c.SYMBOL: symbol}
        )
        for k, symbol in enumerate(symbols)
    ]
    return pd.concat(parts, ignore_index=True)[[c.SYMBOL, *c.BAR]]


def stored(config: Config, bars: pd.DataFrame, names: tuple[str, ...]) -> Stored:
    """The columns `names` as stage `features` would have written them, without the trial."""
    features = table.declared(config.features)
    values = build_all(bars, config)[:, table.positions(names, features)]
    return Stored(config, bars, names, values, features, np.empty(0, np.int64))


@pytest.mark.parametrize("seed", range(24))
def test_columns_that_rarely_peek_are_found_every_time_and_rare_ones_that_do_not_pass(seed: int) -> None:
    peeks = own("leap_ahead", "peek", of="leap", k=1 + seed % 5), own("still_ahead", "peek", of="still")
    bars = history(seed)
    extra = (*peeks, own("leap", "leap"), own("still", "still"), own("once", "once"))
    found = stored(asked(*extra), bars, tuple(one.name for one in extra))
    assert (np.nansum(found.values[:, :4], axis=0) > 0).all()
    moved = leak_columns.compare(found, []).moved
    assert moved["leap"] == moved["still"] == 0.0
    assert min(moved["leap_ahead"], moved["still_ahead"]) > 1.0
    if told_by_its_past(bars, int(np.nanargmax(found.values[:, -1]))):
        assert moved["once"] > 1.0


@pytest.mark.parametrize("seed", range(24))
def test_a_column_of_ordinary_numbers_that_rarely_peeks_is_found_every_time(seed: int) -> None:
    """On some three bars of 1600, of two symbols."""
    middle = own("own", "middle", width=0.002).model_copy(
        update={"inputs": (c.CLOSE, c.HIGH, c.LOW), "window": 2, "warmup": 1}
    )
    bars = history(seed, ("BTCUSDT", "ETHUSDT"))
    position = (bars[c.CLOSE] - bars[c.LOW]) / (bars[c.HIGH] - bars[c.LOW])
    peeking = np.flatnonzero(np.abs(position - 0.5) < 0.002)
    last = bars.groupby(c.SYMBOL, sort=False).tail(1).index
    moved = leak_columns.compare(stored(asked(middle), bars, ("own",)), []).moved["own"]
    assert (moved > 1e-4) == bool(len(np.setdiff1d(peeking, last)))


def told_by_its_past(bars: pd.DataFrame, row: int) -> bool:
    """Whether the largest rise before `row` is one too; else nothing tells `once` from an honest column."""
    before = np.diff(np.log(bars[c.CLOSE]))[: row - 1]
    return row > 66 and before.max() >= 0.01 and before.argmax() >= 61


def test_one_peek_of_one_symbol_among_all_columns_is_named() -> None:
    """The window finds it, and the prefix of the moment says by how much; all columns share the windows."""
    config = asked(own("own", "peek", of="still"))
    bars = history(1, ("BTCUSDT", "ETHUSDT"))
    names = tuple(one.name for one in table.declared(config.features))
    found = leak_columns.compare(stored(config, bars, names), [])
    assert found.worst.column == "own"
    assert found.worst.difference > 1.0


def test_a_block_of_bars_that_is_not_closed_is_found() -> None:
    found = stored(asked(own("own", "unclosed")), history(0), ("own",))
    assert leak_columns.compare(found, []).worst.difference > 1.0


def test_windows_of_all_columns_and_symbols_raise_no_doubt_where_nothing_leaks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With other symbols, joined by time, of histories that begin at different times."""
    symbols = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    config = asked(own("own", "leap"), context=ContextParams(lead="ETHUSDT", market=symbols))
    names = tuple(one.name for one in table.declared(config.features))
    found = stored(config, history(0, symbols), names)
    compared = leak_columns.compare(found, [])
    assert compared.worst.difference == 0.0
    assert compared.bars > len(found.values) + 100 * config.experts.window_bars
    assert not caplog.records


def test_a_column_that_needs_more_bars_than_a_request_holds_is_told_and_is_no_leak(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What a window says otherwise for want of bars is the same to the bit in every prefix."""
    config = asked(own("own", "since_start"))
    found = stored(config, history(0), ("own",))
    assert leak_columns.compare(found, []).worst.difference == 0.0
    assert "own by" in caplog.text


@pytest.mark.parametrize("seed", range(3))
def test_every_window_in_doubt_is_decided(seed: int) -> None:
    """One that never settles is in doubt everywhere; what it knows of 40 bars later a prefix alone tells."""
    found = stored(asked(own("own", "far")), history(seed, hours=600), ("own",))
    assert leak_columns.compare(found, []).worst.difference > 0.0


def test_a_table_that_the_code_does_not_build_is_found_wherever_it_differs() -> None:
    config = asked(own("own", "leap"))
    for row in (70, 700, -1):
        found = stored(config, history(0), ("return_1",))
        found.values[row] += 1e-6
        assert leak_columns.compare(found, []).worst.difference > 1e-7
