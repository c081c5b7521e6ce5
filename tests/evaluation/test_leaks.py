"""What each structural check sees, on columns small enough to follow."""

import numpy as np
import pytest

from xrl.errors import DataError
from xrl.evaluation import leaks

CLOSE = np.random.default_rng(0).normal(size=60).cumsum()


def keep_first(count: int) -> np.ndarray:
    return np.arange(60) < count


def columns(close: np.ndarray) -> np.ndarray:
    """A causal mean of two bars (the first unknown), the close itself, and a constant."""
    mean = np.full(len(close), np.nan)
    mean[1:] = (close[1:] + close[:-1]) / 2
    return np.stack([mean, close, np.ones(len(close))], axis=1)


def test_causal_columns_do_not_move() -> None:
    found = leaks.prefix_differences(
        columns(CLOSE), map(keep_first, (1, 20, 60)), lambda keep: columns(CLOSE[keep])
    )
    np.testing.assert_array_equal(found, [0, 0, 0])


def test_a_column_that_knows_the_last_bar_moves_by_its_deviations() -> None:
    def centred(close: np.ndarray) -> np.ndarray:
        return (close - close.mean())[:, None]

    whole = centred(CLOSE)
    [found] = leaks.prefix_differences(whole, [keep_first(30)], lambda keep: centred(CLOSE[keep]))
    assert found == pytest.approx(abs(CLOSE.mean() - CLOSE[:30].mean()) / CLOSE.std())


def test_a_column_a_bar_ahead_is_known_where_it_cannot_be() -> None:
    def ahead(close: np.ndarray) -> np.ndarray:
        return np.append(close[1:], np.nan)[:, None]

    [found] = leaks.prefix_differences(ahead(CLOSE), [keep_first(30)], lambda keep: ahead(CLOSE[keep]))
    assert np.isinf(found)


def test_the_worst_column_is_named() -> None:
    assert leaks.worst_column(["a", "b"], np.array([0.0, 0.3])) == ("b", 0.3)


def test_other_columns_than_those_stored_are_refused() -> None:
    with pytest.raises(DataError, match="must have shape"):
        leaks.prefix_differences(columns(CLOSE), [keep_first(9)], lambda keep: columns(CLOSE[keep])[:, :2])
    with pytest.raises(DataError, match="at least one prefix"):
        leaks.prefix_differences(columns(CLOSE), [], lambda keep: columns(CLOSE[keep]))


def test_scalers_differ_by_their_centers_or_their_scales() -> None:
    own = np.array([1.0, 2.0]), np.array([0.5, 4.0])
    assert leaks.scaler_difference(*own, *own) == 0
    assert leaks.scaler_difference(np.array([1.1, 2.0]), own[1], *own) == pytest.approx(0.2)
    assert leaks.scaler_difference(own[0], np.array([0.5, 5.0]), *own) == pytest.approx(0.25)
    assert np.isinf(leaks.scaler_difference(np.ones(3), np.ones(3), *own))


def test_labels_that_reach_into_the_test_span_by_hand() -> None:
    """Ten hourly bars, labels known two hours after the open; tested: bars 5 and 6; embargo of one hour.

    A label is clear when known by hour 4 (bars 0..2) or when its bar opens at hour 8 or later.
    """
    hour = np.timedelta64(1, "h")
    opens = np.datetime64("2025-01-01", "ms") + np.arange(10) * hour
    ends = opens + 2 * hour
    test = (opens[5], opens[7])

    def reaching(*bars: int, embargo: int = 1) -> int:
        return leaks.reaching_labels(opens, ends, np.isin(np.arange(10), bars), test, embargo * hour)

    assert reaching(0, 1, 2, 8, 9) == 0
    assert reaching(3) == 1
    assert reaching(3, embargo=0) == 0
    assert reaching(4, embargo=0) == 1
    assert reaching(7) == 1
    assert reaching(7, embargo=0) == 0
    assert reaching(*range(10)) == 5


def test_a_training_label_that_is_never_known_reaches() -> None:
    opens = np.array(["2025-01-01"], "datetime64[ms]")
    never = np.array(["NaT"], "datetime64[ms]")
    later = np.datetime64("2026-01-01", "ms"), np.datetime64("2026-02-01", "ms")
    assert leaks.reaching_labels(opens, never, np.array([True]), later, np.timedelta64(0, "h")) == 1
