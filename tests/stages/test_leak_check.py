"""What the bundle says of leaks: nothing of clean stages, the right figure of each one planted."""

import json
import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from tests.stages.fold_scalers import write_scalers
from xrl import columns as c
from xrl.config import Config, LabelKind, load_config
from xrl.env.market import STATE_COLUMNS
from xrl.errors import DataError
from xrl.features import scaling
from xrl.labels import folds
from xrl.paths import Paths
from xrl.sandbox import worlds
from xrl.stages import features, labels, leak_check
from xrl.stages.expert_rows import read_rows, signature

_BASE = load_config(Path(__file__).parents[2] / "params.yaml")
SYMBOLS = ("BTCUSDT", "ETHUSDT")
CONFIG: Config = _BASE.model_copy(update={"market": _BASE.market.model_copy(update={"symbols": SYMBOLS})})
VOTERS = len(CONFIG.oof.committee)
FIGURES = ("difference", "label_difference", "scaler_difference", "reaching_labels", "other_rows")
START = pd.Timestamp("2025-01-01", tz="UTC")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """Stages of two symbols; the second begins ten days late, and without its taker volume."""
    paths = Paths(tmp_path_factory.mktemp("clean"))
    end = START + pd.Timedelta(days=90)
    first = worlds.bars("planted", SYMBOLS[0], START, end, 7).assign(**{c.SYMBOL: SYMBOLS[0]})
    late = worlds.bars("planted", SYMBOLS[1], START + pd.Timedelta(days=10), end, 7)
    late = late.assign(**{c.SYMBOL: SYMBOLS[1], c.TAKER_BUY_VOLUME: np.nan})
    paths.bars.parent.mkdir(parents=True)
    bars = pd.concat([first, late], ignore_index=True)[[c.SYMBOL, *c.BAR]]
    bars.to_parquet(paths.bars, index=False)
    features.run(CONFIG, paths)
    labels.run(CONFIG, paths)
    write_scalers(CONFIG, paths)
    return paths


@pytest.fixture
def copied(clean: Paths, tmp_path: Path) -> Paths:
    shutil.copytree(clean.root, tmp_path / "copy")
    return Paths(tmp_path / "copy")


def figures(paths: Paths, config: Config = CONFIG) -> dict[str, float]:
    found = leak_check.figures(config, paths, pd.read_parquet(paths.bars))
    return {name: found[name] for name in FIGURES}


def training(paths: Paths, config: Config = CONFIG) -> dict[str, float]:
    return leak_check.training_figures(config, paths, pd.read_parquet(paths.bars))


def relabelled(paths: Paths, **changes: object) -> Config:
    """The stages from `labels` on once more, with other parameters of that section."""
    config = CONFIG.model_copy(update={"labels": CONFIG.labels.model_copy(update=changes)})
    labels.run(config, paths)
    for stage in ("experts", "policy", "refit"):
        shutil.rmtree(paths.stage(stage))
    write_scalers(config, paths)
    return config


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_clean_stages_have_no_leak_to_the_bit(clean: Paths) -> None:
    assert figures(clean) == dict.fromkeys(FIGURES, 0)
    spec = json.loads(clean.feature_spec.read_text())
    assert any(column["observed"] for column in spec["left_out"])  # held at 0 there and here


def test_features_a_bar_ahead_are_found_and_the_column_is_named(copied: Paths) -> None:
    table = pd.read_parquet(copied.features)
    table["rsi"] = table.groupby(c.SYMBOL, sort=False)["rsi"].shift(-1)
    table.to_parquet(copied.features, index=False)
    found = leak_check.figures(CONFIG, copied, pd.read_parquet(copied.bars))
    assert found["difference"] > 0.1
    assert found["column"] == "rsi"


def test_one_bar_that_knows_the_next_is_enough(copied: Paths) -> None:
    table = pd.read_parquet(copied.features)
    table.loc[900, "return_1"] += 1e-6
    table.to_parquet(copied.features, index=False)
    assert CONFIG.gate.max_causal_difference < figures(copied)["difference"] < 1e-4


def test_a_higher_timeframe_that_is_not_closed_is_found_and_named(copied: Paths) -> None:
    """Every hour of a four-hour block holds what is known at its end."""
    table = pd.read_parquet(copied.features)
    block = table[c.TIMESTAMP].dt.floor("4h")
    table["h4_return_1"] = table.groupby([table[c.SYMBOL], block], sort=False)["h4_return_1"].transform(
        "last"
    )
    table.to_parquet(copied.features, index=False)
    found = leak_check.figures(CONFIG, copied, pd.read_parquet(copied.bars))
    assert found["difference"] > 0.1
    assert found["column"] == "h4_return_1"


@pytest.mark.parametrize("which", ["fold 1", "refit"])
def test_an_experts_scaler_fitted_on_all_bars_is_found(which: str, copied: Paths) -> None:
    rows = read_rows(copied, "indicator")
    everything = scaling.fit(rows.matrix, rows.names)
    folder = copied.refit_expert("indicator") if which == "refit" else copied.expert(1, "indicator")
    (folder / "scaler.json").write_text(everything.to_json())
    assert training(copied)["scaler_difference"] > 0.001


@pytest.mark.parametrize("which", ["fold 2", "refit"])
def test_a_policys_scaler_fitted_on_all_bars_is_found(which: str, copied: Paths) -> None:
    config = relabelled(copied, holdout_days=15)
    state = pd.read_parquet(copied.features, columns=list(STATE_COLUMNS)).to_numpy(np.float64)
    path = copied.refit_policy_scaler if which == "refit" else copied.fold_policy_scaler(2)
    path.write_text(scaling.fit(state, STATE_COLUMNS).to_json())
    assert training(copied, config)["scaler_difference"] > 0.001


def test_a_scaler_of_other_columns_is_no_scaler_of_these(copied: Paths) -> None:
    rows = read_rows(copied, "indicator")
    fewer = scaling.fit(rows.matrix[:, 1:], rows.names[1:])
    (copied.expert(0, "indicator") / "scaler.json").write_text(fewer.to_json())
    assert training(copied)["scaler_difference"] == float("inf")


def test_folds_without_embargo_are_found_label_by_label(copied: Paths) -> None:
    """Training up to the test span's start takes 20 labels of each symbol that lie within the embargo."""
    laid = json.loads(copied.folds.read_text())
    laid["folds"][3]["train_end"] = laid["folds"][3]["test_start"]
    copied.folds.write_text(json.dumps(laid))
    assert training(copied)["reaching_labels"] == VOTERS * len(SYMBOLS) * CONFIG.labels.embargo_bars


def test_stages_before_a_holdout_have_no_leak(copied: Paths) -> None:
    assert figures(copied, relabelled(copied, holdout_days=15)) == dict.fromkeys(FIGURES, 0)


def test_a_refit_that_trains_up_to_the_holdout_is_found_label_by_label(copied: Paths) -> None:
    """Whatever the folds say of a holdout: params and bars tell where it begins."""
    config = relabelled(copied, holdout_days=15)
    laid = json.loads(copied.folds.read_text())
    laid["refit"]["train_end"] = laid["holdout"]["start"]
    copied.folds.write_text(json.dumps({**laid, "holdout": None}))
    assert training(copied, config)["reaching_labels"] == VOTERS * len(SYMBOLS) * config.labels.embargo_bars


def test_an_outcome_that_only_the_holdout_tells_is_found(copied: Paths) -> None:
    config = relabelled(copied, holdout_days=15)
    unsealed = labels.label_table(pd.read_parquet(copied.bars), config.labels)
    table = pd.read_parquet(copied.labels)
    last = int(table[c.SCORE].last_valid_index()) + 1  # the first that is unknown for the holdout's sake
    table.loc[last, [c.SCORE, c.LABEL_END]] = unsealed.loc[last, [c.SCORE, c.LABEL_END]]
    table.to_parquet(copied.labels, index=False)
    assert training(copied, config)["reaching_labels"] == 1


def test_a_label_reaches_as_far_as_its_horizon_though_it_was_met_early(copied: Paths) -> None:
    """Labels that are known an hour later, and one outcome of before the holdout met early."""
    config = relabelled(copied, holdout_days=15)
    table = pd.read_parquet(copied.labels)
    early = table[c.TIMESTAMP] + pd.Timedelta(hours=1)
    table[c.LABEL_END] = table[c.LABEL_END].where(table[c.LABEL_END].isna(), early)
    table.to_parquet(copied.labels, index=False)
    laid = json.loads(copied.folds.read_text())
    laid["folds"][3]["train_end"] = laid["folds"][3]["test_start"]
    copied.folds.write_text(json.dumps(laid))
    reaching = VOTERS * len(SYMBOLS) * config.labels.embargo_bars
    assert training(copied, config)["reaching_labels"] == reaching
    last = int(table[c.SCORE].last_valid_index()) + 1  # the first that is sealed, met early
    table.loc[last, [c.SCORE, c.LABEL_END]] = 0.0, early[last]
    table.to_parquet(copied.labels, index=False)
    assert training(copied, config)["reaching_labels"] == reaching + 1


def test_an_expert_that_learned_from_a_random_split_is_found(copied: Paths) -> None:
    rows = read_rows(copied, "pattern")
    scattered = np.random.default_rng(0).random(len(rows.labels)) < 0.5
    path = copied.expert(2, "pattern") / "report.json"
    rewrite(path, learned=signature(rows.labels, scattered & (rows.position >= 0)))
    assert training(copied) == {"scaler_difference": 0, "reaching_labels": 0, "other_rows": 1}


@pytest.mark.parametrize("which", ["fold 0", "refit"])
def test_an_expert_that_learned_what_the_purge_should_have_kept_from_it_is_found(
    which: str, copied: Paths
) -> None:
    """One bar more of one symbol: the first whose label is known after training's end."""
    rows = read_rows(copied, "indicator")
    laid, refit = folds.load(copied.folds)
    span, folder = (
        (laid[0], copied.expert(0, "indicator"))
        if which == "fold 0"
        else (refit, copied.refit_expert("indicator"))
    )
    learned = rows.training(span)
    learned[int(np.flatnonzero(learned)[-1]) + 1] = True
    rewrite(folder / "report.json", learned=signature(rows.labels, learned))
    assert training(copied)["other_rows"] == 1


def test_bars_kept_for_calibration_that_were_learned_and_a_report_of_no_rows_are_found(copied: Paths) -> None:
    rows = read_rows(copied, "pattern")
    laid, _ = folds.load(copied.folds)
    rewrite(
        copied.expert(0, "pattern") / "report.json", learned=signature(rows.labels, rows.training(laid[0]))
    )
    (copied.refit_expert("indicator") / "report.json").write_text("{}")
    assert training(copied)["other_rows"] == 2


def test_labels_that_claim_to_be_known_too_early_are_found(copied: Paths) -> None:
    table = pd.read_parquet(copied.labels)
    table[c.LABEL_END] = table[c.LABEL_END] - pd.Timedelta(hours=1)
    table.to_parquet(copied.labels, index=False)
    assert figures(copied)["label_difference"] == float("inf")


@pytest.mark.parametrize("kind", get_args(LabelKind))
def test_every_kind_of_label_is_known_when_it_says(kind: LabelKind, copied: Paths) -> None:
    assert figures(copied, relabelled(copied, kind=kind)) == dict.fromkeys(FIGURES, 0)


def test_a_history_too_short_to_be_cut_and_missing_stages_are_named(clean: Paths, copied: Paths) -> None:
    bars = pd.read_parquet(clean.bars)
    with pytest.raises(DataError, match=r"a prefix check needs 4 bars with .* before them"):
        leak_check.figures(CONFIG, clean, bars[bars[c.TIMESTAMP] < START + pd.Timedelta(days=20)])
    laid, _ = folds.load(copied.folds)
    copied.fold_policy_scaler(laid[-1].index).unlink()
    with pytest.raises(DataError, match="run `xrl policy`"):
        figures(copied)
    (copied.expert(2, "pattern") / "scaler.json").unlink()
    shutil.copy(clean.fold_policy_scaler(laid[-1].index), copied.fold_policy_scaler(laid[-1].index))
    with pytest.raises(DataError, match="run `xrl experts --fold 2 --expert pattern`"):
        figures(copied)
    shutil.copy(copied.expert(1, "pattern") / "scaler.json", copied.expert(2, "pattern") / "scaler.json")
    (copied.refit_expert("pattern") / "report.json").unlink()
    with pytest.raises(DataError, match=r"no report\.json at .* run `xrl refit`"):
        figures(copied)
