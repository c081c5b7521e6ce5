"""The held-out days: no stage learns of them, and opening them leaves a trace."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from xrl import columns as c
from xrl.__main__ import app
from xrl.config import Config, ContextParams, ExtraFeature, load_config
from xrl.errors import ConfigError, DataError
from xrl.labels import folds, openings
from xrl.paths import Paths
from xrl.sandbox import worlds
from xrl.stages import features, labels
from xrl.stages.expert_rows import read_rows, signature
from xrl.stages.holdout import open_holdout
from xrl.stages.policy_inputs import PolicyInputs

ROOT = Path(__file__).parents[2]
START = pd.Timestamp("2025-01-01", tz="UTC")
HOUR = pd.Timedelta(hours=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HELD = START + 75 * 24 * HOUR  # of ninety days


def write_bars(paths: Paths) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    parts = []
    for symbol in ("SOLUSDT", "BTCUSDT"):
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 2160)))
        time = pd.date_range(START, periods=2160, freq="h", unit="ms")
        parts.append(
            pd.DataFrame(
                {
                    c.SYMBOL: symbol,
                    c.TIMESTAMP: time,
                    c.HIGH: close * 1.003,
                    c.LOW: close / 1.003,
                    c.CLOSE: close,
                }
            )
        )
    bars = pd.concat(parts, ignore_index=True)
    paths.bars.parent.mkdir(parents=True, exist_ok=True)
    bars.to_parquet(paths.bars, index=False)
    return bars


@pytest.fixture
def config() -> Config:
    shipped = load_config(ROOT / "params.yaml")
    return shipped.model_copy(update={"labels": shipped.labels.model_copy(update={"holdout_days": 15})})


@pytest.fixture
def paths(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.delenv("XRL_DATA_DIR", raising=False)
    made = Paths(tmp_path)
    write_bars(made)
    labels.run(config, made)
    return made


def test_no_outcome_of_the_holdout_is_in_the_labels(config: Config, paths: Paths) -> None:
    table, (laid, refit) = pd.read_parquet(paths.labels), folds.load(paths.folds)
    assert table[c.LABEL_END].max() == HELD
    late = table[c.TIMESTAMP] >= HELD
    assert late.sum() == 2 * 15 * 24  # the bars stay, for they will be predicted
    assert table.loc[late, [c.SCORE, c.FORWARD_RETURN, c.LABEL_END]].isna().all().all()
    assert laid[-1].test_end == HELD
    assert refit.train_end == HELD - config.labels.embargo_bars * HOUR


class Learned(NamedTuple):
    """Everything of the stages before training that training reads."""

    features: pd.DataFrame
    labels: pd.DataFrame
    files: list[bytes]  # spec, folds, class balance
    scalers: list[str]  # of every expert and policy, folds and refit
    rows: list[dict[str, object]]  # that the experts of folds and refit learn from
    inputs: list[np.ndarray]  # scaled, of those rows, with their classes


def learned(config: Config, paths: Paths) -> Learned:
    features.run(config, paths)
    labels.run(config, paths)
    laid, refit = folds.load(paths.folds)
    table = pd.read_parquet(paths.features)
    scalers, rows, inputs = [], [], []
    for expert in c.EXPERTS:
        source = read_rows(paths, expert)
        for span in (*laid, refit):
            taken = source.training(span)
            scaled, scaler = source.scaled(span)
            scalers.append(scaler.to_json())
            rows.append(signature(source.labels, taken))
            inputs += [scaled.x[taken], scaled.label[taken]]
    policy = PolicyInputs(pd.DataFrame(), table, pd.DataFrame(), np.empty(0, np.float32), config.labels)
    scalers += [policy.scaler(span.train_end).to_json() for span in (*laid[1:], refit)]
    files = [path.read_bytes() for path in (paths.feature_spec, paths.folds, paths.label_report)]
    early = table[c.TIMESTAMP] < HELD
    return Learned(table[early], pd.read_parquet(paths.labels)[early], files, scalers, rows, inputs)


def test_other_bars_in_the_holdout_change_no_byte_of_what_is_learned(config: Config, tmp_path: Path) -> None:
    """Another market goes on there: prices, amounts, and which of the optional columns are known at all."""
    symbols, end = ("SOLUSDT", "BTCUSDT"), START + 90 * 24 * HOUR
    own = ExtraFeature(
        name="leap",
        function="tests.features.peeks:leap",
        inputs=("close",),
        group="both",
        window=66,
        warmup=61,
    )
    context = ContextParams(lead="BTCUSDT", market=symbols)
    asked = config.features.model_copy(update={"extra": (own,), "context": context})
    config = config.model_copy(update={"features": asked})
    found = []
    for seed, name in enumerate(("one", "other")):
        paths = Paths(tmp_path / name)
        past = [worlds.bars("planted", symbol, START, end, 7).assign(symbol=symbol) for symbol in symbols]
        bars = pd.concat(past, ignore_index=True)[[c.SYMBOL, *c.BAR]]
        late = bars[c.TIMESTAMP] >= HELD
        bars.loc[~late, c.OPEN_INTEREST] = np.nan
        if seed:
            past = [worlds.bars("random_walk", s, START, end, 8).assign(symbol=s) for s in symbols]
            later = pd.concat(past, ignore_index=True)[[c.SYMBOL, *c.BAR]]
            later[[*c.OHLCV[:4]]] *= 30.0
            bars.loc[late] = later.assign(**{c.TAKER_BUY_VOLUME: np.nan, c.OPEN_INTEREST: 5.0})
        paths.bars.parent.mkdir(parents=True)
        bars.to_parquet(paths.bars, index=False)
        found.append(learned(config, paths))
    one, other = found
    pd.testing.assert_frame_equal(one.features, other.features, check_exact=True)
    pd.testing.assert_frame_equal(one.labels, other.labels, check_exact=True)
    assert (one.files, one.scalers, one.rows) == (other.files, other.scalers, other.rows)
    for mine, theirs in zip(one.inputs, other.inputs, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert "leap" in one.features and "lead_beta" in one.features and "taker_imbalance" in one.features
    assert all(row["last_label_end"] <= HELD.isoformat() for row in one.rows)


def test_opening_hands_out_the_outcomes_with_the_refits_classes(config: Config, paths: Paths) -> None:
    opened = open_holdout(config, paths, NOW, "the paper is written")
    own = pd.read_parquet(paths.holdout_labels)
    assert len(own) == 2 * 15 * 24 == opened.entry.opening.bars
    assert own[c.TIMESTAMP].min() == HELD
    matured = own[own[c.SCORE].notna()]
    assert len(matured) == len(own) - 2 * config.labels.horizon_bars
    _, refit = folds.load(paths.folds)
    assert (matured[c.LABEL] == np.digitize(matured[c.SCORE], [refit.cut_low, refit.cut_high])).all()
    assert json.loads(paths.holdout_opening.read_text())["hash"] == opened.entry.hash


def test_a_second_opening_is_refused_unless_it_is_meant_and_told_of_the_first(
    config: Config, paths: Paths
) -> None:
    first = open_holdout(config, paths, NOW, "once").entry
    before = paths.holdout_opening.read_bytes()
    with pytest.raises(ConfigError, match="--again"):
        open_holdout(config, paths, NOW, "twice")
    assert paths.holdout_opening.read_bytes() == before
    second = open_holdout(config, paths, NOW, "twice", again=True).entry
    assert (first.earlier, second.earlier) == ((), (first.opening,))
    found, newest = openings.read(paths.holdout_log(config.market.name))
    assert [(opening.reason, opening.again) for opening in found] == [("once", False), ("twice", True)]
    assert newest == second.hash
    assert json.loads(paths.holdout_opening.read_text())["again"] is True
    assert first.opening.data == second.opening.data
    assert (first.opening.start, first.opening.commit) == (HELD.isoformat(), None)


def test_a_renamed_market_gets_no_fresh_holdout(config: Config, paths: Paths) -> None:
    open_holdout(config, paths, NOW, "once")
    renamed = config.model_copy(update={"market": config.market.model_copy(update={"name": "other"})})
    with pytest.raises(ConfigError, match="opened before"):
        open_holdout(renamed, paths, NOW, "a new name")


def test_a_recipe_is_told_apart_and_the_data_recognised(config: Config, paths: Paths) -> None:
    first = open_holdout(config, paths, NOW, "once").entry.opening
    wider = config.labels.model_copy(update={"kind": "adaptive"})
    other = config.model_copy(update={"labels": wider})
    labels.run(other, paths)
    second = open_holdout(other, paths, NOW, "another recipe", again=True).entry.opening
    assert second.recipe != first.recipe
    assert second.data == first.data
    assert (first.kind, second.kind) == ("normalised_percentile", "adaptive")


def test_workspaces_of_one_store_share_the_log(config: Config, paths: Paths, tmp_path: Path) -> None:
    (paths.data / "market").mkdir(parents=True)
    other = Paths(tmp_path / "var" / "workspaces" / "one")
    other.data.mkdir(parents=True)
    (other.data / "market").symlink_to(paths.data / "market", target_is_directory=True)
    assert other.holdout_log("planted") == paths.holdout_log("planted")


def test_nothing_is_opened_that_was_not_held_back(config: Config, paths: Paths) -> None:
    none = config.model_copy(update={"labels": config.labels.model_copy(update={"holdout_days": 0})})
    labels.run(none, paths)
    with pytest.raises(ConfigError, match=r"labels\.holdout_days"):
        open_holdout(none, paths, NOW, "for nothing")
    assert not paths.holdout_log(config.market.name).exists()


def test_labels_of_other_parameters_are_not_opened(config: Config, paths: Paths) -> None:
    other = config.model_copy(update={"labels": config.labels.model_copy(update={"horizon_bars": 10})})
    with pytest.raises(DataError, match="what was held back"):
        open_holdout(other, paths, NOW, "in a hurry")
    assert not paths.holdout_log(config.market.name).exists()


def test_a_reason_is_wanted(config: Config, paths: Paths) -> None:
    with pytest.raises(ConfigError, match="--reason"):
        open_holdout(config, paths, NOW, "  ")


def test_the_commands_draw_open_and_tell(
    config: Config, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = (ROOT / "params.yaml").read_text().replace("holdout_days: 0 ", "holdout_days: 15 ")
    paths.params.write_text(params)
    monkeypatch.chdir(paths.root)

    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, result.output
        return result.stdout

    drawn = said("folds", "show")
    assert "fold 3" in drawn and "HHHH" in drawn and "refit" in drawn
    assert (paths.root / "var" / "folds.svg").read_text().startswith("<svg")
    assert "split 1+2" in said("folds", "show", "--groups", "4", "--tested", "2")
    assert said("holdout", "log") == "never opened\n"
    assert "OPENED BEFORE" not in said("holdout", "open", "--reason", "once")
    refused = CliRunner().invoke(app, ["holdout", "open", "--reason", "twice"])
    assert isinstance(refused.exception, ConfigError)
    assert "!!! OPENED BEFORE (1)" in said("holdout", "open", "--reason", "twice", "--again")
    assert "2 openings, newest hash" in said("holdout", "log")


def test_drawing_needs_labels(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path / "empty")
    result = CliRunner().invoke(app, ["folds", "show"])
    assert isinstance(result.exception, DataError)
    assert "run `xrl labels`" in str(result.exception)
