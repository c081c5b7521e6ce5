"""Days that were opened as a holdout before are told beside a decision, loudly where that spoils a test."""

from dataclasses import replace
from pathlib import Path

import pytest

from xrl.labels import openings
from xrl.labels.openings import Opening
from xrl.registry.used import LOUD, notes

LINEAGE = {
    "market": "planted",
    "data": {"first": "2024-01-01T00:00:00+00:00", "last": "2025-12-31T23:00:00+00:00"},
    "holdout": {
        "start": "2025-10-01T00:00:00+00:00",
        "end": "2026-01-01T00:00:00+00:00",
        "data": "ab" * 32,
    },
}
OPENED = Opening(
    opened_at="2026-01-05T10:00:00+00:00",
    market="planted",
    start="2025-11-01T00:00:00+00:00",
    end="2026-02-01T00:00:00+00:00",
    bars=100,
    data="cd" * 32,
    kind="adaptive",
    recipe="ef" * 32,
    commit=None,
    reason="the paper is written",
)
EARLIER = {"start": "2024-06-01T00:00:00+00:00", "end": "2024-09-01T00:00:00+00:00"}


def told(folder: Path, recipe: str = "01" * 32, **changes: str) -> tuple[str, ...]:
    opened = replace(OPENED, **changes)
    openings.append(folder / f"{opened.market}.jsonl", opened)
    return notes(folder, LINEAGE, recipe)


def test_without_openings_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert notes(tmp_path, LINEAGE, "ab") == ()


def test_a_holdout_that_another_recipe_has_seen_is_used_up_and_said_loudly(tmp_path: Path) -> None:
    [note] = told(tmp_path)
    assert note.startswith(f"{LOUD}USED HOLDOUT: days of it were opened before and the recipe was changed")
    assert "2026-01-05T10:00:00+00:00 planted" in note and "the paper is written" in note


def test_a_holdout_that_this_recipe_has_seen_is_told(tmp_path: Path) -> None:
    [note] = told(tmp_path, recipe=OPENED.recipe)
    assert note.startswith("its holdout was opened before, by this very recipe")


def test_a_renamed_market_is_known_by_its_bars(tmp_path: Path) -> None:
    [note] = told(tmp_path, market="planted_two", data="ab" * 32)
    assert "USED HOLDOUT" in note
    assert notes(tmp_path, {**LINEAGE, "holdout": None}, "ab") == ()


def test_days_of_the_history_that_were_a_holdout_once_are_told(tmp_path: Path) -> None:
    [note] = told(tmp_path, **EARLIER)
    assert note.startswith("its history holds days that were opened as a holdout before")
    assert notes(tmp_path, {**LINEAGE, "holdout": None}, "ab") == (note,)


def test_other_days_and_other_markets_are_no_matter(tmp_path: Path) -> None:
    assert told(tmp_path, start="2023-01-01T00:00:00+00:00", end="2024-01-01T00:00:00+00:00") == ()
    assert told(tmp_path, market="okx_perp", data="00" * 32) == ()


@pytest.mark.parametrize("name", ["planted", "okx_perp"])
def test_a_log_that_cannot_be_read_is_said_loudly(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.jsonl").write_text("{}\n")
    [note] = notes(tmp_path, LINEAGE, "ab")
    assert note.startswith(f"{LOUD}nobody knows which days were opened before")
