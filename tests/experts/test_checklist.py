"""Each line of the sources' production checklist, met and missed."""

import pytest

from xrl.experts.checklist import BOUND_PRESETS, Item, checklist, refused
from xrl.presets import PRESETS, Preset, chosen

GOOD = {"train_loss": 1.00, "validation_loss": 1.05, "validation_accuracy": 0.53}


def _items(
    name: str = "production_small", override: dict | None = None, final: dict | None = None, edge=0.01
):
    preset: Preset = chosen(name, override or {})
    found = checklist(name, preset, [GOOD | (final or {})], edge)
    return {item.name: item for item in found}


def test_a_production_preset_with_good_figures_ticks_the_whole_list():
    items = _items()
    assert all(item.passed and item.binds for item in items.values())
    assert len(items) == 9  # eight of the sources, and accuracy above the largest class


MISSED = {
    "learning rate": ({"schedule": {"learning_rate": 2e-4}}, {}),
    "batch": ({"schedule": {"batch": 127}}, {}),
    "weight decay": ({"schedule": {"weight_decay": 0.0009}}, {}),
    "focal gamma": ({"loss": {"focal_gamma": 1.9}}, {}),
    "patience": ({"schedule": {"patience": 14}}, {}),
    "class weights": ({"balance": {"class_weights": "none"}}, {}),
    "validation accuracy": ({}, {"validation_accuracy": 0.5}),
    "loss gap": ({}, {"validation_loss": 1.16}),
}


@pytest.mark.parametrize("name", MISSED)
def test_each_miss_refuses_a_production_preset(name):
    override, final = MISSED[name]
    assert [item.name for item in refused(tuple(_items("production_small", override, final).values()))] == [
        name
    ]


def test_accuracy_must_stand_above_the_largest_class():
    assert [item.name for item in refused(tuple(_items(edge=0.0).values()))] == [
        "accuracy above the largest class, lower end"
    ]


def test_no_patience_is_not_patience_enough():
    assert not _items(override={"schedule": {"patience": None}})["patience"].passed


def test_what_was_not_measured_fails_and_says_so():
    items = {item.name: item for item in checklist("conservative", PRESETS["conservative"], [], None)}
    for name in ("loss gap", "validation accuracy", "accuracy above the largest class, lower end"):
        assert not items[name].passed
        assert "not measured" in items[name].sentence()
    gap = checklist("lean", PRESETS["lean"], [GOOD, GOOD | {"validation_loss": float("nan")}], 0.1)
    assert "loss gap" in {item.name for item in refused(gap)}


def test_lean_is_bound_by_three_lines_alone():
    """Its learning rate is above the sources', and accuracy above one half on thirds would be a leak."""
    items = _items("lean", final={"validation_accuracy": 0.42})
    assert {item.name for item in items.values() if item.binds} == {
        "class weights",
        "loss gap",
        "accuracy above the largest class, lower end",
    }
    assert not items["learning rate"].passed
    assert refused(tuple(items.values())) == ()


def test_the_worst_gap_and_the_median_accuracy_of_the_networks_count():
    finals = [GOOD, GOOD | {"validation_loss": 1.2}, GOOD | {"validation_accuracy": 0.1}]
    items = {i.name: i for i in checklist("conservative", PRESETS["conservative"], finals, 0.1)}
    assert items["loss gap"].value == pytest.approx(0.2)
    assert items["validation accuracy"].value == pytest.approx(0.53)


def test_the_presets_of_the_sources_table_are_bound():
    assert set(BOUND_PRESETS) == set(PRESETS) - {"lean", "source"}
    quick = _items("quick_experiment")
    assert [item.name for item in refused(tuple(quick.values()))] == ["patience"]  # an experiment stays one


def test_a_line_shows_value_bound_and_verdict():
    assert (
        Item("batch", 64.0, ">= 128", False, False).sentence()
        == "batch: 64, wanted >= 128: no (does not bind here)"
    )
