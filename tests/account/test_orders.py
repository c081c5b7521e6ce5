"""What each action asks for."""

import pytest

from xrl.account.orders import ACTION_TARGETS, target_after
from xrl.columns import ACTIONS


def test_buy_and_sell_name_their_target_exposure() -> None:
    assert dict(zip(ACTIONS, ACTION_TARGETS)) == {
        "hold": 0.0,
        "buy_0.5x": 0.5,
        "buy_1x": 1.0,
        "buy_2x": 2.0,
        "sell_0.5x": -0.5,
        "sell_1x": -1.0,
        "sell_2x": -2.0,
        "close": 0.0,
        "increase": 0.0,
        "reduce": 0.0,
    }


@pytest.mark.parametrize(
    ("action", "standing", "expected"),
    [
        ("hold", 1.5, 1.5),
        ("hold", 0.0, 0.0),
        ("close", -2.0, 0.0),
        ("buy_1x", -2.0, 1.0),
        ("increase", 1.0, 1.5),
        ("increase", -1.0, -1.5),
        ("increase", 2.0, 2.0),
        ("increase", 0.0, 0.0),
        ("reduce", 1.0, 0.5),
        ("reduce", -0.5, 0.0),
        ("reduce", 0.0, 0.0),
    ],
)
def test_target_after_each_action(action: str, standing: float, expected: float) -> None:
    assert target_after(ACTIONS.index(action), standing, 2.0) == expected


def test_no_target_exceeds_the_largest_leverage() -> None:
    assert target_after(ACTIONS.index("buy_2x"), 0.0, 1.0) == 1.0
    assert target_after(ACTIONS.index("sell_2x"), 0.0, 1.0) == -1.0
    assert target_after(ACTIONS.index("increase"), 1.0, 1.0) == 1.0
