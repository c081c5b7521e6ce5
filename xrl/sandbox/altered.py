"""Faults within an answer: rows that lack, repeat, contradict or come too early; listings of another state.

Enters: the rows of one page in the venue's order, or its listings. Leaves: changed copies, or the same where
there is nothing to spoil.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from xrl.sandbox.failures import Page
from xrl.sandbox.wire import (
    HOUR_MS,
    Dialect,
    Row,
    as_number,
    our_symbol,
    restamped,
    stamp_ms,
    value_keys,
    venue_id,
)

Alter = Callable[[list[Row], Page], list[Row]]

DAY_MS: Final = 24 * HOUR_MS
#: A row is final this long after its close: the pull's `settle_s`.
FINAL_MS: Final = 60_000


def _empty_page(page_rows: list[Row], page: Page) -> list[Row]:
    return []


def _short_page(page_rows: list[Row], page: Page) -> list[Row]:
    return page_rows[: int(page.fault.arg("share") * len(page_rows))]


def _missing(page_rows: list[Row], page: Page) -> list[Row]:
    """A run of rows between the first and the last is left out."""
    count = min(int(page.fault.arg("rows")), len(page_rows) - 2)
    if count < 1:
        return page_rows
    first = page.rng.randint(1, len(page_rows) - 1 - count)
    return page_rows[:first] + page_rows[first + count :]


def _repeated(page_rows: list[Row], page: Page) -> list[Row]:
    """Rows come twice: at once, or again at the end of the page."""
    chosen = _chosen(page_rows, page)
    if page.rng.random() < 0.5:
        return page_rows + [page_rows[i] for i in chosen]
    return [row for i, row in enumerate(page_rows) for _ in range(2 if i in chosen else 1)]


def _contradictory(page_rows: list[Row], page: Page) -> list[Row]:
    chosen = _chosen(page_rows, page)
    return [
        copied
        for i, row in enumerate(page_rows)
        for copied in ((row, other_values(row, page)) if i in chosen else (row,))
    ]


def _out_of_order(page_rows: list[Row], page: Page) -> list[Row]:
    return page.rng.sample(page_rows, len(page_rows))


def _late(page_rows: list[Row], page: Page) -> list[Row]:
    shown_ms = page.now_ms - page.fault.arg("minutes") * 60_000
    return [row for row in page_rows if _close_ms(row, page) <= shown_ms]


def _preliminary(page_rows: list[Row], page: Page) -> list[Row]:
    """Rows that have just closed still show other values."""
    young_ms = page.fault.arg("seconds") * 1000
    return [
        other_values(row, page) if 0 <= page.now_ms - _close_ms(row, page) < young_ms else row
        for row in page_rows
    ]


def _revised(page_rows: list[Row], page: Page) -> list[Row]:
    """The newest final rows show other values, the same ones at every serving."""
    span_ms = page.fault.arg("rows") * page.asked.step_ms
    return [
        other_values(row, page)
        if FINAL_MS <= page.now_ms - _close_ms(row, page) < FINAL_MS + span_ms
        else row
        for row in page_rows
    ]


def _unclosed(page_rows: list[Row], page: Page) -> list[Row]:
    """At the newest end of history: one bar more, beyond what has closed, and nothing marked as open."""
    step_ms = page.asked.step_ms
    if not page_rows:
        return page_rows
    newest = max(page_rows, key=stamp_ms)
    if stamp_ms(newest) + 2 * step_ms < page.now_ms:
        return page_rows
    closed = [_as_closed(row, page) for row in page_rows]
    more = _as_closed(restamped(newest, stamp_ms(newest) + step_ms), page)
    return [more, *closed] if stamp_ms(page_rows[0]) == stamp_ms(newest) else [*closed, more]


def _as_closed(row: Row, page: Page) -> Row:
    copied = row.copy()
    if page.asked.dialect == "okx":
        copied[8] = "1"
    if page.asked.dialect == "binance":
        copied[6] = stamp_ms(row) + page.asked.step_ms - 1
    return copied


def _jitter(page_rows: list[Row], page: Page) -> list[Row]:
    most = int(page.fault.arg("milliseconds"))
    return [restamped(row, stamp_ms(row) + page.rng.randint(-most, most)) for row in page_rows]


def _null_values(page_rows: list[Row], page: Page) -> list[Row]:
    return _overwritten(page_rows, page, None)


def _text_values(page_rows: list[Row], page: Page) -> list[Row]:
    return _overwritten(page_rows, page, page.rng.choice(("n/a", "", "-", "1,234.5")))


def _overwritten(page_rows: list[Row], page: Page, value: str | None) -> list[Row]:
    """`value` in one column, or in all, of the chosen rows."""
    chosen, everywhere, place = _chosen(page_rows, page), page.rng.random() < 0.5, page.rng.random()
    spoilt = []
    for i, row in enumerate(page_rows):
        keys = value_keys(page.asked, row) if i in chosen else []
        keys = keys if everywhere else keys[int(place * len(keys)) :][:1]
        copied = row.copy()
        for key in keys:
            copied[key] = value
        spoilt.append(copied)
    return spoilt


def _chosen(page_rows: list[Row], page: Page) -> set[int]:
    """Positions of `args.rows` rows."""
    count = min(int(page.fault.arg("rows")), len(page_rows))
    return set(page.rng.sample(range(len(page_rows)), count))


def _close_ms(row: Row, page: Page) -> int:
    return stamp_ms(row) + page.asked.span_ms


def other_values(row: Row, page: Page) -> Row:
    """The row with other values that no rule can refuse: an honest venue's first version of it.

    A candle's close moves a quarter of the way to its open and its volume grows by 3%; a rate grows by
    0.00001, other figures by 0.2%. What another fault has made no number stays.
    """
    copied = row.copy()
    if page.asked.on != "klines":
        for key in value_keys(page.asked, row):
            figure = as_number(row[key])
            copied[key] = row[key] if figure is None else _text(_moved(figure, page))
        return copied
    first, close = as_number(row[1]), as_number(row[4])
    if first is not None and close is not None:
        copied[4] = _text(close + (first - close) / 4)
    for key in {"binance": (5, 7), "bybit": (5, 6), "okx": (5, 6, 7)}[page.asked.dialect]:
        volume = as_number(row[key])
        copied[key] = row[key] if volume is None else _text(volume * 1.03)
    return copied


def _moved(figure: float, page: Page) -> float:
    return figure + 1e-5 if page.asked.on == "funding" else figure * 1.002


def _text(value: float) -> str:
    return f"{value:.12f}".rstrip("0").rstrip(".")


def _maintained(page: Page) -> dict[str, Any]:
    forms: dict[Dialect, dict[str, Any]] = {
        "binance": {"status": "BREAK"},
        "bybit": {"status": "Settling"},
        "okx": {"state": "suspend"},
    }
    return forms[page.asked.dialect]


def _delisted(page: Page) -> dict[str, Any]:
    ended = border_ms(page)
    forms: dict[Dialect, dict[str, Any]] = {
        "binance": {"status": "SETTLING", "deliveryDate": ended},
        "bybit": {"status": "Closed", "deliveryTime": str(ended)},
        "okx": {"state": "expired", "expTime": str(ended)},
    }
    return forms[page.asked.dialect]


def _newly_listed(page: Page) -> dict[str, Any]:
    began = border_ms(page)
    forms: dict[Dialect, dict[str, Any]] = {
        "binance": {"onboardDate": began},
        "bybit": {"launchTime": str(began)},
        "okx": {"listTime": str(began)},
    }
    return forms[page.asked.dialect]


def border_ms(page: Page) -> int:
    """The full hour `args.days` before now, at which a symbol was listed or delisted."""
    return int(page.now_ms - page.fault.arg("days") * DAY_MS) // HOUR_MS * HOUR_MS


LISTINGS: Final[Mapping[str, Callable[[Page], dict[str, Any]]]] = MappingProxyType(
    {"maintenance": _maintained, "delisted": _delisted, "newly_listed": _newly_listed}
)


def listings(entries: list[Row], page: Page) -> list[Row]:
    """The instruments with the fault's symbol (or every one) in its other state."""
    state = LISTINGS[page.fault.kind](page)
    symbol = page.fault.symbol
    return [{**one, **state} if symbol in (None, our_symbol(venue_id(one))) else one for one in entries]


def before_border(page_rows: list[Row], page: Page) -> list[Row]:
    return [row for row in page_rows if stamp_ms(row) < border_ms(page)]


def from_border(page_rows: list[Row], page: Page) -> list[Row]:
    return [row for row in page_rows if stamp_ms(row) >= border_ms(page)]


ROWS: Final[Mapping[str, Alter]] = MappingProxyType(
    {
        "empty_page": _empty_page,
        "short_page": _short_page,
        "missing": _missing,
        "repeated": _repeated,
        "contradictory": _contradictory,
        "out_of_order": _out_of_order,
        "late": _late,
        "preliminary": _preliminary,
        "revised": _revised,
        "unclosed": _unclosed,
        "jitter": _jitter,
        "null_values": _null_values,
        "text_values": _text_values,
        "delisted": before_border,
        "newly_listed": from_border,
    }
)
