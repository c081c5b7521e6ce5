"""The leak police: each planted leak raises an alarm, clean data raise none.

A random walk with volatility clustering holds no direction at all, so whatever is foreseen in it leaks. Which
alarm finds which leak (bounds of params.yaml, section `gate`):

    leak                             scores (the gate's alarms)     structure (exact, whatever the data)
    features one bar ahead           IC, Sharpe                     prefix
    random split                     direction, IC, perhaps F1      reaching labels
    scaler fitted on all bars        none: figures hardly move      scaler
    label purge missing              none: 40 bars among 9,000      reaching labels
    higher timeframe unclosed        IC, Sharpe                     prefix
    a column that rarely peeks       none: 6 bars among 1,000       windows around those bars
    clean                            none                           none

The same leaks among the stages' files, and the figures of `causality` that the gate judges them by, stand
in tests/stages/test_leak_check.py and test_leak_columns.py; there the rows that an expert reports tell of a
random split and of a missing purge as well.

F1 alone does not find a leak: most of it is foreseen volatility, to which a leak of direction adds little.
One bar ahead and an unclosed timeframe stay at .39, a random split comes to .42 with 61 columns and .45 with
118, where the alarm stands at .43. The shifted-label null finds none of these either, since it moves labels
against calls already made; it finds what scores at any time (last test).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from xrl import columns as c
from xrl.account.step import terms_of
from xrl.backtest.baselines import Court, threshold_targets
from xrl.backtest.portfolio import grid_of, sharpe_by_year
from xrl.config import ExtraFeature, load_config
from xrl.env.market import MarketTensor, stack
from xrl.evaluation import leaks, summary
from xrl.evaluation.summary import Predictions
from xrl.experts import boosted
from xrl.features import scaling, table
from xrl.features.scaling import Scaler
from xrl.labels import folds
from xrl.labels.classes import classes, fit
from xrl.labels.folds import Fold
from xrl.paths import Paths
from xrl.registry.alarms import alarms, null
from xrl.sandbox import worlds
from xrl.stages import features, labels, leak_columns
from xrl.stages.stored_columns import Stored

CONFIG = load_config(Path(__file__).parents[1] / "params.yaml")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
START, DAYS, SEED = pd.Timestamp("2024-01-01", tz="UTC"), 640, 7
HOUR = np.timedelta64(1, "h")

Matrix = np.ndarray
Split = tuple[np.ndarray, np.ndarray]  # rows that train, rows that are tested


class World(NamedTuple):
    """Bars without a direction, with the features, labels and folds that the stages make of them."""

    bars: pd.DataFrame
    names: list[str]
    matrix: Matrix
    labels: pd.DataFrame
    fold: Fold  # tests the last 60 % of the time

    @property
    def opens(self) -> np.ndarray:
        return _naive(self.bars[c.TIMESTAMP])

    @property
    def known(self) -> np.ndarray:
        """Bars with every feature and an outcome."""
        return np.isfinite(self.matrix).all(axis=1) & self.labels[c.SCORE].notna().to_numpy()

    def walk(self) -> list[Split]:
        """The honest split."""
        return [(folds.train_mask(self.labels, self.fold), folds.test_mask(self.labels, self.fold))]

    def embargo(self) -> np.timedelta64:
        return CONFIG.labels.embargo_bars * HOUR


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    paths = Paths(tmp_path_factory.mktemp("leaks"))
    end = START + pd.Timedelta(days=DAYS)
    parts = [worlds.bars("random_walk", s, START, end, SEED).assign(**{c.SYMBOL: s}) for s in SYMBOLS]
    bars = pd.concat(parts, ignore_index=True)[[c.SYMBOL, *c.BAR]]
    paths.bars.parent.mkdir(parents=True)
    bars.to_parquet(paths.bars, index=False)
    two = CONFIG.labels.model_copy(update={"folds": (0, 1)})
    market = CONFIG.market.model_copy(update={"symbols": SYMBOLS})
    config = CONFIG.model_copy(update={"labels": two, "market": market})
    features.run(config, paths)
    labels.run(config, paths)
    built = pd.read_parquet(paths.features).drop(columns=[c.SYMBOL, c.TIMESTAMP])
    (first, last), _ = folds.load(paths.folds)
    one = Fold(0, first.train_start, first.train_end, first.test_start, last.test_end)
    outcomes = pd.read_parquet(paths.labels)
    return World(bars, list(built.columns), built.to_numpy(np.float64), outcomes, one)


# The leaks.


def one_bar_ahead(world: World, matrix: Matrix) -> Matrix:
    """Every row holds what its symbol's next bar shows."""
    moved = np.full(matrix.shape, np.nan)
    for rows in world.bars.groupby(c.SYMBOL, sort=False).indices.values():
        moved[rows[:-1]] = matrix[rows[1:]]
    return moved


def next_return(bars: pd.DataFrame) -> Matrix:
    """The next bar's return, for the prefix check: a column of its own kind. (rows, 1)"""
    following = bars.groupby(c.SYMBOL, sort=False)[c.CLOSE].shift(-1)
    return np.log(following.to_numpy() / bars[c.CLOSE].to_numpy())[:, None]


def unclosed_four_hours(bars: pd.DataFrame) -> Matrix:
    """How far the close of the four-hour bar that this hour belongs to lies ahead, known or not. (rows, 1)"""
    four = bars[c.TIMESTAMP].dt.floor("4h")
    close = bars.groupby([bars[c.SYMBOL], four], sort=False)[c.CLOSE].transform("last")
    return np.log(close.to_numpy() / bars[c.CLOSE].to_numpy())[:, None]


def closed_four_hours(bars: pd.DataFrame) -> Matrix:
    """How far the close of the last four-hour bar that has closed by this hour's close lies. (rows, 1)"""
    found = np.full((len(bars), 1), np.nan)
    for rows in bars.groupby(c.SYMBOL, sort=False).indices.values():
        own = bars.iloc[rows]
        last_hour = (own[c.TIMESTAMP] + pd.Timedelta(hours=1)).dt.hour % 4 == 0
        found[rows, 0] = np.log(own[c.CLOSE].where(last_hour).ffill() / own[c.CLOSE])
    return found


def random_split(world: World, parts: int = 2) -> list[Split]:
    part = np.random.default_rng(0).integers(parts, size=len(world.bars))
    return [(part != k, part == k) for k in range(parts)]


def without_purge(world: World) -> list[Split]:
    """Everything before the test span trains, label known or not."""
    time = world.bars[c.TIMESTAMP]
    tested = folds.test_mask(world.labels, world.fold)
    return [((time < world.fold.test_start).to_numpy(), tested)]


# The alarms.


def scored(world: World, matrix: Matrix, splits: Sequence[Split], fit_on_all: bool = False) -> dict[str, Any]:
    """The figures that the gate sees, of LightGBM trained and tested on `splits`."""
    known = world.known & np.isfinite(matrix).all(axis=1)
    probabilities = np.full((len(matrix), 3), np.nan)
    truth = np.full(len(matrix), c.UNKNOWN)
    for training, tested in splits:
        train, test = training & known, tested & known
        scaler = scaling.fit(matrix[known if fit_on_all else train], [str(k) for k in range(matrix.shape[1])])
        cut = fit(world.labels[train], CONFIG.labels)
        learned = classes(world.labels[train], cut)
        probabilities[test] = boosted.fit_predict(
            scaler.transform(matrix[train]), learned, scaler.transform(matrix[test]), 0
        )
        truth[test] = classes(world.labels[test], cut)
    rows = np.isfinite(probabilities[:, 0])
    found = Predictions(
        symbol=world.bars.loc[rows, c.SYMBOL].to_numpy(str),
        timestamp=world.opens[rows],
        probabilities=probabilities[rows],
        truth=truth[rows],
        forward_return=world.labels.loc[rows, c.FORWARD_RETURN].to_numpy(np.float64),
        score=world.labels.loc[rows, c.SCORE].to_numpy(np.float64),
    )
    start, end = (pd.Timestamp(time, tz="UTC") for time in (found.timestamp.min(), found.timestamp.max()))
    span = {"start": start.isoformat(), "end": end.isoformat()}
    prediction = {
        **summary.prediction_figures(found, 200, 0),
        **summary.null_figures(found, CONFIG.labels.horizon_bars + CONFIG.experts.window_bars, 0),
        **span,
    }
    return {"prediction": prediction, "trading": traded(world, rows, found.signal), **span}


def traded(world: World, rows: np.ndarray, signal: np.ndarray) -> dict[str, Any]:
    """Net Sharpe of following the signal's stronger half."""
    tensors = []
    for symbol in SYMBOLS:
        own = world.bars[rows & (world.bars[c.SYMBOL] == symbol).to_numpy()]
        count = len(own)
        tensors.append(
            MarketTensor(
                symbol, _naive(own[c.TIMESTAMP]), own[list(c.OHLCV[:4])].to_numpy(np.float64),
                own[c.FUNDING_RATE].fillna(0.0).to_numpy(), np.zeros(count), np.ones(count),
                np.zeros((count, 0), np.float32), np.zeros((count, 10), np.float32),
                np.zeros((count, 5), np.float32),
            )
        )  # fmt: skip
    court = Court(stack(tensors), grid_of([t.timestamp for t in tensors]), terms_of(CONFIG.backtest))
    threshold = np.full(len(signal), np.median(np.abs(signal)))
    targets = threshold_targets(signal, threshold, court.panel)
    equity = court.equity(targets)
    years = sharpe_by_year(equity, court.grid.timestamp)
    return {"sharpe": {"value": court.sharpe(targets)}, "sharpe_year": years}


def raised(found: dict[str, Any]) -> set[str]:
    """Names of the alarms that refuse."""
    return {
        check.name for check in (*alarms(found, CONFIG.gate), *null(found, CONFIG.gate)) if not check.passed
    }


def reaching(world: World, splits: Sequence[Split]) -> int:
    """Training labels that reach into what is tested; a scattered test set is its bars one by one."""
    ends = _naive(world.labels[c.LABEL_END])
    total = 0
    for training, tested in splits:
        runs = np.flatnonzero(np.diff(np.concatenate([[0], tested.astype(int), [0]])))
        spans = {(world.opens[a], world.opens[b - 1] + HOUR) for a, b in runs.reshape(-1, 2)[:50]}
        used = training & world.known
        total += sum(leaks.reaching_labels(world.opens, ends, used, span, world.embargo()) for span in spans)
    return total


def apart(world: World, matrix: Matrix, scaler: Scaler) -> float:
    """How far a scaler stands from the one of the training bars."""
    [(training, _)] = world.walk()
    own = scaling.fit(matrix[training & world.known], world.names)
    return leaks.scaler_difference(
        *(np.array(v) for v in (scaler.center, scaler.scale, own.center, own.scale))
    )


def prefix(world: World, whole: Matrix, build: Any) -> float:
    """Largest move of a column when the bars after some moment are cut off."""
    moments = [world.opens.max() - days * 24 * HOUR - hours * HOUR for days, hours in ((3, 0), (90, 6))]
    masks = [world.opens < moment for moment in moments]
    return float(leaks.prefix_differences(whole, masks, lambda keep: build(world.bars[keep])).max())


def _naive(time: pd.Series) -> np.ndarray:
    return time.dt.tz_localize(None).to_numpy("datetime64[ms]")


# What they say.


def test_clean_data_raise_no_alarm(world: World) -> None:
    found = scored(world, world.matrix, world.walk())
    assert raised(found) == set()
    assert reaching(world, world.walk()) == 0
    [(training, _)] = world.walk()
    assert apart(world, world.matrix, scaling.fit(world.matrix[training & world.known], world.names)) == 0.0
    closed = closed_four_hours(world.bars)
    assert prefix(world, closed, closed_four_hours) == 0.0
    assert raised(scored(world, np.hstack([world.matrix, closed]), world.walk())) == set()


def test_features_one_bar_ahead_show_in_ic_and_sharpe_and_in_the_prefix_but_not_in_f1(world: World) -> None:
    ahead = one_bar_ahead(world, world.matrix)
    found = raised(scored(world, ahead, world.walk()))
    assert {"alarm_ic", "alarm_sharpe"} <= found
    assert "alarm_f1_macro" not in found
    assert prefix(world, next_return(world.bars), next_return) > 0.0


def test_a_random_split_shows_in_direction_and_ic_and_its_labels_reach(world: World) -> None:
    splits = random_split(world)
    found = raised(scored(world, world.matrix, splits))
    assert {"alarm_direction_accuracy", "alarm_ic"} <= found
    assert reaching(world, splits) > 1000


def test_a_scaler_fitted_on_all_bars_shows_in_no_score_but_in_its_numbers(world: World) -> None:
    assert raised(scored(world, world.matrix, world.walk(), fit_on_all=True)) == set()
    everything = scaling.fit(world.matrix[world.known], world.names)
    assert apart(world, world.matrix, everything) > 0.01


def test_a_missing_purge_shows_in_no_score_but_its_labels_reach(world: World) -> None:
    splits = without_purge(world)
    assert raised(scored(world, world.matrix, splits)) == set()
    bars = CONFIG.labels.horizon_bars + CONFIG.labels.embargo_bars
    assert reaching(world, splits) == pytest.approx(bars * len(SYMBOLS), abs=len(SYMBOLS))


def test_an_unclosed_higher_timeframe_shows_in_ic_and_sharpe_and_in_the_prefix_but_not_in_f1(
    world: World,
) -> None:
    column = unclosed_four_hours(world.bars)
    found = raised(scored(world, np.hstack([world.matrix, column]), world.walk()))
    assert {"alarm_ic", "alarm_sharpe"} <= found
    assert "alarm_f1_macro" not in found
    assert prefix(world, column, unclosed_four_hours) > 0.0


def test_a_column_that_rarely_peeks_shows_in_no_score_but_around_the_bars_it_singles_out(
    world: World,
) -> None:
    own = ExtraFeature(
        name="own",
        function="tests.features.peeks:peek",
        inputs=(c.CLOSE,),
        group="both",
        window=66,
        warmup=61,
    )
    asked = CONFIG.features.model_copy(update={"extra": (own,)})
    config, declared = CONFIG.model_copy(update={"features": asked}), table.declared(asked)
    column = features.build_all(world.bars, config)[:, table.positions(["own"], declared)]
    assert 0 < np.nanmean(column) < 0.01
    assert raised(scored(world, np.hstack([world.matrix, column]), world.walk())) == set()
    stored = Stored(config, world.bars, ("own",), column, declared, np.empty(0, np.int64))
    assert leak_columns.compare(stored, []).worst.difference > 1.0


def test_the_null_finds_what_is_foreseen_at_any_time() -> None:
    """A model that knows which coin falls all along scores on labels of any other time as well."""
    rng = np.random.default_rng(0)
    count = 4000
    side = np.repeat([1.0, -1.0], count)
    forward = side * 0.01 + rng.normal(0, 0.01, 2 * count)
    hours = np.datetime64("2024-01-01", "ms") + np.arange(count) * HOUR
    knows = np.where(side[:, None] > 0, [0.1, 0.1, 0.8], [0.8, 0.1, 0.1])
    truth = np.digitize(forward, [-0.005, 0.005])
    symbol = np.repeat(np.array(["RISES", "FALLS"]), count)
    found = Predictions(symbol, np.tile(hours, 2), knows, truth, forward, forward)
    prediction = {**summary.prediction_figures(found, 200, 0), **summary.null_figures(found, 80, 0)}
    refused = {check.name for check in null({"prediction": prediction}, CONFIG.gate) if not check.passed}
    assert refused == {"null_f1", "null_direction"}
