"""`xrl baselines --groups` on a tiny world: every path tests every bar once, by models that never saw it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from xrl import columns as c
from xrl.__main__ import app
from xrl.backtest import contest
from xrl.backtest.references import volatility_only
from xrl.config import Config, load_config
from xrl.labels import combinatorial
from xrl.labels.classes import classes
from xrl.labels.combinatorial import Plan
from xrl.labels.history import history
from xrl.paths import Paths
from xrl.sandbox import worlds
from xrl.stages import baseline_paths, from_files
from xrl.stages.baseline_paths import Course, quartiles
from xrl.stages.baselines import Tables, read

ROOT = Path(__file__).parents[2]
SYMBOLS = ("BTCUSDT", "ETHUSDT")
START, DAYS = pd.Timestamp("2025-01-01", tz="UTC"), 120
FEW = (c.SYMBOL, c.TIMESTAMP, "rsi", "return_1", "return_6", "volatility_24")


class Measured(NamedTuple):
    """A folder with params.yaml, files and page, and what the command found."""

    home: Path
    printed: str
    found: dict[str, Any]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    home = tmp_path_factory.mktemp("paths")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["market"]["symbols"] = list(SYMBOLS)
    (home / "params.yaml").write_text(yaml.safe_dump(params))
    (home / "files").mkdir()
    for symbol in SYMBOLS:
        bars = worlds.bars("planted", symbol, START, START + pd.Timedelta(days=DAYS), 7)
        bars[[c.TIMESTAMP, *c.OHLCV]].to_parquet(home / "files" / f"binance_perp_{symbol}_1h.parquet")
        settled = bars.loc[bars[c.FUNDING_RATE].notna(), [c.TIMESTAMP, c.FUNDING_RATE]]
        settled.to_parquet(home / "files" / f"binance_perp_{symbol}_funding.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        asked = ["baselines", "--data", "files", "--groups", "4", "--tested", "2", "--out", "page"]
        result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    found = json.loads((home / "page" / "paths.json").read_text())
    return Measured(home, result.stdout, found)


def test_the_command_writes_page_figures_and_picture_of_three_paths(measured: Measured) -> None:
    page, found = measured.home / "page", measured.found
    assert {path.name for path in page.iterdir()} == {"paths.md", "paths.json", "paths.png"}
    text = (page / "paths.md").read_text()
    assert text.strip() in measured.printed
    assert "4 groups" in text and "6 splits" in text and "3 paths" in text
    assert (page / "paths.png").stat().st_size > 5000
    assert len(found["paths"]) == 3 and found["about"]["splits"] == 6
    assert found["about"]["bars"] > 0.95 * len(SYMBOLS) * 24 * DAYS


def test_the_spread_is_of_the_paths_and_the_shares_count_them(measured: Measured) -> None:
    paths, spread = measured.found["paths"], measured.found["spread"]
    assert set(spread) == set(contest.MODELS)
    f1 = {model: [own[model]["f1_macro"] for own in paths] for model in contest.MODELS}
    assert spread["logistic"]["f1_macro"]["value"] == pytest.approx(np.median(f1["logistic"]))
    assert spread["majority"]["ic"] is None and spread["volatility_only"]["direction_accuracy"] is None
    better = measured.found["better"]
    for ours, theirs in contest.PAIRS:
        wins = np.mean(np.array(f1[ours]) > np.array(f1[theirs]))
        assert better[f"{ours}_minus_{theirs}"]["f1_macro"] == pytest.approx(wins)
    losses = [own["logistic"]["log_loss"] < own["volatility_only"]["log_loss"] for own in paths]
    assert better["logistic_minus_volatility_only"]["log_loss"] == pytest.approx(np.mean(losses))
    assert better["lightgbm_minus_majority"]["ic"] is None
    assert better["lightgbm_minus_majority"]["f1_macro"] == 1.0
    assert spread["lightgbm"]["f1_macro"]["value"] > spread["majority"]["f1_macro"]["value"] + 0.1


def test_the_choice_among_rules_is_judged_on_every_path(measured: Measured) -> None:
    trading = measured.found["trading"]
    assert len(trading["sharpe"]) == 10 and len(trading["best"]) == 3
    assert set(trading["best"]) <= set(trading["sharpe"])
    risk = trading["overfitting"]
    assert 0.0 <= risk["least"] <= risk["low"] <= risk["value"] <= risk["high"] <= risk["most"] <= 1.0


def test_quartiles_by_hand() -> None:
    expected = {"value": 3.0, "low": 2.0, "high": 4.0, "least": 1.0, "most": 5.0}
    assert quartiles([5.0, 1.0, 3.0, 2.0, 4.0]) == expected


class Tiny(NamedTuple):
    """Tables of four features over the same history, the plan of its paths, and the paths."""

    config: Config
    tables: Tables
    plan: Plan
    courses: tuple[Course, ...]


@pytest.fixture(scope="module")
def tiny(measured: Measured, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    paths = Paths(tmp_path_factory.mktemp("tiny"))
    config = load_config(measured.home / "params.yaml")
    from_files.run(config, measured.home / "files", paths, None, None)
    tables = read(paths)
    tables = tables._replace(features=tables.features[list(FEW)])
    plan = combinatorial.cpcv(*history(tables.labels), config.labels, 4, 1)
    return Tiny(config, tables, plan, baseline_paths.walked(config, tables, plan, 0))


def test_every_bar_is_judged_once_by_the_split_that_tests_its_group(tiny: Tiny) -> None:
    [course] = tiny.courses
    rows = course.rows
    assert not rows.duplicated([c.SYMBOL, c.TIMESTAMP]).any()
    assert np.unique(course.group).tolist() == [0, 1, 2, 3]
    splits = combinatorial.fit_cuts(tiny.tables.labels, tiny.plan.splits, tiny.config.labels)
    for number, group in enumerate(tiny.plan.groups):
        own = rows[course.group == number]
        assert own[c.TIMESTAMP].min() >= group.start and own[c.TIMESTAMP].max() < group.end
        called = classes(own, splits[number]).astype(float)
        np.testing.assert_array_equal(own[c.LABEL], np.where(called == c.UNKNOWN, np.nan, called))
    lightgbm, shares, dealt = (
        rows[list(c.probability_columns(name))].to_numpy()
        for name in ("lightgbm", "majority", "volatility_only")
    )
    np.testing.assert_allclose(dealt, volatility_only(lightgbm, shares))
    horizon = tiny.config.labels.horizon_bars
    assert rows[c.LABEL].isna().sum() == len(SYMBOLS) * horizon  # the newest, not matured


def test_nothing_of_a_tested_group_or_too_near_to_it_trains_its_split(tiny: Tiny) -> None:
    """Purge: outcomes of the tested bars, of those whose horizon reaches an embargo before them, and of those
    within an embargo after their last label turn round, and not one probability of that group moves."""
    group, params = tiny.plan.groups[1], tiny.config.labels
    hours = pd.Timedelta(hours=1)
    time = tiny.tables.labels[c.TIMESTAMP]
    reach, embargo = params.horizon_bars * hours, params.embargo_bars * hours
    near = (time > group.start - embargo - reach - hours) & (time < group.end + reach + embargo)
    assert _said_of(tiny, near, 1).equals(_said_of(tiny, near & False, 1))
    for edge in (near.to_numpy().argmax() - 1, len(near) - 1 - near.to_numpy()[::-1].argmax() + 1):
        wider = near.copy()
        wider.iloc[edge] = True
        assert not _said_of(tiny, wider, 1).equals(_said_of(tiny, near, 1))


def _said_of(tiny: Tiny, turned: pd.Series, group: int) -> pd.DataFrame:
    """Logistic's probabilities of a group's bars when the scores of `turned` are others."""
    score = tiny.tables.labels[c.SCORE]
    labels = tiny.tables.labels.assign(**{c.SCORE: score.where(~turned, -9.0 * np.sign(score))})
    splits = combinatorial.fit_cuts(labels, (tiny.plan.splits[group],), tiny.config.labels)
    tables = tiny.tables._replace(labels=labels)
    [found] = baseline_paths.said(tables, splits, 0)
    names = ["label", *(name for model in contest.MODELS for name in c.probability_columns(model))]
    frame = pd.DataFrame(found, columns=names)
    return frame[list(c.probability_columns("logistic"))].dropna()
