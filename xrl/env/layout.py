"""Which columns an observation holds, and in which order: fused, projected or compact.

Fused and projected: expert blocks | MARKET_STATE | ACCOUNT_STATE | REGIME_STATE. Compact (16): nine market
columns, the two experts' probabilities, three of the account, funding and open interest. Units stand in
`columns.py` and docs/features.md: nothing is an absolute price, an absolute amount or a step index.
"""

from typing import Final, NamedTuple

from xrl import columns


class Layout(NamedTuple):
    """Names of an observation's columns, but for the expert blocks."""

    market: tuple[str, ...]
    account: tuple[str, ...]  # of columns.ACCOUNT_STATE
    regime: tuple[str, ...]
    blocks_first: bool  # the experts' columns stand before the market's; else after them

    @property
    def features(self) -> tuple[str, ...]:
        """The feature columns, in the order that the policy's scaler is fitted on."""
        return (*self.market, *self.regime)


FUSED: Final = Layout(columns.MARKET_STATE, columns.ACCOUNT_STATE, columns.REGIME_STATE, True)
COMPACT: Final = Layout(
    market=(
        "return_1",  # price
        "volume_trend",
        "spread_atr",
        "close_position",
        "volume_ratio",
        "rsi",
        "macd_atr",
        "bollinger_upper_atr",
        "bollinger_lower_atr",
    ),
    account=("exposure", "unrealised", "drawdown"),  # position size, unrealised profit, equity
    regime=("funding_rate_last", "open_interest_change"),
    blocks_first=False,
)
