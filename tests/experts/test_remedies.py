"""What is wrong with a training, and the sources' advice for it."""

import pytest

from xrl.experts.remedies import STALLED_EPOCHS, remedies
from xrl.presets import PRESETS, chosen

GOOD = {
    "loss": 1.0,
    "train_loss": 1.05,
    "validation_loss": 1.06,
    "validation_accuracy": 0.40,
    "predicted_sell": 0.3,
    "predicted_hold": 0.4,
    "predicted_buy": 0.3,
    "collapsed": 0.0,
}
LEAN = PRESETS["lean"]


def _history(losses: list[float]) -> list[dict[str, float]]:
    return [GOOD | {"validation_loss": loss} for loss in losses]


def test_a_sound_training_needs_none():
    assert remedies(_history([1.10, 1.08, 1.06]), LEAN) == ()
    assert remedies([], LEAN) == ()


def test_a_validation_loss_that_is_flat_for_twenty_epochs():
    falling = [1.10 - 0.001 * epoch for epoch in range(STALLED_EPOCHS)]
    assert remedies(_history([*falling, *[falling[-1]] * (STALLED_EPOCHS - 1)]), LEAN) == ()
    (said,) = remedies(_history([*falling, *[falling[-1]] * STALLED_EPOCHS]), LEAN)
    assert "has not fallen for 20 epochs" in said
    assert "`schedule.learning_rate` (now 0.002; 5e-05, then 1e-05)" in said
    assert "`schedule.batch` (now 16, at least 128)" in said
    assert "`schedule.weight_decay`" in said
    assert "NaN" in said


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"validation_accuracy": 0.335}, "chance is 33.3%"),
        (
            {"collapsed": 1.0, "predicted_buy": 0.955},
            "more than 90% of the predictions (SELL 30%, HOLD 40%, BUY 96%)",
        ),
        ({"train_loss": 0.90}, "0.16 above the training loss"),
        ({"loss": float("nan")}, "check the features for NaN"),
    ],
)
def test_each_trouble_has_its_remedy(figures, said):
    (found,) = remedies([GOOD | figures], LEAN)
    assert said in found


def test_remedies_name_the_values_that_are_set_now():
    preset = chosen("lean", {"network": {"dropout": 0.35}, "augment": {"mixup": 0.1}})
    (found,) = remedies([GOOD | {"train_loss": 0.5}], preset)
    for text in (
        "`network.dropout` (now 0.35; 0.5)",
        "`augment.mixup` (now 0.1; 0.3)",
        "`loss.label_smoothing`",
    ):
        assert text in found


def test_a_training_that_holds_nothing_back_is_judged_by_what_it_has():
    own = {name: value for name, value in GOOD.items() if not name.startswith("validation")}
    assert remedies([own] * 30, LEAN) == ()
    assert len(remedies([own | {"collapsed": 1.0}], LEAN)) == 1
