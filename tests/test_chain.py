"""A chained log: what was written is read back, what was touched is found."""

import json
import threading
from pathlib import Path

import pytest

from xrl import chain
from xrl.errors import DataError


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "log.jsonl"


def written(log: Path, *words: str) -> list[chain.Link]:
    return [
        chain.append(log, lambda before, word=word: {"word": word, "number": len(before)}) for word in words
    ]


def test_a_log_that_was_never_written_is_empty_and_stays_unmade(log: Path) -> None:
    assert chain.read(log) == ()
    assert not log.exists()


def test_lines_are_read_back_in_order_each_chained_to_the_one_before(log: Path) -> None:
    one, two = written(log, "one", "two")
    assert chain.read(log) == (one, two)
    assert [link.told for link in (one, two)] == [{"word": "one", "number": 0}, {"word": "two", "number": 1}]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["previous"] for line in lines] == [chain.FIRST, one.hash]
    assert [line["hash"] for line in lines] == [one.hash, two.hash]


def test_the_same_words_at_another_place_have_another_hash(log: Path) -> None:
    one, two = (chain.append(log, lambda before: {"word": "same"}) for _ in range(2))
    assert one.hash != two.hash


def test_a_log_is_only_ever_added_to(log: Path) -> None:
    written(log, "one")
    before = log.read_bytes()
    written(log, "two")
    assert log.read_bytes().startswith(before)


def test_a_line_that_is_refused_leaves_the_log_as_it_was(log: Path) -> None:
    def refuse(before: tuple[chain.Link, ...]) -> dict[str, object]:
        raise DataError(f"there are {len(before)} already")

    with pytest.raises(DataError, match="there are 0 already"):
        chain.append(log, refuse)
    assert not log.exists()
    written(log, "one")
    before = log.read_bytes()
    with pytest.raises(DataError, match="there are 1 already"):
        chain.append(log, refuse)
    assert log.read_bytes() == before
    written(log, "two")  # and the lock is free


def test_while_one_log_is_written_no_other_of_its_folder_is(log: Path) -> None:
    """Whoever looks through all logs of a folder before writing sees what the one before has written."""
    other = log.with_name("other.jsonl")
    done = threading.Event()

    def write_other() -> None:
        written(other, "two")
        done.set()

    def tell(before: tuple[chain.Link, ...]) -> dict[str, object]:
        thread.start()
        assert not done.wait(0.3)
        assert not other.exists()
        return {"word": "one"}

    thread = threading.Thread(target=write_other)
    chain.append(log, tell)
    thread.join(timeout=30)
    assert done.is_set()


def test_a_line_that_is_half_written_is_not_there_yet_and_nothing_is_added_behind_it(log: Path) -> None:
    one, _ = written(log, "one", "two")
    log.write_bytes(log.read_bytes()[:-9])
    assert chain.read(log) == (one,)
    with pytest.raises(DataError, match="line 2: it was changed"):
        written(log, "three")


@pytest.mark.parametrize("damage", ["changed", "left out", "swapped", "no JSON", "no chain", "torn"])
def test_a_damaged_log_is_neither_read_nor_added_to(log: Path, damage: str) -> None:
    written(log, "one", "two", "three")
    lines = log.read_text().splitlines()
    broken = {
        "changed": [lines[0], lines[1].replace("two", "2"), lines[2]],
        "left out": [lines[0], lines[2]],
        "swapped": [lines[1], lines[0], lines[2]],
        "no JSON": [lines[0], "{", lines[2]],
        "no chain": [lines[0], "{}", lines[2]],
        "torn": [lines[0], lines[1][:-9]],
    }[damage]
    log.write_text("\n".join(broken) + "\n")
    for touch in (lambda: chain.read(log), lambda: written(log, "four")):
        with pytest.raises(DataError, match=r"line [12]: it was changed"):
            touch()
    assert log.read_text().splitlines() == broken
