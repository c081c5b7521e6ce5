"""Truths about what is done when a request fails."""

from xrl.market.dialects import binance, bybit, okx
from xrl.market.troubles import Failed, Trouble, judge

NOW_S = 1_717_236_000.0  # 2024-06-01 10:00


def verdict(status: int | None, body: str = "", code: str | None = None, **headers: str) -> Trouble:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    limited, busy = (binance.LIMITED | bybit.LIMITED | okx.LIMITED, binance.BUSY | bybit.BUSY | okx.BUSY)
    return judge(Failed(status, named, body, code), limited, busy, NOW_S)


def test_a_rate_limit_pauses_for_as_long_as_the_venue_says():
    assert verdict(429, Retry_After="7") == Trouble("pause", 7.0)
    assert verdict(429, retry_after="Sat, 01 Jun 2024 10:01:00 GMT") == Trouble("pause", 60.0)
    assert verdict(429, retry_after="Sat, 01 Jun 2024 09:00:00 GMT") == Trouble("pause", 0.0)
    assert verdict(429, retry_after="soon") == Trouble("pause", None)
    assert verdict(429) == Trouble("pause", None)


def test_a_ban_lasts_until_the_moment_that_binance_writes_out():
    body = '{"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until 1717236090000."}'
    assert verdict(418, body) == Trouble("pause", 90.0)
    assert verdict(418, body, Retry_After="30") == Trouble("pause", 30.0)


def test_bybit_limits_come_with_a_good_status_or_as_a_ban_of_ten_minutes():
    assert verdict(200, code="10006", X_Bapi_Limit_Reset_Timestamp="1717236000500") == Trouble("pause", 0.5)
    assert verdict(403, "403, access too frequent") == Trouble("pause", 600.0)


def test_okx_says_that_a_request_came_too_often_by_code():
    assert verdict(200, code="50011").remedy == "pause"


def test_what_passes_is_asked_again():
    for status in (None, 408, 500, 502, 503, 504, 520):
        assert verdict(status) == Trouble("retry")
    for code in ("10016", "50001", "50013", "-1007"):
        assert verdict(200, code=code) == Trouble("retry")
    assert verdict(200, "<html>") == Trouble("retry")  # a good status and a broken answer


def test_what_stays_is_refused():
    assert verdict(400, code="-1121") == Trouble("refused")
    assert verdict(404) == Trouble("refused")
    assert verdict(200, code="51001") == Trouble("refused")


def test_a_regional_block_is_told_apart():
    assert verdict(451) == Trouble("blocked")
    assert verdict(403, "<html>CloudFront ... block access from your country") == Trouble("blocked")
