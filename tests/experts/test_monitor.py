"""What is said of every epoch, with a loop whose calls are known."""

import numpy as np
import pytest

from xrl.columns import CLASSES
from xrl.errors import TrainingError
from xrl.experts.monitor import looks
from xrl.experts.windows import Rows
from xrl.presets import Schedule

BARS, WINDOW = 120, 6
LEARNED, HELD = np.arange(BARS) < 80, np.arange(BARS) >= 90
EVERY = Schedule(hop=4, context=2)
LABEL = (np.arange(BARS) % 3).astype(np.int8)
ROWS = Rows(np.eye(3, dtype=np.float32)[LABEL], np.arange(BARS), LABEL)


class Oracle:
    """Calls the class that a bar's features name, `sure` so; `shift` makes it wrong."""

    def __init__(self, sure: float = 2.0, shift: int = 0, positions: int = WINDOW) -> None:
        self._sure, self._shift, self._positions = sure, shift, positions

    def logits(self, x: np.ndarray) -> np.ndarray:
        return self._sure * np.roll(x, self._shift, axis=-1)[:, -self._positions :]


def _figures(loop: Oracle, held: np.ndarray = HELD, schedule: Schedule = EVERY) -> dict[str, float]:
    return looks(ROWS, LEARNED, held, WINDOW, schedule).figures(loop)


def test_a_right_call_everywhere_scores_one():
    found = _figures(Oracle())
    assert found["validation_f1"] == found["validation_accuracy"] == found["train_accuracy"] == 1.0
    assert [found[f"validation_f1_{name}"] for name in CLASSES] == [1.0] * 3
    assert found["validation_loss"] == pytest.approx(np.log(1 + 2 * np.exp(-2)))
    assert found["train_loss"] == pytest.approx(found["validation_loss"])
    assert found["collapsed"] == 0.0


def test_the_confusion_matrix_counts_every_held_out_bar_once():
    found = _figures(Oracle(shift=1))  # SELL is called HOLD, HOLD is called BUY
    matrix = np.array([[found[f"confusion_{truth}_{said}"] for said in CLASSES] for truth in CLASSES])
    assert np.trace(matrix) == 0
    assert matrix[0, 1] > 0 and matrix[1, 2] > 0 and matrix[2, 0] > 0
    assert 24 <= matrix.sum() <= HELD.sum()
    shares = [found[f"predicted_{name}"] for name in CLASSES]
    np.testing.assert_allclose(shares, matrix.sum(axis=0) / matrix.sum())


def test_one_class_above_ninety_per_cent_is_a_collapse():
    class Always:
        def logits(self, x: np.ndarray) -> np.ndarray:
            return np.broadcast_to(np.array([0.0, 0.0, 5.0]), (len(x), WINDOW, 3))

    found = _figures(Always())
    assert found["predicted_buy"] == 1.0
    assert found["collapsed"] == 1.0


def test_without_held_out_bars_the_training_bars_are_told():
    found = _figures(Oracle(), held=np.zeros(BARS, dtype=bool))
    assert not [name for name in found if name.startswith("validation")]
    assert found["predicted_sell"] == pytest.approx(1 / 3, abs=0.05)


def test_the_newest_position_alone_is_looked_at_where_it_alone_trains():
    schedule = Schedule(positions="last", hop=1)
    found = _figures(Oracle(positions=1), schedule=schedule)
    assert sum(found[f"confusion_{a}_{b}"] for a in CLASSES for b in CLASSES) == HELD.sum()


def test_validation_bars_keep_the_newest():
    schedule = Schedule(hop=4, context=2, validation_bars=10)
    held = looks(ROWS, LEARNED, HELD, WINDOW, schedule).held
    assert np.flatnonzero(held.mask).tolist() == list(range(110, 120))


def test_bars_held_out_that_nothing_can_look_at_are_refused():
    broken = Rows(ROWS.x, np.where(HELD, np.arange(BARS) % 3, ROWS.position), LABEL)
    with pytest.raises(TrainingError, match="validation is empty: none of the 30 held-out bars"):
        looks(broken, LEARNED, HELD, WINDOW, EVERY)
