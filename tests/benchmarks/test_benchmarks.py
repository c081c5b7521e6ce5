"""The benchmarks measure what they name: known names only, on tiny sizes here, end to end."""

import json
import math
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import pytest

from benchmarks import env, features, pipeline, report, yardstick
from benchmarks.errors import BenchmarkError
from benchmarks.group import run_group
from benchmarks.names import BY_NAME, FIGURES, GROUPS


def test_every_name_belongs_to_a_group_and_all_but_yardsticks_and_shares_have_a_target():
    assert len(BY_NAME) == len(FIGURES)
    for figure in FIGURES:
        group = figure.name.partition(".")[0]
        assert group in GROUPS
        assert figure.unit
        part_of_another = figure.name.startswith("market.pull_share_")
        assert (figure.target is None) == (group == "yardstick" or part_of_another)


def test_a_target_is_a_bound_from_its_own_side():
    assert BY_NAME["features.bars_per_s"].is_met(400_000)
    assert not BY_NAME["features.bars_per_s"].is_met(399_999)
    assert BY_NAME["features.window_ms"].is_met(2.0)
    assert not BY_NAME["features.window_ms"].is_met(2.1)
    assert BY_NAME["yardstick.http_echo_ms"].is_met(1.0) is None


@pytest.mark.parametrize(
    "found",
    [
        lambda: yardstick.measure(megabytes=1, repetitions=1),
        lambda: features.measure(bars=1000, repetitions=1),
        lambda: env.measure(bars=600, accounts=8, steps=3, scalar_steps=5, repetitions=1),
    ],
    ids=["yardstick", "features", "env"],
)
def test_a_group_writes_known_names_and_finite_figures(found):
    figures = found()
    assert figures.keys() <= BY_NAME.keys()
    assert all(math.isfinite(value) and value > 0 for value in figures.values())


def test_every_group_is_measured_in_a_fresh_process():
    for group in GROUPS:
        assert find_spec(f"benchmarks.{group}") is not None
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        figures = pool.submit(run_group, "yardstick").result()
    assert figures.keys() <= BY_NAME.keys()


def test_without_a_run_in_the_checkout_nothing_is_said_of_the_pipeline(tmp_path: Path):
    assert pipeline.measure(tmp_path) == {}


def test_only_a_demo_that_trained_both_worlds_counts(tmp_path: Path):
    record = tmp_path / "var" / "demo.json"
    record.parent.mkdir()
    record.write_text(json.dumps({"seconds": 300.0, "worlds": {"replay": "refused"}}))
    assert pipeline.measure(tmp_path) == {}
    record.write_text(
        json.dumps({"seconds": 300.0, "worlds": {"planted": "champion", "random_walk": "refused"}})
    )
    assert pipeline.measure(tmp_path) == {"pipeline.demo_s": 300.0}
    record.write_text(
        json.dumps({"seconds": 30.0, "worlds": {"planted": "already champion", "random_walk": "refused"}})
    )
    assert pipeline.measure(tmp_path) == {}


def test_one_group_joins_the_figures_of_the_others(tmp_path: Path):
    path = tmp_path / "results.json"
    first = report.merge(path, {"features.columns": 66.0, "env.speedup_vs_scalar": 12.0}, frozenset())
    path.write_text(json.dumps(first))
    again = report.merge(path, {"features.window_ms": 1.23456}, frozenset({"features.columns"}))
    assert {name: value for name, value in again.items() if name in BY_NAME} == {
        "features.window_ms": 1.235,
        "env.speedup_vs_scalar": 12,
    }
    assert again["machine"]["cores"] >= 1
    assert len(again["date"]) == 10


def test_figures_of_another_machine_are_not_mixed_in(tmp_path: Path):
    path = tmp_path / "results.json"
    old = report.merge(path, {"features.columns": 66.0}, frozenset())
    path.write_text(json.dumps({**old, "machine": {**old["machine"], "cpu": "another"}}))
    assert "features.columns" not in report.merge(path, {"env.speedup_vs_scalar": 12.0}, frozenset())


def test_an_unknown_name_is_refused(tmp_path: Path):
    with pytest.raises(BenchmarkError, match=r"features\.guess"):
        report.merge(tmp_path / "none.json", {"features.guess": 1.0}, frozenset())


def test_the_page_says_what_is_met_and_what_was_not_measured(tmp_path: Path):
    page = report.table(report.merge(tmp_path / "none.json", {"features.columns": 66.0}, frozenset()))
    assert "| `features.columns` | columns in the table | 66 | count | >= 90 | not yet |" in page
    assert "| `features.bars_per_s` |" in page
    assert "not measured" in page
