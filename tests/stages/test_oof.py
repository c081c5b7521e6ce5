"""Two folds of two symbols with made-up predictions; no model is trained here."""

import numpy as np
import pandas as pd
import pytest

from xrl import columns
from xrl.config import OofParams
from xrl.errors import DataError
from xrl.experts import alignment
from xrl.stages import oof

WIDTH = 12
START = pd.Timestamp("2025-01-01", tz="UTC")


def _table(
    hours: range, seed: int, turn: np.ndarray | None = None, align: range | None = None
) -> pd.DataFrame:
    """Predictions of both symbols over `hours`, and role `align` over `align`; embeddings follow the hour."""
    parts = []
    for role, span in (("test", hours), ("align", align or hours)):
        for place, symbol in enumerate(("BTCUSDT", "ADAUSDT")):
            rng = np.random.default_rng([place, *span])
            e = rng.normal(size=(len(span), WIDTH))
            logits = e[:, :3] * 0.5
            p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            e = e if turn is None else e @ turn.T
            keys = pd.DataFrame(
                {"symbol": symbol, "timestamp": [START + pd.Timedelta(hours=h) for h in span]}
            )
            keys["timestamp"] = keys["timestamp"].astype(columns.TIME_DTYPE)
            names = [f"e{i:03d}" for i in range(WIDTH)]
            parts.append(
                pd.concat(
                    [
                        keys.assign(role=role),
                        pd.DataFrame(p, columns=columns.CLASSES).assign(uncertainty=0.01),
                        pd.DataFrame(e, columns=names),
                    ],
                    axis=1,
                )
            )
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def tables() -> dict[tuple[int, str], pd.DataFrame]:
    turn = np.linalg.qr(np.random.default_rng(9).normal(size=(WIDTH, WIDTH)))[0]
    first, second = range(60), range(60, 100)
    return {
        (fold, expert): _table(hours, 0, turn if fold else None, align=first)
        for fold, hours in ((0, first), (1, second))
        for expert in columns.EXPERTS
    }


ORDER = ["BTCUSDT", "ADAUSDT"]
SHARES = {"pattern": 0.5, "indicator": 0.5}
THREE = {"pattern": 0.25, "indicator": 0.25, "boosted": 0.5}


class TestStitch:
    def test_every_test_bar_appears_once_in_order_of_symbol_and_time(self, tables):
        found = oof.stitch(tables, [0, 1], ORDER, SHARES)
        assert found["symbol"].tolist() == ["BTCUSDT"] * 100 + ["ADAUSDT"] * 100
        hours = ((found["timestamp"] - START) / pd.Timedelta(hours=1)).tolist()
        assert hours == [*range(100), *range(100)]
        assert found["fold"].tolist() == [*[0] * 60, *[1] * 40] * 2

    def test_the_committee_is_the_weighted_mean_of_the_experts(self, tables):
        tables[0, "pattern"].loc[0, ["sell", "hold", "buy"]] = [0.5, 0.3, 0.2]
        tables[0, "indicator"].loc[0, ["sell", "hold", "buy"]] = [0.1, 0.3, 0.6]
        row = oof.stitch(tables, [0, 1], ORDER, SHARES).iloc[0]
        assert [row[f"committee_{name}"] for name in columns.CLASSES] == pytest.approx([0.3, 0.3, 0.4])
        row = oof.stitch(tables, [0, 1], ORDER, {"pattern": 0.25, "indicator": 0.75}).iloc[0]
        assert [row[f"committee_{name}"] for name in columns.CLASSES] == pytest.approx([0.2, 0.3, 0.5])

    def test_uncertainty_comes_from_the_experts_and_from_between_them(self, tables):
        tables[0, "pattern"].loc[0, "uncertainty"] = 0.05
        found = oof.stitch(tables, [0, 1], ORDER, SHARES)
        assert found.loc[0, "pattern_uncertainty"] == 0.05
        alike = found["pattern_buy"] == found["indicator_buy"]  # the made-up experts say the same
        assert alike.all()
        assert found["committee_uncertainty"].iloc[:2].tolist() == pytest.approx([0.03, 0.01])

    def test_a_third_expert_votes_beside_them(self, tables):
        for fold in (0, 1):
            tables[fold, "boosted"] = tables[fold, "pattern"].drop(
                columns=[f"e{i:03d}" for i in range(2, 12)]
            )
        tables[0, "boosted"].loc[0, ["sell", "hold", "buy"]] = [0.1, 0.3, 0.6]
        tables[0, "pattern"].loc[0, ["sell", "hold", "buy"]] = [0.5, 0.3, 0.2]
        tables[0, "indicator"].loc[0, ["sell", "hold", "buy"]] = [0.5, 0.3, 0.2]
        row = oof.stitch(tables, [0, 1], ORDER, THREE).iloc[0]
        assert [row[f"committee_{name}"] for name in columns.CLASSES] == pytest.approx([0.3, 0.3, 0.4])
        assert row["boosted_buy"] == 0.6

    def test_a_bar_that_one_expert_lacks_is_left_out(self, tables):
        tables[1, "pattern"] = tables[1, "pattern"].drop(index=0)
        assert len(oof.stitch(tables, [0, 1], ORDER, SHARES)) == 199

    def test_a_bar_of_two_folds_is_refused(self, tables):
        for expert in columns.EXPERTS:
            tables[1, expert] = _table(range(59, 100), 0, align=range(60))
        with pytest.raises(DataError, match=r"2 bars were predicted by two folds, first BTCUSDT 2025-01-03"):
            oof.stitch(tables, [0, 1], ORDER, SHARES)


def _params(observation: str, width: int = 5, committee: tuple[str, ...] = columns.EXPERTS) -> OofParams:
    weights = [1] * len(committee)
    return OofParams.model_validate(
        {
            "committee": committee,
            "weights": weights,
            "observation": observation,
            "projection_width": width,
        }
    )


class TestBlocks:
    def test_fold_0_is_not_turned(self, tables):
        np.testing.assert_allclose(
            oof.fold_matrix(tables, 0, "pattern", _params("fused")), np.eye(WIDTH), atol=1e-9
        )

    def test_projected_blocks_begin_with_each_folds_own_class_contrasts(self, tables):
        for fold in (0, 1):
            table = tables[fold, "pattern"]
            block = oof.embeddings(table, "test") @ oof.fold_matrix(
                tables, fold, "pattern", _params("projected")
            )
            assert block.shape == (len(oof.test_rows(table)), 5)
            p = oof.probabilities(table, "test")
            assert np.corrcoef(block[:, 0], np.log(p[:, 2] / p[:, 0]))[0, 1] > 0.999

    def test_blocks_lie_in_the_order_of_the_stitched_rows(self, tables):
        stitched = oof.stitch(tables, [0, 1], ORDER, SHARES)
        params = _params("probabilities")
        matrices = {key: oof.fold_matrix(tables, *key, params) for key in tables}
        blocks = oof._blocks(stitched, tables, matrices, params)
        assert blocks.dtype == np.float32
        np.testing.assert_allclose(blocks[:, 5], stitched["indicator_buy"], atol=1e-6)
        projected = oof._blocks(
            stitched,
            tables,
            {key: oof.fold_matrix(tables, *key, _params("projected")) for key in tables},
            _params("projected"),
        )
        odds = np.log(stitched["pattern_buy"] / stitched["pattern_sell"])
        first = (stitched["fold"] == 0).to_numpy()
        assert np.corrcoef(projected[first, 0], odds[first])[0, 1] > 0.999
        assert np.corrcoef(projected[~first, 0], odds[~first])[0, 1] > 0.999


@pytest.mark.parametrize(("observation", "width"), [("projected", 5), ("fused", WIDTH)])
def test_the_boosted_block_is_its_two_contrasts(tables, observation, width):
    """Not turned and not projected: they mean the same in every training."""
    for fold in (0, 1):
        own = tables[fold, "pattern"].drop(columns=[f"e{i:03d}" for i in range(2, WIDTH)])
        contrasts = alignment.log_contrasts(own[list(columns.CLASSES)].to_numpy())
        tables[fold, "boosted"] = own.assign(e000=contrasts[:, 0], e001=contrasts[:, 1])
    params = _params(observation, committee=columns.VOTERS)
    stitched = oof.stitch(tables, [0, 1], ORDER, params.shares)
    matrices = {key: oof.fold_matrix(tables, *key, params) for key in tables}
    blocks = oof._blocks(stitched, tables, matrices, params)
    assert blocks.shape == (len(stitched), 2 * width + 2)
    odds = np.log(stitched["boosted_buy"] / stitched["boosted_sell"])
    np.testing.assert_allclose(blocks[:, -2], odds, atol=1e-5)


def test_missing_predictions_name_the_command(tmp_path):
    from xrl.paths import Paths

    with pytest.raises(DataError, match="run `xrl experts --fold 1 --expert pattern`"):
        oof.read_predictions(Paths(tmp_path), 1, "pattern")
