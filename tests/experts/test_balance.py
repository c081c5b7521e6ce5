import numpy as np
import pytest

from xrl.errors import TrainingError
from xrl.experts.balance import balanced_weights, class_weights


def test_balanced_weights_are_inverse_to_counts():
    y = np.array([0, 0, 0, 1, 1, 2])
    np.testing.assert_allclose(balanced_weights(y), [6 / 9, 6 / 6, 6 / 3])


def test_named_weights():
    y = np.array([0, 1, 2, 2])
    np.testing.assert_allclose(class_weights(y, "source"), [1.2, 1.1, 0.8])
    np.testing.assert_allclose(class_weights(y, "none"), [1.0, 1.0, 1.0])


@pytest.mark.parametrize("kind", ["balanced", "source", "none"])
def test_a_class_without_rows_is_refused_whatever_the_kind(kind):
    with pytest.raises(TrainingError, match="HOLD missing"):
        class_weights(np.array([0, 2]), kind)
