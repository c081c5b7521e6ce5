from xml.etree import ElementTree

import numpy as np
import pytest

from xrl.labels import drawing
from xrl.labels.lanes import STATES, Drawn, Lane

SVG = "{http://www.w3.org/2000/svg}"
NONE = {"bars": 0, "sell": 0.0, "hold": 0.0, "buy": 0.0}


def lane(name, runs, **shares):
    """A lane of (state, hours) runs."""
    state = np.repeat([STATES.index(known) for known, _ in runs], [hours for _, hours in runs]).astype(
        np.int8
    )
    bars = {known: int((state == i).sum()) for i, known in enumerate(STATES)}
    return Lane(name, state, bars, **{"train": NONE, "test": NONE, **shares})


@pytest.fixture
def drawn():
    """84 days of hours: one day to a cell. Purge and embargo share the day before the test span."""
    runs = [
        ("training", 960),
        ("purged", 12),
        ("embargo", 12),
        ("test", 480),
        ("unused", 384),
        ("holdout", 168),
    ]
    train = {"bars": 960, "sell": 0.25, "hold": 0.5, "buy": 0.25}
    moments = np.datetime64("2025-01-01", "ms") + np.arange(2016) * np.timedelta64(3_600_000, "ms")
    bare = [("training", 1992), ("purged", 24)]
    return Drawn(moments, (lane("fold 0", runs, train=train), lane("refit", bare)))


def test_a_lane_is_a_line_of_one_mark_a_day(drawn):
    lines = drawing.text(drawn).splitlines()
    assert lines[2] == "fold 0     " + "=" * 40 + "x" + "#" * 20 + "." * 16 + "H" * 7
    assert lines[3] == "refit      " + "=" * 83 + "p"


def test_dates_stand_above_their_ticks(drawn):
    dates, ticks = drawing.text(drawn).splitlines()[:2]
    assert dates.index("2025-01-15") == ticks.index("|", 12) == 11 + 14


def test_the_table_tells_bars_and_shares(drawn):
    fold, refit = drawing.text(drawn).splitlines()[-2:]
    assert fold.split() == [
        "fold", "0", "2025-01-01..2025-02-09", "960", "12", "12", "2025-02-11..2025-03-02", "480", "168",
        "25/50/25", "-",
    ]  # fmt: skip
    assert refit.split()[-3:] == ["0", "-", "-"]


def test_a_short_history_is_drawn_too():
    moments = np.datetime64("2025-01-01", "ms") + np.arange(3) * np.timedelta64(3_600_000, "ms")
    tiny = Drawn(moments, (lane("fold 0", [("training", 1), ("embargo", 1), ("test", 1)]),))
    line = drawing.text(tiny).splitlines()[2]
    assert "=" in line and "e" in line and "#" in line
    assert ElementTree.fromstring(drawing.svg(tiny, "tiny")).tag == f"{SVG}svg"


def test_the_picture_shows_every_state_where_it_is(drawn):
    root = ElementTree.fromstring(drawing.svg(drawn, "a market"))
    said = [one.text for one in root.iter(f"{SVG}title")]
    assert "fold 0: test, 2025-02-11..2025-03-03" in said
    assert "refit: purged, 2025-03-25..2025-03-25" in said
    bars = [one for one in root.iter(f"{SVG}rect") if one.find(f"{SVG}title") is not None]
    edges = [(float(one.get("x")), float(one.get("x")) + float(one.get("width"))) for one in bars]
    assert min(left for left, _ in edges) >= 80 and max(right for _, right in edges) <= 845
    assert all(right - left >= 0.1 for left, right in edges)
    assert root.findtext(f"{SVG}text") == "a market"


def test_the_same_lanes_give_the_same_picture(drawn):
    assert drawing.svg(drawn, "a") == drawing.svg(drawn, "a")
