"""Column names, dtypes and units of every table. Nothing else in the package spells a column name out.

Times are UTC. A bar is labelled by its open (`timestamp`) and known at its close.
"""

from typing import Final

# Keys
SYMBOL: Final = "symbol"
TIMESTAMP: Final = "timestamp"  # datetime64[ms, UTC], the bar's open
TIME_DTYPE: Final = "datetime64[ms, UTC]"

# Candles: prices in quote currency (USDT), volumes in base coins unless the name says quote.
OPEN: Final = "open"
HIGH: Final = "high"
LOW: Final = "low"
CLOSE: Final = "close"
VOLUME: Final = "volume"
QUOTE_VOLUME: Final = "quote_volume"
TRADES: Final = "trades"
TAKER_BUY_VOLUME: Final = "taker_buy_volume"
TAKER_BUY_QUOTE_VOLUME: Final = "taker_buy_quote_volume"
OHLCV: Final = (OPEN, HIGH, LOW, CLOSE, VOLUME)
#: Absent at some venues and in some files: NaN, never 0.
OPTIONAL_CANDLE: Final = (QUOTE_VOLUME, TRADES, TAKER_BUY_VOLUME, TAKER_BUY_QUOTE_VOLUME)
CANDLE: Final = (TIMESTAMP, *OHLCV, *OPTIONAL_CANDLE)

# Funding history: `funding_rate` is the fraction of notional a long pays at that settlement.
FUNDING_RATE: Final = "funding_rate"
FUNDING: Final = (TIMESTAMP, FUNDING_RATE)

# Open interest history, in base coins and in quote currency.
OPEN_INTEREST: Final = "open_interest"
OPEN_INTEREST_VALUE: Final = "open_interest_value"
OPEN_INTEREST_TABLE: Final = (TIMESTAMP, OPEN_INTEREST, OPEN_INTEREST_VALUE)

# Taker volume history, in base coins: what takers bought and sold in the hour that opens at the timestamp.
TAKER_SELL_VOLUME: Final = "taker_sell_volume"
TAKER_VOLUME_TABLE: Final = (TIMESTAMP, TAKER_BUY_VOLUME, TAKER_SELL_VOLUME)

#: One symbol's input to features, backtest and service: candles joined with what was settled or last known.
#: `funding_rate` is the sum of rates settled within [open, close) of the bar and NaN where none was;
#: `open_interest` is the last value known at the bar's close and NaN where unknown.
BAR: Final = (*CANDLE, FUNDING_RATE, OPEN_INTEREST)

# Labels
FORWARD_RETURN: Final = "forward_return"  # log(close at label_end / close_t); of most kinds close_{t+h}
VOLATILITY: Final = "volatility"  # standard deviation of the h-bar log return, as known at close t
SCORE: Final = "score"  # what a fold's cut-offs divide into classes; most kinds: forward_return / volatility
LABEL_END: Final = "label_end"  # when the label becomes known: the close of bar t+h or of a touched barrier
HORIZON_END: Final = "horizon_end"  # when it is known at the latest, whatever comes: the close of bar t+h
LABEL: Final = "label"
SELL, HOLD, BUY = 0, 1, 2
UNKNOWN: Final = -1  # class of a bar whose outcome is not known
CLASSES: Final = ("sell", "hold", "buy")

# Predictions
FOLD: Final = "fold"
UNCERTAINTY: Final = "uncertainty"  # mutual information of those who vote, nats; 0: all say the same
EXPERTS: Final = ("pattern", "indicator")  # ensembles of networks on windows of bars
BOOSTED: Final = "boosted"  # trees on single bars, which may vote beside them
VOTERS: Final = (*EXPERTS, BOOSTED)
EMBEDDING_WIDTH: Final = 256


def probability_columns(model: str) -> tuple[str, str, str]:
    """Names of P(SELL), P(HOLD), P(BUY) of `model`, e.g. `pattern_sell`."""
    sell, hold, buy = (f"{model}_{name}" for name in CLASSES)
    return sell, hold, buy


def uncertainty_column(model: str) -> str:
    """Name of the mutual information, in nats, of those who vote within `model`."""
    return f"{model}_{UNCERTAINTY}"


#: Discrete actions of the policy; buy and sell set a target exposure, increase and reduce move it by 0.5x.
ACTIONS: Final = (
    "hold",
    "buy_0.5x",
    "buy_1x",
    "buy_2x",
    "sell_0.5x",
    "sell_1x",
    "sell_2x",
    "close",
    "increase",
    "reduce",
)

# Trade list: one row per round trip. Money in quote currency, of the symbol's sub-account.
SIDE: Final = "side"  # long or short
ENTRY_TIME: Final = "entry_time"  # open of the bar that filled it, which is when it was filled
ENTRY_PRICE: Final = "entry_price"  # average of what was bought (sold short), slippage included
EXIT_TIME: Final = "exit_time"  # open of the bar in which it ended; orders fill there, stops within the bar
EXIT_PRICE: Final = "exit_price"  # slippage included; of a liquidation the price that caused it
EXIT_REASON: Final = "exit_reason"  # signal, limit, stop, take_profit, liquidation; end: still open
BARS_HELD: Final = "bars_held"
ENTRY_EQUITY: Final = "equity"  # just before the first fill
QUANTITY: Final = "quantity"  # coins, the most that was held
NOTIONAL: Final = "notional"  # of that quantity, at the open of its fill
LEVERAGE: Final = "leverage"  # largest notional / equity at a fill
FILLS: Final = "fills"  # orders that opened, added or reduced
FEES: Final = "fees"  # liquidation fee included
SLIPPAGE: Final = "slippage"
FUNDING_PAID: Final = "funding"  # negative: received
INSURANCE: Final = "insurance"  # what the venue kept of a liquidated margin
PNL: Final = "pnl"  # equity just after less equity just before: net of all the above
TRADE_RETURN: Final = "return"  # pnl / equity before
CONTRIBUTION: Final = "contribution"  # to the portfolio's equity, in units of what it started with
TRADE: Final = (
    SYMBOL, SIDE, ENTRY_TIME, ENTRY_PRICE, EXIT_TIME, EXIT_PRICE, EXIT_REASON, BARS_HELD, ENTRY_EQUITY,
    QUANTITY, NOTIONAL, LEVERAGE, FILLS, FEES, SLIPPAGE, FUNDING_PAID, INSURANCE, PNL, TRADE_RETURN,
    CONTRIBUTION,
)  # fmt: skip

# Observation of the fused policy: pattern block, indicator block, MARKET_STATE, ACCOUNT_STATE, REGIME_STATE.
# At full width 256 + 256 + 10 + 10 + 5 = 537 (one source says 527; its parts add up to 537). Where the
# boosted expert votes, its block of 2 (3 where the blocks are probabilities) follows the indicator's: 539.
#: VSA, volume and funding: feature columns, scaled like every feature (unit: training scale of the column).
MARKET_STATE: Final = (
    "vsa_signal",
    "volume_ratio",
    "close_position",
    "spread_atr",
    "buying_climax",
    "selling_climax",
    "effort_result",
    "taker_imbalance",
    "funding_rate_last",
    "funding_z",
)
#: The account as the policy sees it. No absolute price, amount or step index.
ACCOUNT_STATE: Final = (
    "exposure",  # signed notional / equity, divided by the largest allowed (2x): -1..1
    "is_long",  # 0/1
    "is_short",  # 0/1
    "unrealised",  # log return since entry times side, in units of 20-bar volatility, clipped to +-3
    "drawdown",  # 1 - equity / peak equity: 0..1
    "holding",  # log1p(bars in this position) / log1p(100), clipped to 0..2
    "since_trade",  # log1p(bars since the last fill) / log1p(100), clipped to 0..2
    "liquidation_distance",  # |log(liquidation / close)| in 20-bar volatilities / 10, 0..1; 1 when flat
    "carry",  # -side * last funding rate * 1e3, clipped to +-1: what holding earns
    "last_trade",  # log return of the last closed trade in 20-bar volatilities, clipped to +-3
)
REGIME_STATE: Final = ("regime_up", "regime_down", "regime_sideways", "regime_volatility", "regime_volume")
