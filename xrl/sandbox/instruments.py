"""How each venue lists a perpetual, complete enough for ccxt's `load_markets`.

Enters: a listing of the sandbox and the venue's time. Leaves: one entry of the venue's JSON. Source: REST
documentation of Binance (exchangeInfo), Bybit (instruments-info) and OKX (instruments).
"""

from collections.abc import Mapping
from typing import Any, Final

from xrl.sandbox.venue import Listing

BINANCE_STATUS: Final = {"trading": "TRADING", "halted": "BREAK", "delisted": "SETTLING"}
BYBIT_STATUS: Final = {"trading": "Trading", "halted": "Settling", "delisted": "Closed"}
OKX_STATE: Final = {"trading": "live", "halted": "suspend", "delisted": "expired"}
#: What Binance calls the delivery date of a perpetual until it is delisted: 2100-12-25.
_NEVER_DELIVERED: Final = 4133404800000
#: Coins in a contract of OKX; other coins: `_CONTRACT_COINS`.
_CONTRACTS: Final[Mapping[str, str]] = {
    "BTC": "0.01", "ETH": "0.1", "SOL": "1", "XRP": "100", "ADA": "100", "LTC": "1", "BNB": "0.01",
    "DOGE": "1000", "LINK": "1", "AVAX": "1",
}  # fmt: skip
_CONTRACT_COINS: Final = "10"


def contract_coins(listing: Listing) -> str:
    """OKX's `ctVal`: coins in one contract."""
    return _CONTRACTS.get(listing.base, _CONTRACT_COINS)


def okx_id(listing: Listing) -> str:
    return f"{listing.base}-USDT-SWAP"


def binance(listing: Listing, now_ms: int) -> dict[str, Any]:
    """One entry of exchangeInfo."""
    tick = _tick(listing)
    lot = {"minQty": "0.001", "maxQty": "1000000000", "stepSize": "0.001"}
    return {
        "symbol": listing.symbol,
        "pair": listing.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": listing.ends_ms or _NEVER_DELIVERED,
        "onboardDate": listing.listed_ms,
        "status": BINANCE_STATUS[listing.state_at(now_ms)],
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": listing.base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": listing.decimals,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC"],
    }


def bybit(listing: Listing, now_ms: int) -> dict[str, Any]:
    """One entry of instruments-info."""
    tick = _tick(listing)
    return {
        "symbol": listing.symbol,
        "contractType": "LinearPerpetual",
        "status": BYBIT_STATUS[listing.state_at(now_ms)],
        "baseCoin": listing.base,
        "quoteCoin": "USDT",
        "launchTime": str(listing.listed_ms),
        "deliveryTime": str(listing.ends_ms or 0),
        "deliveryFeeRate": "",
        "priceScale": str(listing.decimals),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": "1999999.80", "tickSize": tick},
        "lotSizeFilter": {
            "maxOrderQty": "1000000000",
            "minOrderQty": "0.001",
            "qtyStep": "0.001",
            "maxMktOrderQty": "1000000000",
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": "USDT",
        "copyTrading": "none",
        "upperFundingRate": "0.00375",
        "lowerFundingRate": "-0.00375",
        "isPreListing": False,
        "preListingInfo": None,
        "symbolType": "",
    }


def okx(listing: Listing, now_ms: int) -> dict[str, Any]:
    """One entry of instruments."""
    family = f"{listing.base}-USDT"
    return {
        "instType": "SWAP",
        "instId": okx_id(listing),
        "uly": family,
        "instFamily": family,
        "category": "1",
        "baseCcy": "",
        "quoteCcy": "",
        "settleCcy": "USDT",
        "ctVal": contract_coins(listing),
        "ctMult": "1",
        "ctValCcy": listing.base,
        "ctType": "linear",
        "optType": "",
        "stk": "",
        "listTime": str(listing.listed_ms),
        "contTdSwTime": "",
        "expTime": "" if listing.ends_ms is None else str(listing.ends_ms),
        "lever": "50",
        "tickSz": _tick(listing),
        "lotSz": "0.01",
        "minSz": "0.01",
        "alias": "",
        "state": OKX_STATE[listing.state_at(now_ms)],
        "ruleType": "normal",
        "maxLmtSz": "100000000",
        "maxMktSz": "100000000",
    }


def _tick(listing: Listing) -> str:
    return f"{10.0**-listing.decimals:.{listing.decimals}f}"
