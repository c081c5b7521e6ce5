from dataclasses import asdict, replace

import pytest

from xrl import chain
from xrl.errors import ConfigError, DataError
from xrl.labels.openings import Days, Opening, append, read, seen_before

FIRST = Opening(
    opened_at="2026-01-05T10:00:00+00:00",
    market="planted",
    start="2025-10-01T00:00:00+00:00",
    end="2026-01-01T00:00:00+00:00",
    bars=13_248,
    data="ab" * 32,
    kind="adaptive",
    recipe="cd" * 32,
    commit=None,
    reason="the paper is written",
)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "holdout" / "planted.jsonl"


def test_a_market_never_opened_has_an_empty_log(log):
    assert read(log) == ((), "0" * 64)
    assert not log.exists()


def test_openings_are_read_back_in_order(log):
    one, two = append(log, FIRST), append(log, replace(FIRST, reason="again"), again=True)
    found, newest = read(log)
    assert [opening.reason for opening in found] == ["the paper is written", "again"]
    assert found == (FIRST, two.opening)
    assert (newest, one.opening) == (two.hash, FIRST)


def test_days_that_were_seen_are_not_opened_again_whatever_the_recipe(log):
    assert append(log, FIRST).earlier == ()
    other = replace(FIRST, recipe="ef" * 32, reason="a better idea")
    with pytest.raises(
        ConfigError, match=r"opened before \(1\): 2026-01-05T10.*the paper is written.*`--again`"
    ):
        append(log, other)
    assert read(log)[0] == (FIRST,)


def test_said_again_they_are_opened_and_logged_as_seen(log):
    append(log, FIRST)
    entry = append(log, replace(FIRST, recipe="ef" * 32), again=True)
    assert entry.earlier == (FIRST,)
    assert entry.opening.again and ", AGAIN: " in entry.opening.sentence()
    assert read(log)[0][1].again


def test_again_says_nothing_of_days_that_nobody_saw(log):
    assert not append(log, FIRST, again=True).opening.again


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"start": "2025-12-01T00:00:00+00:00", "end": "2026-03-01T00:00:00+00:00"}, True),  # a later as_of
        ({"start": "2026-01-01T00:00:00+00:00", "end": "2026-03-01T00:00:00+00:00"}, False),
        ({"start": "2026-01-01T01:00:00+02:00", "end": "2026-03-01T00:00:00+00:00"}, True),  # 23:00 UTC
    ],
)
def test_days_are_seen_if_any_earlier_opening_showed_them(log, changes, seen):
    append(log, FIRST)
    days = Days(**{"market": "planted", "data": None, **changes})
    assert seen_before(log.parent, days) == ((FIRST,) if seen else ())


def test_a_renamed_market_is_known_by_its_bars(log):
    append(log, FIRST)
    renamed = replace(FIRST, market="planted_two")
    with pytest.raises(ConfigError, match=r"opened before \(1\)"):
        append(log.with_name("planted_two.jsonl"), renamed)
    assert append(log.with_name("okx_perp.jsonl"), replace(renamed, data="00" * 32)).earlier == ()


def test_a_line_of_before_there_was_a_second_time_is_read(log):
    """`again` came later; a log without it is no damaged one."""
    told = {name: value for name, value in asdict(FIRST).items() if name != "again"}
    chain.append(log, lambda before: told)
    assert read(log)[0] == (FIRST,)


@pytest.mark.parametrize("name", ["planted.jsonl", "okx_perp.jsonl"])
def test_while_any_log_is_damaged_nothing_is_opened(log, name):
    append(log, FIRST)
    text = log.read_text().replace("paper", "book")
    log.unlink()
    log.with_name(name).write_text(text)
    with pytest.raises(DataError, match="line 1: it was changed"):
        append(log, FIRST)


def test_a_line_that_is_no_opening_is_told(log):
    chain.append(log, lambda before: {"recipe": "ab"})
    with pytest.raises(DataError, match="no opening of a holdout"):
        read(log)
