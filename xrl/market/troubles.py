"""What to do about a request that failed. Pure: status, headers, body and error code in, a decision out.

Sources: Binance, "429 ... back off", "418 ... IP auto-banned", "A Retry-After header is sent with a 418 or
429 ... the number of seconds required to wait"; Bybit, "403, access too frequent ... wait for at least 10
minutes"; regional blocks answer 451 (Binance) or 403 (what stands before Bybit and OKX).
"""

import email.utils
import re
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

#: retry: ask again soon. pause: all threads hold back first. refused: asking again is no use.
Remedy = Literal["retry", "pause", "refused", "blocked"]

_BYBIT_BAN_S: Final = 600.0
_BANNED_UNTIL: Final = re.compile(r"banned until (\d{13})")


class Failed(NamedTuple):
    """What is known of a request that failed.

    Args:
        status: of HTTP; None where no whole answer came.
        headers: of the answer, names in any case.
        body: of the answer.
        code: the venue's own code of an error; None where it sent none.
    """

    status: int | None
    headers: Mapping[str, str]
    body: str
    code: str | None


class Trouble(NamedTuple):
    """The remedy, and for a pause the seconds that the venue asked for (None: it named none)."""

    remedy: Remedy
    pause_s: float | None = None


def judge(failed: Failed, limited: frozenset[str], busy: frozenset[str], now_s: float) -> Trouble:
    """The remedy for a failed request.

    Args:
        failed: what came back.
        limited: the venue's codes for too many requests.
        busy: its codes for a passing disturbance.
        now_s: seconds since 1970, to turn moments into durations.
    """
    status = failed.status or 0
    if status in (418, 429) or failed.code in limited:
        return Trouble("pause", _asked_pause_s(failed, now_s))
    if status == 403 and "access too frequent" in failed.body.lower():
        return Trouble("pause", _BYBIT_BAN_S)
    if status in (403, 451):
        return Trouble("blocked")
    if status == 0 or status == 408 or status >= 500 or failed.code in busy:
        return Trouble("retry")
    if status >= 400 or failed.code is not None:
        return Trouble("refused")
    return Trouble("retry")  # a good status and no error of the venue's: the answer itself is broken


def _asked_pause_s(failed: Failed, now_s: float) -> float | None:
    """Retry-After in seconds or as a date; else the end of a ban that Binance writes out, Bybit's reset."""
    headers = {name.lower(): value for name, value in failed.headers.items()}
    after = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", after):
        return float(after)
    if after:
        parsed = email.utils.parsedate_tz(after)
        if parsed is not None:
            return max(0.0, email.utils.mktime_tz(parsed) - now_s)
    until = _BANNED_UNTIL.search(failed.body)
    reset = until.group(1) if until else headers.get("x-bapi-limit-reset-timestamp", "")
    return max(0.0, int(reset) / 1000 - now_s) if reset.isdecimal() else None
