import numpy as np
import pytest

from xrl.errors import TrainingError
from xrl.experts import boosted, linear


def _table(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """First column decides the class with some noise; the other two say nothing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    y = np.digitize(x[:, 0] + 0.5 * rng.normal(size=rows), [-0.5, 0.5])
    return x, y


@pytest.mark.parametrize("learner", [boosted, linear])
class TestBaseline:
    def test_it_learns_what_one_column_tells(self, learner):
        (x, y), (test_x, test_y) = _table(2000, 0), _table(1000, 1)
        p = learner.fit_predict(x, y, test_x, seed=0)
        assert p.shape == (1000, 3)
        np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-6)
        assert (p.argmax(axis=1) == test_y).mean() > 0.6

    def test_the_same_seed_gives_the_same_bits(self, learner):
        (x, y), (test_x, _) = _table(500, 0), _table(50, 1)
        first, again = (learner.fit_predict(x, y, test_x, seed=3) for _ in range(2))
        np.testing.assert_array_equal(first, again)

    def test_a_missing_class_is_named(self, learner):
        x, y = _table(300, 0)
        keep = y != 2
        with pytest.raises(TrainingError, match=r"BUY missing .*labels\.percentiles"):
            learner.fit_predict(x[keep], y[keep], x, seed=0)

    def test_a_nan_row_is_refused(self, learner):
        x, y = _table(300, 0)
        x[7, 1] = np.nan
        with pytest.raises(TrainingError, match=r"1 of 300 .* first at row 7"):
            learner.fit_predict(x, y, x, seed=0)
