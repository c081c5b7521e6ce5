"""docs/experts.md names every key of a preset, every preset and every line of the checklist."""

from pathlib import Path

import pytest

from xrl.experts.checklist import checklist
from xrl.presets import PRESETS, Preset

PAGE = (Path(__file__).parents[2] / "docs" / "experts.md").read_text()


@pytest.mark.parametrize("part", Preset.model_fields)
def test_the_page_names_every_key(part):
    section = PAGE.split(f"### `{part}`")[1].split("\n#")[0]
    keys = Preset.model_fields[part].annotation.model_fields
    assert [key for key in keys if f"`{key}`" not in section] == []


@pytest.mark.parametrize("name", PRESETS)
def test_the_page_shows_every_presets_values(name):
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}`")]
    cells = [cell.strip() for cell in row.split("|")[2:-1]]
    own = PRESETS[name]
    values = (
        *(own.schedule.learning_rate, own.schedule.batch, own.schedule.weight_decay, own.schedule.epochs),
        *(own.network.dropout, own.loss.focal_gamma, own.augment.mixup, own.loss.label_smoothing),
    )
    assert [float(cell) for cell in cells[:-1]] == [float(value) for value in values]
    assert cells[-1] == str(own.schedule.patience or "none")


def test_the_page_lists_the_checklist():
    for item in checklist("lean", PRESETS["lean"], [], None):
        assert f"| {item.name}" in PAGE
