import pandas as pd
import pytest

from xrl.labels import balance, folds

START = pd.Timestamp("2025-01-01", tz="UTC")
HOUR = pd.Timedelta(hours=1)


def spans(ten_hours, low, high):
    fold = folds.Fold(0, START, START + 7 * HOUR, START + 5 * HOUR, START + 10 * HOUR, low, high)
    return balance.report(ten_hours, [fold], folds.Refit(START, START + 10 * HOUR, low, high))


def test_shares_are_counted_on_each_span_under_its_cuts(ten_hours):
    """Scores 0..7: bars 0-4 train with 0, 1 | 2, 3 | 4; bars 5-7 of the test span matured, all BUY."""
    fold, refit = spans(ten_hours, 1.5, 3.5)
    assert fold["train"] == {"bars": 5, "sell": 0.4, "hold": 0.4, "buy": 0.2}
    assert fold["test"] == {"bars": 3, "sell": 0.0, "hold": 0.0, "buy": 1.0}
    assert refit["train"]["bars"] == 8
    assert refit["test"] is None


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("normalised_percentile", "`labels.percentiles` closer"),
        ("raw_percentile", "`labels.raw_percentiles` closer"),
        ("adaptive", "lower `labels.threshold_multiplier`"),
        ("adaptive_filtered", "`labels.hold_below_percentile`"),
        ("triple_barrier", "lower `labels.barrier`"),
    ],
)
def test_too_much_hold_is_said_with_the_remedy_of_the_kind(ten_hours, label_params, kind, remedy):
    warning, _ = balance.warnings(spans(ten_hours, -1.0, 9.0), label_params(kind=kind))
    assert "fold 0: HOLD makes 100% of 5 training bars" in warning
    assert remedy in warning
    assert ("labels.kind" in warning) == (kind != "normalised_percentile")


def test_balanced_classes_need_no_warning(ten_hours, label_params):
    assert balance.warnings(spans(ten_hours, 1.5, 3.5), label_params()) == []


def test_a_span_without_matured_bars_has_no_shares(ten_hours):
    fold = folds.Fold(0, START, START, START + 8 * HOUR, START + 10 * HOUR, 1.0, 2.0)
    found = balance.report(ten_hours, [fold], folds.Refit(START, START, 1.0, 2.0))[0]
    assert found["train"] == pytest.approx({"bars": 0, "sell": 0.0, "hold": 0.0, "buy": 0.0})
