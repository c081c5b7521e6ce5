import json

import pytest

from xrl.stages.aside import aside, write_json


def test_a_file_appears_whole(tmp_path):
    with aside(tmp_path / "new" / "a.txt") as place:
        place.write_text("half")
        assert place.suffix == ".txt"
        assert not (tmp_path / "new" / "a.txt").exists()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ValueError, match="stop"), aside(tmp_path / "a.txt") as place:
        place.write_text("new")
        raise ValueError("stop")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_json_is_written_with_a_final_newline(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    text = (tmp_path / "a.json").read_text()
    assert text.endswith("}\n")
    assert json.loads(text) == {"a": 1}
