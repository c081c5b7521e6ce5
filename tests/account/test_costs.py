"""params.yaml's costs as fractions."""

import pytest

from tests.account.params import PARAMS
from xrl.account.costs import Terms, terms_of


def test_terms_are_fractions_and_stress_scales_fee_and_slippage_alone() -> None:
    params = PARAMS.model_copy(update={"slippage_volatility": 0.1, "slippage_size": 0.02})
    assert terms_of(params) == pytest.approx(Terms(0.0005, 0.0002, 0.0002, 0.1, 0.02, 0.005, 2.0, 1e4))
    assert terms_of(params, 2.0) == pytest.approx(Terms(0.001, 0.0004, 0.0004, 0.2, 0.04, 0.005, 2.0, 1e4))
