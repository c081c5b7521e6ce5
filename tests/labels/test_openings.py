import json
from dataclasses import replace

import pytest

from xrl.errors import DataError
from xrl.labels.openings import Opening, append, read

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


def test_openings_are_read_back_in_order_and_chained(log):
    one, two = append(log, FIRST), append(log, replace(FIRST, reason="again"))
    found, newest = read(log)
    assert [opening.reason for opening in found] == ["the paper is written", "again"]
    assert found[0] == FIRST
    assert newest == two.hash
    assert [json.loads(line)["previous"] for line in log.read_text().splitlines()] == ["0" * 64, one.hash]


def test_a_second_opening_of_the_same_days_is_told(log):
    assert append(log, FIRST).earlier == ()
    assert append(log, replace(FIRST, recipe="ef" * 32)).earlier == (FIRST,)


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"start": "2025-12-01T00:00:00+00:00", "end": "2026-03-01T00:00:00+00:00"}, True),  # a later as_of
        ({"start": "2026-01-01T00:00:00+00:00", "end": "2026-03-01T00:00:00+00:00"}, False),
        ({"start": "2026-01-01T01:00:00+02:00", "end": "2026-03-01T00:00:00+00:00"}, True),  # 23:00 UTC
        ({"market": "okx_perp"}, False),
    ],
)
def test_days_are_seen_if_any_earlier_opening_showed_them(log, changes, seen):
    append(log, FIRST)
    assert append(log, replace(FIRST, **changes)).earlier == ((FIRST,) if seen else ())


def test_a_log_is_only_ever_added_to(log):
    append(log, FIRST)
    before = log.read_bytes()
    append(log, FIRST)
    assert log.read_bytes().startswith(before)


@pytest.mark.parametrize("damage", ["changed", "left out", "swapped", "no JSON", "a stranger"])
def test_a_damaged_log_opens_nothing(log, damage):
    for reason in ("one", "two", "three"):
        append(log, replace(FIRST, reason=reason))
    lines = log.read_text().splitlines()
    broken = {
        "changed": [lines[0], lines[1].replace("two", "2"), lines[2]],
        "left out": [lines[0], lines[2]],
        "swapped": [lines[1], lines[0], lines[2]],
        "no JSON": [lines[0], "{", lines[2]],
        "a stranger": [lines[0], "{}", lines[2]],
    }[damage]
    log.write_text("\n".join(broken) + "\n")
    with pytest.raises(DataError, match=r"line [12]: it was changed"):
        append(log, FIRST)
    assert log.read_text().splitlines() == broken
