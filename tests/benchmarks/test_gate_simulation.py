"""The gate on tracks whose truth is known: a small version of `make gate-simulation`."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
import pytest

from benchmarks import gate_page
from benchmarks.gate_judgement import Judged
from benchmarks.gate_simulation import AHEAD, DAYS, ROOT, SCENARIOS, Scenario, judgements, quicker, summary
from benchmarks.gate_tracks import Simulated, simulate
from xrl import columns as c
from xrl.config import load_config
from xrl.sandbox import worlds

CONFIG = quicker(load_config(ROOT / "params.yaml"))
TWO = CONFIG.model_copy(
    update={"market": CONFIG.market.model_copy(update={"symbols": ("BTCUSDT", "SOLUSDT")})}
)
TRACKS = 16


@pytest.fixture(scope="module")
def small() -> Simulated:
    return simulate("planted", 5, 200, AHEAD, TWO)


def test_a_track_is_every_bar_of_every_fold_with_probabilities_and_matured_classes(small: Simulated) -> None:
    rows, days = small.rows, 200
    spans = [(fold.test_end - fold.test_start) / pd.Timedelta(hours=1) for fold in small.laid]
    assert rows.groupby(c.FOLD).size().tolist() == [2 * span for span in spans]  # two symbols
    assert sum(spans) == pytest.approx(0.6 * days * 24, abs=24)
    for model in ("committee", "lightgbm"):
        found = rows[list(c.probability_columns(model))].to_numpy()
        np.testing.assert_allclose(found.sum(axis=1), 1.0)
        assert (found > 0).all()
    assert rows[c.LABEL].isna().sum() == 2 * CONFIG.labels.horizon_bars
    assert [len(tensor) for tensor in small.tensors] == [sum(spans)] * 2


def test_the_planted_signal_is_read_and_the_better_by_who_sees_better(small: Simulated) -> None:
    blind = simulate("random_walk", 5, 200, AHEAD, TWO)

    def read(track: Simulated, model: str) -> float:
        """How a model's direction goes with what the planted world's oracle expects of BTCUSDT."""
        own = track.rows[track.rows[c.SYMBOL] == "BTCUSDT"]
        knows = worlds.oracle("BTCUSDT", pd.DatetimeIndex(own[c.TIMESTAMP]), 5)
        sell, _, buy = c.probability_columns(model)
        return float(np.corrcoef(own[buy] - own[sell], knows.expected_return / own[c.VOLATILITY])[0, 1])

    assert read(small, "committee") > read(small, "lightgbm") + 0.03
    assert read(small, "lightgbm") > 0.4
    assert abs(read(blind, "committee")) < 0.15


def test_a_track_depends_on_its_seed_alone(small: Simulated) -> None:
    again = simulate("planted", 5, 200, AHEAD, TWO)
    pd.testing.assert_frame_equal(again.rows, small.rows)
    other = simulate("planted", 6, 200, AHEAD, TWO)
    assert not other.rows["committee_buy"].equals(small.rows["committee_buy"])


def few(scenario: Scenario) -> tuple[Judged, ...]:
    return tuple(islice(judgements(scenario, 500, CONFIG), TRACKS))


@pytest.mark.slow
def test_nothing_to_foresee_is_not_promoted_and_planted_strength_is() -> None:
    """Sixteen tracks each; a thousand stand in docs/gate.md."""
    blind, planted = SCENARIOS[:2]
    found = {scenario.name: summary(scenario, few(scenario)) for scenario in (blind, planted)}
    refused, promoted = found[blind.name], found[planted.name]
    assert refused["promoted"] == 0
    assert promoted["promoted"] >= 13
    assert refused["checks"]["ic"]["refused"] > 0.7 and refused["checks"]["f1_macro"]["refused"] < 0.3
    assert max(one["refused"] for one in promoted["checks"].values()) < 0.2
    assert promoted["means"]["direction"] == pytest.approx(0.542, abs=0.006)  # the demo's
    assert promoted["means"]["F1 macro"] == pytest.approx(0.389, abs=0.006)
    about = {"seed": 500, "commit": "ab", "date": "today", "days": DAYS, "symbols": 6, "bootstrap": 200}
    shown = gate_page.page({**about, "scenarios": found})
    assert f"| nothing to foresee | {TRACKS} | 0 | 0.0% [0.0%, 20.6%] |" in shown
    assert "| ic |" in shown


def test_a_summary_counts_what_each_check_refuses_and_what_it_alone_refuses() -> None:
    scenario = replace(SCENARIOS[0], sights=(AHEAD,))
    [one] = tuple(islice(judgements(replace(scenario, world="planted"), 500, CONFIG), 1))
    ic, ece = (check for check in one.decision.checks if check.name in ("ic", "ece"))
    passed = tuple(check._replace(passed=True) for check in one.decision.checks)

    def refusing(*names: str) -> Judged:
        checks = tuple(check._replace(passed=check.name not in names) for check in passed)
        return one._replace(decision=replace(one.decision, promote=not names, checks=checks))

    found = summary(scenario, (refusing(), refusing("ic"), refusing("ic", "ece"), refusing()))
    assert (found["promoted"], found["promoted_share"]) == (2, 0.5)
    assert found["checks"][ic.name] == {"refused": 0.5, "alone": 0.25}
    assert found["checks"][ece.name] == {"refused": 0.25, "alone": 0.0}
    assert found["interval"] == pytest.approx([0.0676, 0.9324], abs=1e-4)
