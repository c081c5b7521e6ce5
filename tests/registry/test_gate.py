"""Truths of the promotion gate: what passes, and one test for every reason to refuse."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.registry.evidence import evidence, interval, known, metrics, track
from xrl.config import GateParams, load_config
from xrl.registry.bundle import Parity
from xrl.registry.comparison import daily_series
from xrl.registry.gate import Evidence, Track, judge, recipe_hash
from xrl.registry.trials import Tried

PARAMS: GateParams = load_config(Path(__file__).parents[2] / "params.yaml").gate


def refused(found: Evidence, params: GateParams = PARAMS) -> list[str]:
    decision = judge(found, params)
    assert decision.promote == (not decision.refusals)
    for check in decision.refusals:
        assert check.reason
        assert check.name in check.sentence()
        assert "fails" in check.sentence()
    return [check.name for check in decision.refusals]


def test_a_first_candidate_within_every_bound_is_promoted() -> None:
    decision = judge(evidence(), PARAMS)
    assert decision.promote, [check.sentence() for check in decision.refusals]
    assert decision.kind == "first"
    assert not decision.already_champion


def test_a_decision_says_what_it_did_not_judge_and_survives_json() -> None:
    found = json.loads(json.dumps(judge(evidence(), PARAMS).as_json()))
    assert found["promote"] is True
    assert [text.partition(":")[0] for text in found["not_judged"]] == ["unregistered trials"]
    assert {"name", "figure", "relation", "bound", "passed", "reason"} == set(found["checks"][0])


def test_the_production_checklist_is_shown_and_refuses_where_it_binds() -> None:
    decision = judge(evidence(), PARAMS)
    assert decision.promote
    assert decision.checklist == (
        "learning rate 0.002, wanted <= 0.0001: no, which does not bind here",
        "class weights balanced, wanted on: yes",
        "loss gap 0.02, wanted < 0.15: yes",
    )
    assert {check.name for check in decision.checks} >= {"checklist_class_weights", "checklist_loss_gap"}
    assert json.loads(json.dumps(decision.as_json()))["checklist"] == list(decision.checklist)
    too_wide = {"value": 0.2, "bound": "< 0.15", "passed": False, "binds": True}
    [check] = judge(evidence(checklist__loss_gap=too_wide), PARAMS).refusals
    assert check.sentence().startswith("checklist_loss_gap 0.2 <= 0.15 fails: the production checklist binds")
    off = {"value": "none", "bound": "on", "passed": False, "binds": True}
    assert refused(evidence(checklist__class_weights=off)) == ["checklist_class_weights"]
    unknown = {"value": None, "bound": "< 0.15", "passed": False, "binds": True}
    assert refused(evidence(checklist__loss_gap=unknown)) == ["checklist_loss_gap"]


@pytest.mark.parametrize(
    "found", [None, [], {}, {"loss_gap": 3}, {"loss_gap": {"value": 0.02, "bound": "x"}}]
)
def test_a_list_that_is_missing_or_of_another_shape_was_not_computed(found: object) -> None:
    assert refused(evidence(checklist=found)) == ["checklist"]


def test_a_refusal_names_figure_bound_and_reason() -> None:
    [check] = judge(evidence(prediction__f1_macro=interval(0.331, 0.32, 0.34)), PARAMS).refusals
    assert check.sentence() == "f1_macro 0.331 >= 0.34 fails: F1 macro is below its floor"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("causality", {"causality__difference": 1e-9}),
        ("causality_outcomes", {"causality__label_difference": 0.5}),
        ("causality_scalers", {"causality__scaler_difference": 0.01}),
        ("causality_labels", {"causality__reaching_labels": 1}),
        ("causality_rows", {"causality__other_rows": 1}),
        ("f1_macro", {"prediction__f1_macro": interval(0.339, 0.33, 0.35)}),
        ("f1_minus_volatility_only", {"prediction__f1_minus_volatility_only__low": 0.0}),
        ("f1_minus_lightgbm", {"prediction__f1_minus_lightgbm__low": -0.0101}),
        ("accuracy_minus_majority", {"prediction__accuracy_minus_majority__low": -0.001}),
        ("direction", {"prediction__direction_accuracy__low": 0.5}),
        ("ic", {"prediction__ic__low": 0.0}),
        ("positive_folds", {"folds": [{"ic": 0.1}, {"ic": -0.1}]}),
        ("ece", {"prediction__ece": 0.051}),
        ("sharpe", {"trading__sharpe__value": 0.69}),
        ("sharpe_low", {"trading__sharpe__low": 0.0}),
        ("sharpe_over_random_timing", {"baselines__random_timing__p95": 1.6}),
        ("sharpe_over_buy_and_hold", {"baselines__buy_and_hold__sharpe": 1.61}),
        ("sharpe_costs_x2", {"trading__sharpe_costs_x2": 0.0}),
        ("max_drawdown", {"trading__max_drawdown": 0.46}),
        ("liquidations", {"trading__liquidations": 1}),
        ("class_share", {"prediction__share_buy": 0.91}),
        ("refit_class_share", {"refit__share_hold": 0.91}),
        ("refit_rank_correlation", {"refit__rank_correlation": 0.29}),
        ("refit_side_agreement", {"refit__side_agreement": 0.29}),
        ("refit_side_share", {"refit__side_share": 0.971}),
        ("null_f1", {"prediction__null_f1": 0.37}),
        ("null_direction", {"prediction__null_direction": 0.46}),
        ("alarm_f1_macro", {"prediction__f1_macro": interval(0.431, 0.42, 0.44)}),
        ("alarm_direction_accuracy", {"prediction__direction_accuracy": interval(0.561, 0.55, 0.57)}),
        ("alarm_ic", {"prediction__ic": interval(0.101, 0.08, 0.12)}),
        ("alarm_sharpe", {"trading__sharpe": interval(3.1, 1.0, 4.0)}),
        ("alarm_sharpe_year", {"trading__sharpe_year": {"2024": 4.1, "2025": 1.0}}),
        ("null_f1", {"prediction__chance_f1": 0.3}),
        ("alarm_span", {"start": None}),
        ("alarm_span", {"prediction__end": None}),
    ],
)
def test_each_figure_out_of_bounds_refuses_and_alone(name: str, changes: dict[str, object]) -> None:
    assert refused(evidence(**changes)) == [name]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("f1_minus_volatility_only", {"prediction__f1_minus_volatility_only": None}),
        ("ece", {"prediction__ece": float("nan")}),
        ("causality", {"causality__difference": float("inf")}),
        ("causality_labels", {"causality__reaching_labels": None}),
        ("causality_rows", {"causality__other_rows": None}),
        ("sharpe_over_random_timing", {"baselines__random_timing": {}}),
        ("positive_folds", {"folds": []}),
        ("null_f1", {"prediction__null_f1": None}),
        ("null_f1", {"prediction__chance_f1": None}),
        ("refit_class_share", {"refit__share_buy": None}),
        ("refit_side_agreement", {"refit__side_agreement": None}),
        ("refit_side_share", {"refit__side_share": float("nan")}),
        ("max_drawdown", {"trading__max_drawdown": "deep"}),
        ("liquidations", {"trading__liquidations": False}),
    ],
)
def test_what_was_not_measured_refuses(name: str, changes: dict[str, object]) -> None:
    assert refused(evidence(**changes)) == [name]
    assert "not measured" in judge(evidence(**changes), PARAMS).refusals[0].sentence()


def test_empty_metrics_refuse_without_a_crash() -> None:
    found = Evidence(known(), {}, Parity(0.0, 0), False, None, None)
    assert len(refused(found)) > 20


def test_models_that_export_to_something_else_refuse() -> None:
    assert refused(evidence(parity=Parity(2e-4, 0))) == ["parity_difference"]
    assert refused(evidence(parity=Parity(1e-6, 1))) == ["parity_disagreements"]


@pytest.mark.parametrize("side", [1.0, -1.0, 0.0])
def test_a_policy_that_is_all_buy_all_sell_or_all_hold_refuses(side: float) -> None:
    collapsed = track().assign(exposure=side)
    assert refused(evidence(challenger=known("a", "r", collapsed))) == ["side_share"]


def test_the_null_may_stand_further_off_when_the_track_is_noisy() -> None:
    noisy = {"prediction__f1_macro": interval(0.40, 0.36, 0.44)}  # standard error 0.0204, 2.6 of them 0.053
    assert refused(evidence(prediction__null_f1=0.37, **noisy)) == []


def test_alarm_bounds_widen_with_the_root_of_a_short_track() -> None:
    start, end = "2024-01-01T00:00:00+00:00", "2024-04-01T07:30:00+00:00"  # a quarter
    quarter = {"start": start, "end": end, "prediction__start": start, "prediction__end": end}
    good = interval(0.619, 0.55, 0.66)
    assert refused(evidence(prediction__direction_accuracy=good, **quarter)) == []
    assert refused(evidence(prediction__direction_accuracy=interval(0.621, 0.55, 0.66), **quarter)) == [
        "alarm_direction_accuracy"
    ]


def test_the_bound_of_direction_widens_with_the_span_that_was_scored_not_the_one_traded() -> None:
    quarter = {"start": "2025-09-30T16:30:00+00:00"}  # until the end of 2025; scored since 2023
    strong = evidence(prediction__direction_accuracy=interval(0.561, 0.55, 0.57), **quarter)
    assert refused(strong) == ["alarm_direction_accuracy"]


def test_chance_is_that_of_the_scored_bars_not_of_the_track() -> None:
    found = evidence()
    one_class = replace(found.challenger, track=track(skilled=False))  # on whose bars chance scores a sixth
    assert refused(replace(found, challenger=one_class)) == []


def test_a_year_mostly_outside_the_track_raises_no_alarm() -> None:
    years = {"2024": 1.0, "2025": 1.0, "2026": 9.0}
    end = "2026-02-01T00:00:00+00:00"
    assert refused(evidence(trading__sharpe_year=years, end=end)) == []


@pytest.mark.parametrize("years", [None, {}, {"2024": 1.0}, {"2024": 1.0, "2025": float("nan")}, [1.0]])
def test_a_covered_year_without_a_figure_refuses(years: object) -> None:
    assert refused(evidence(trading__sharpe_year=years)) == ["alarm_sharpe_year"]


def test_a_track_that_covers_no_half_year_needs_no_figure_of_a_year() -> None:
    end = "2024-06-01T00:00:00+00:00"
    assert refused(evidence(trading__sharpe_year={}, end=end)) == []


@pytest.mark.parametrize("start", ["yesterday", 3, "2024-01-01T00:00:00"])
def test_a_span_that_cannot_be_read_refuses(start: object) -> None:
    assert refused(evidence(start=start)) == ["alarm_span"]


def test_an_exposure_that_is_unknown_refuses() -> None:
    holed = track()
    holed.loc[3, "exposure"] = np.nan
    assert refused(evidence(challenger=known("a", "r", holed))) == ["side_share"]


def test_a_return_that_is_unknown_is_neither_a_sharpe_nor_a_refresh() -> None:
    holed = track()
    holed.loc[30, "net_return"] = np.nan
    found = evidence(champion("recipe-a"), known("digest-a", "recipe-a", holed))
    assert refused(found) == ["effective_trials", "deflated_sharpe", "refresh_inferior"]


def test_a_world_with_a_ceiling_sets_its_own_alarm_bounds() -> None:
    strong = {
        "prediction__f1_macro": interval(0.47, 0.45, 0.49),
        "prediction__direction_accuracy": interval(0.57, 0.55, 0.59),
        "prediction__ic": interval(0.2, 0.18, 0.22),
        "trading__sharpe": interval(5.0, 3.0, 7.0),
        "trading__sharpe_year": {"2024": 5.5, "2025": 4.5},
    }
    ceiling = {"f1_macro": 0.48, "direction_accuracy": 0.58, "sharpe": 6.0}
    assert refused(evidence(**strong, ceiling=ceiling)) == []
    assert len(refused(evidence(**strong))) == 5
    above = {**strong, "prediction__f1_macro": interval(0.505, 0.5, 0.51)}  # ceiling * 1.05 = 0.504
    assert refused(evidence(**above, ceiling=ceiling)) == ["alarm_f1_macro"]


def test_a_low_ceiling_never_lowers_a_bound() -> None:
    ceiling = {"f1_macro": 0.333, "direction_accuracy": 0.5, "sharpe": -1.0}
    assert refused(evidence(ceiling=ceiling)) == []


def test_an_identical_bundle_is_already_champion() -> None:
    decision = judge(evidence(champion=known("digest-a", "recipe-a", track())), PARAMS)
    assert decision.already_champion
    assert not decision.promote
    assert decision.checks == ()


def champion(recipe: str, **of_track: Any) -> Track:
    return known("digest-b", recipe, track(**of_track))


def test_an_upgrade_must_be_better_than_the_champion() -> None:
    better = known("digest-a", "recipe-a", track(drift=0.002))
    decision = judge(evidence(champion("recipe-b", seed=0), better), PARAMS)
    assert decision.kind == "upgrade"
    assert decision.promote, [check.sentence() for check in decision.refusals]
    equal = evidence(champion("recipe-b", drift=0.001, seed=1), known("digest-a", "recipe-a", track(seed=2)))
    assert "upgrade_superior" in refused(equal)


def test_an_upgrade_with_a_worse_f1_is_refused() -> None:
    worse = known("digest-a", "recipe-a", track(drift=0.002, skilled=False))
    assert "upgrade_f1" in refused(evidence(champion("recipe-b"), worse))


def test_the_f1_of_another_kind_of_label_raises_no_alarm_and_the_decision_says_so() -> None:
    barrier = known(label_kind="triple_barrier")
    decision = judge(evidence(challenger=barrier, prediction__f1_macro=interval(0.437, 0.424, 0.452)), PARAMS)
    assert decision.promote, [check.sentence() for check in decision.refusals]
    assert "alarm_f1_macro" not in {check.name for check in decision.checks}
    assert decision.not_judged[-1].startswith(
        "alarm_f1_macro: its bound is of the label normalised_percentile"
    )
    leak = evidence(challenger=barrier, prediction__ic=interval(0.101, 0.08, 0.12))
    assert refused(leak) == ["alarm_ic"]  # what does not depend on the classes still does


def test_f1_is_not_compared_between_kinds_of_labels() -> None:
    worse = known("digest-a", "recipe-a", track(drift=0.002, skilled=False), label_kind="adaptive")
    decision = judge(evidence(champion("recipe-b"), worse), PARAMS)
    assert decision.promote, [check.sentence() for check in decision.refusals]
    assert [text.partition(":")[0] for text in decision.not_judged[-2:]] == ["alarm_f1_macro", "upgrade_f1"]


def test_a_refresh_need_only_not_be_worse() -> None:
    same = judge(evidence(champion("recipe-a"), known("digest-a", "recipe-a", track())), PARAMS)
    assert same.kind == "refresh"
    assert same.promote, [check.sentence() for check in same.refusals]
    better = champion("recipe-a", drift=0.001)
    assert refused(evidence(better, known("digest-a", "recipe-a", track()))) == ["refresh_inferior"]


def earned(seed: int, drift: float = 0.0) -> pd.Series:
    return daily_series(track(drift=drift, seed=seed))


def searched(count: int) -> Tried:
    """`count` unrelated recipes that earn nothing beside the candidate."""
    return Tried({f"recipe-{seed}": earned(seed) for seed in range(1, count + 1)}, frozenset())


def test_a_sharpe_that_many_tries_reach_by_luck_refuses_and_few_tries_do_not() -> None:
    modest = known(table=track(drift=0.00025))  # a Sharpe ratio of a day of about .2 on 120 days
    assert refused(evidence(challenger=modest)) == []
    assert refused(evidence(challenger=modest, tried=searched(30))) == ["deflated_sharpe"]
    [trials] = [
        check
        for check in judge(evidence(challenger=modest, tried=searched(30)), PARAMS).checks
        if check.name == "effective_trials"
    ]
    assert trials.figure == 31


def test_variants_of_the_candidate_and_trainings_of_its_own_recipe_are_no_new_tries() -> None:
    modest = known(table=track(drift=0.00025))
    variants = {f"recipe-{k}": earned(0, 0.0001 * k) for k in range(30)}
    assert refused(evidence(challenger=modest, tried=Tried(variants, frozenset()))) == []
    own = Tried({"recipe-a": earned(1)}, frozenset())
    assert judge(evidence(challenger=modest, tried=own), PARAMS) == judge(evidence(challenger=modest), PARAMS)


def test_recipes_whose_returns_are_lost_refuse_and_where_allowed_count_as_different_tries() -> None:
    modest = known(table=track(drift=0.00025))
    names = frozenset(f"recipe-{k}" for k in range(30))
    assert refused(evidence(challenger=modest, tried=Tried({}, names))) == ["lost_recipes", "deflated_sharpe"]
    allowed = PARAMS.model_copy(update={"max_lost_recipes": 30})
    assert refused(evidence(challenger=modest, tried=Tried({}, names)), allowed) == ["deflated_sharpe"]
    one = evidence(tried=Tried({}, frozenset({"recipe-b"})))
    [check] = judge(one, PARAMS).refusals
    assert (check.name, check.figure, check.bound) == ("lost_recipes", 1.0, 0.0)
    assert "gone from the tracking store (recipe-b): bring their runs back" in check.sentence()


def test_runs_that_never_became_a_registration_count_as_tries_and_refuse_nothing_else() -> None:
    modest = known(table=track(drift=0.00025))
    strays = frozenset(f"run-{k}" for k in range(30))
    assert refused(evidence(challenger=modest, tried=Tried({}, frozenset(), strays))) == ["deflated_sharpe"]
    assert refused(evidence(tried=Tried({}, frozenset(), strays))) == []


def test_the_candidates_own_recipe_is_not_lost_for_its_track_is_here() -> None:
    assert refused(evidence(tried=Tried({}, frozenset({"recipe-a"})))) == []


def test_a_registration_that_the_ledger_does_not_know_refuses_and_says_what_to_do() -> None:
    tried = Tried({}, frozenset(), unentered=frozenset({"recipe-b", "recipe-c"}))
    [check] = judge(evidence(tried=tried), PARAMS).refusals
    assert (check.name, check.figure, check.bound) == ("ledger", 2.0, 0.0)
    assert "does not know (recipe-b, recipe-c)" in check.sentence()
    assert "xrl ledger adopt" in check.sentence()


def test_a_ledger_that_cannot_be_read_refuses() -> None:
    [check] = judge(evidence(tried=Tried({}, frozenset(), fault="line 3 was changed")), PARAMS).refusals
    assert (check.name, check.figure, check.reason) == ("ledger", None, "line 3 was changed")


def test_what_is_told_beside_a_decision_binds_nothing() -> None:
    tried = Tried({}, frozenset(), notes=("1 of 2 lines were written afterwards",))
    decision = judge(replace(evidence(tried=tried), notes=("!!! USED HOLDOUT",)), PARAMS)
    assert decision.promote
    assert decision.as_json()["notes"] == ["!!! USED HOLDOUT", "1 of 2 lines were written afterwards"]


def test_trials_that_cannot_be_counted_refuse() -> None:
    assert refused(evidence(tried=None)) == ["ledger", "effective_trials", "deflated_sharpe"]


def test_luck_alone_is_not_promoted_even_on_the_first_try() -> None:
    assert refused(evidence(challenger=known(table=track(drift=0.0)))) == ["deflated_sharpe"]


def test_tracks_without_common_days_are_not_compared() -> None:
    later = track()
    later["timestamp"] = later["timestamp"] + pd.Timedelta(days=115)
    found = evidence(champion("recipe-b"), known("digest-a", "recipe-a", later))
    [check] = judge(found, PARAMS).refusals
    assert (check.name, check.figure) == ("common_days", 5.0)


def test_judging_twice_gives_the_same_decision() -> None:
    found = evidence(champion("recipe-b"), known("digest-a", "recipe-a", track(drift=0.001)))
    assert judge(found, PARAMS) == judge(found, PARAMS)


def test_a_refresh_on_older_data_is_refused() -> None:
    later = known("digest-b", "recipe-a", trained_through="2026-01-02")
    found = evidence(later, known())
    assert refused(found) == ["refresh_days_newer"]
    [check] = judge(found, PARAMS).refusals
    assert (check.figure, check.reason) == (-1.0, "it learned from older data than the champion: no refresh")


def test_a_first_champion_needs_a_track_of_some_length() -> None:
    assert refused(evidence(challenger=known(table=track(days=89)))) == ["track_days"]
    assert refused(evidence(challenger=known(table=track(days=90)))) == []


def test_alarm_bounds_widen_no_further_than_the_shortest_track() -> None:
    week = {"start": "2024-01-01T00:00:00+00:00", "end": "2024-01-08T00:00:00+00:00"}
    sure = interval(0.63, 0.6, 0.66)  # 0.06 * sqrt(365.25 / 90) = 0.1209 at most
    assert refused(evidence(prediction__direction_accuracy=sure, **week)) == ["alarm_direction_accuracy"]


def test_a_ceiling_that_nothing_stands_behind_raises_no_bound() -> None:
    strong = {"trading__sharpe": interval(5.0, 3.0, 7.0)}
    ceiling = {"f1_macro": 0.48, "direction_accuracy": 0.58, "sharpe": 6.0}
    assert refused(evidence(**strong, ceiling=ceiling)) == []
    assert refused(evidence(**strong, ceiling=ceiling, has_ceiling=False)) == ["alarm_sharpe"]


def test_a_recipe_is_its_parameters_and_its_code_less_the_day_it_was_trained() -> None:
    params = load_config(Path(__file__).parents[2] / "params.yaml").model_dump(mode="json")
    base = recipe_hash(params, "code", {})
    later = {**params, "snapshot": {**params["snapshot"], "as_of": "2027-01-01"}}
    shorter = {**params, "snapshot": {**params["snapshot"], "days": 30}}
    bounds = {**params, "gate": {**params["gate"], "f1_floor": 0.0}}
    other = {**params, "experts": {**params["experts"], "seed": 1}}
    assert recipe_hash(later, "code", {}) == base == recipe_hash(bounds, "code", {})
    others = {
        recipe_hash(shorter, "code", {}),
        recipe_hash(other, "code", {}),
        recipe_hash(params, "new", {}),
    }
    written = {recipe_hash(params, "code", {"rise": f"file {digest}"}) for digest in ("ab", "cd")}
    assert len({base} | others | written) == 6


def test_good_metrics_are_not_shared_between_tests() -> None:
    metrics(trading__sharpe__low=-5.0)
    assert metrics()["trading"]["sharpe"]["low"] == 0.4
    assert np.isclose(metrics()["trading"]["sharpe"]["value"], 1.6)
