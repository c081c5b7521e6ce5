"""What the refit's policy learns from ends where its experts' training ends."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.stages import predicted
from tests.stages.conftest import Walked
from xrl import columns as c
from xrl.config import load_config
from xrl.env.market import MarketTensor
from xrl.labels import folds
from xrl.paths import Paths
from xrl.policy.teacher import Choice
from xrl.stages.policy_inputs import naive, read_policy_inputs
from xrl.stages.refit import judged_choice, policy_bars

ROOT = Path(__file__).parents[2]
HOUR = np.timedelta64(1, "h")


def built(folder: Path, holdout_days: int) -> Walked:
    config = predicted.smaller(load_config(ROOT / "params.yaml"), ("BTCUSDT",), laid=2)
    labels = config.labels.model_copy(update={"holdout_days": holdout_days})
    walked = Walked(config.model_copy(update={"labels": labels}), Paths(folder))
    predicted.build(*walked, days=60)
    return walked


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    return built(tmp_path_factory.mktemp("held"), holdout_days=8)


def seen(walked: Walked) -> MarketTensor:
    laid, span = folds.load(walked.paths.folds)
    inputs = read_policy_inputs(walked.paths, walked.config.labels)
    [tensor] = policy_bars(inputs, inputs.scaler(span.train_end), laid[0], span)
    return tensor


def test_before_a_holdout_the_embargo_stays_unseen(held: Walked) -> None:
    span, found = folds.load_holdout(held.paths.folds), seen(held).timestamp
    assert span is not None
    assert found[0] == naive(folds.load(held.paths.folds)[0][0].test_start)
    assert found[-1] + HOUR == naive(span.train_end)
    assert naive(span.start) - naive(span.train_end) == held.config.labels.embargo_bars * HOUR


def test_without_a_holdout_every_out_of_fold_bar_is_seen(tmp_path: Path) -> None:
    walked = built(tmp_path, holdout_days=0)
    assert seen(walked).timestamp[-1] + HOUR == naive(predicted.START + pd.Timedelta(days=60))


def test_what_comes_in_the_embargo_and_in_the_holdout_changes_nothing_that_is_learned(held: Walked) -> None:
    before, (_, span) = seen(held), folds.load(held.paths.folds)
    bars, blocks = pd.read_parquet(held.paths.bars), np.load(held.paths.oof_blocks)
    table = pd.read_parquet(held.paths.features)
    predictions = pd.read_parquet(held.paths.oof_predictions)
    bars.loc[bars[c.TIMESTAMP] >= span.train_end, list(c.OHLCV)] *= 1.5
    late = table[c.TIMESTAMP] >= span.train_end
    table.loc[late, [name for name in table if name not in (c.SYMBOL, c.TIMESTAMP)]] = 0.5
    late_blocks = (predictions[c.TIMESTAMP] >= span.train_end).to_numpy()
    assert late_blocks.sum() == held.config.labels.embargo_bars
    blocks[late_blocks] = 0.9
    bars.to_parquet(held.paths.bars, index=False)
    table.to_parquet(held.paths.features, index=False)
    np.save(held.paths.oof_blocks, blocks)
    after = seen(held)
    for name in MarketTensor.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


@pytest.mark.parametrize(
    ("quantiles", "expected"),
    [([0.9, 0.5, 0.95], 0.9), ([0.9, None, 0.5], 0.7), ([0.9, None], None), ([None, None, 0.5], None)],
)
def test_the_teachers_threshold_is_the_folds_median_not_a_choice_of_its_own(
    quantiles: list[float | None], expected: float | None, tmp_path: Path
) -> None:
    teachers = [{"teacher": {"penalty": 0.3, "quantile": quantile}} for quantile in quantiles]
    paths = Paths(tmp_path)
    paths.policy_report.parent.mkdir(parents=True)
    paths.policy_report.write_text(json.dumps({"folds": dict(enumerate(teachers, start=1))}))
    assert judged_choice(paths) == Choice(0.3, expected)
