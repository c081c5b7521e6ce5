"""Truths about faults on demand: every kind over real HTTP, in every dialect, as its script says."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import pytest
import requests

from xrl.errors import ConfigError
from xrl.sandbox import faults, server, wire
from xrl.sandbox.venue import Venue

HOUR_MS = 3_600_000
NOW_MS = int(pd.Timestamp("2024-06-01 10:20", tz="UTC").timestamp() * 1000)
FIRST_MS = NOW_MS // HOUR_MS * HOUR_MS - 48 * HOUR_MS
SERIES = ("klines", "funding", "open_interest", "taker_volume")


@dataclass
class Faulty:
    """A sandbox exchange that misbehaves on demand; `now_ms` may be moved between requests."""

    port: int
    now_ms: int = NOW_MS

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def load(self, *wanted: dict[str, Any], seed: int = 1) -> None:
        with requests.put(f"{self.url}/_faults", json={"seed": seed, "faults": wanted}, timeout=10) as answer:
            assert answer.status_code == 200, answer.text

    def fired(self) -> list[dict[str, Any]]:
        with requests.get(f"{self.url}/_faults", timeout=10) as answer:
            return answer.json()["fired"]


@pytest.fixture(scope="module")
def running() -> Iterator[Faulty]:
    sock = server.listen("127.0.0.1", 0)
    faulty = Faulty(sock.getsockname()[1])
    clock = lambda: pd.Timestamp(faulty.now_ms, unit="ms", tz="UTC")  # noqa: E731
    uvicorn_server = server.server(Venue(7), clock)
    thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not uvicorn_server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield faulty
    uvicorn_server.should_exit = True
    thread.join(10)
    sock.close()


@pytest.fixture
def venue(running: Faulty) -> Faulty:
    running.now_ms = NOW_MS
    running.load()
    return running


@dataclass(frozen=True)
class Question:
    """A request for the newest two days of one endpoint, or for its only answer."""

    on: wire.Endpoint
    path: str
    query: tuple[tuple[str, Any], ...]

    def __str__(self) -> str:
        return self.path

    @property
    def about(self) -> wire.Asked:
        found = wire.asked("/planted" + self.path, {key: str(value) for key, value in self.query})
        assert found is not None
        assert found.on == self.on
        return found

    def of(self, symbol: str) -> "Question":
        """The same question about another coin."""
        query = (
            (key, str(v).replace("BTC", symbol) if key in ("symbol", "instId") else v)
            for key, v in self.query
        )
        return Question(self.on, self.path, tuple(query))

    def get(self, venue: Faulty) -> requests.Response:
        return requests.get(f"{venue.url}/planted{self.path}", params=dict(self.query), timeout=10)

    def rows(self, venue: Faulty) -> list[Any]:
        answer = self.get(venue)
        assert answer.status_code == 200, answer.text
        found = wire.rows(self.about, answer.json())
        assert found is not None
        return found


def _question(on: wire.Endpoint, path: str, **query: Any) -> Question:
    return Question(on, path, tuple(query.items()))


_LAST_MS = NOW_MS + 2 * HOUR_MS
_COIN = {"category": "linear", "symbol": "BTCUSDT"}
_SWAP = {"instId": "BTC-USDT-SWAP"}
_BETWEEN = {"before": FIRST_MS - 1, "after": _LAST_MS}
_STATISTIC = {"period": "1H", "begin": FIRST_MS - 1, "end": _LAST_MS}
QUESTIONS = [
    _question(
        "klines", "/fapi/v1/klines", symbol="BTCUSDT", interval="1h", startTime=FIRST_MS, endTime=_LAST_MS
    ),
    _question("funding", "/fapi/v1/fundingRate", symbol="BTCUSDT", startTime=FIRST_MS),
    _question(
        "open_interest", "/futures/data/openInterestHist", symbol="BTCUSDT", period="1h", startTime=FIRST_MS,
        limit=60,
    ),
    _question(
        "taker_volume", "/futures/data/takerlongshortRatio", symbol="BTCUSDT", period="1h",
        startTime=FIRST_MS, limit=60,
    ),
    _question("time", "/fapi/v1/time"),
    _question("instruments", "/fapi/v1/exchangeInfo"),
    _question("klines", "/v5/market/kline", **_COIN, interval="60", start=FIRST_MS, end=_LAST_MS),
    _question("funding", "/v5/market/funding/history", **_COIN, startTime=FIRST_MS, endTime=_LAST_MS),
    _question("open_interest", "/v5/market/open-interest", **_COIN, intervalTime="1h", startTime=FIRST_MS),
    _question("time", "/v5/market/time"),
    _question("instruments", "/v5/market/instruments-info", category="linear"),
    _question("klines", "/api/v5/market/history-candles", **_SWAP, bar="1H", **_BETWEEN),
    _question("klines", "/api/v5/market/candles", **_SWAP, bar="1H", **_BETWEEN),
    _question("funding", "/api/v5/public/funding-rate-history", **_SWAP, before=FIRST_MS - 1),
    _question("open_interest", "/api/v5/rubik/stat/contracts/open-interest-history", **_SWAP, **_STATISTIC),
    _question("taker_volume", "/api/v5/rubik/stat/taker-volume-contract", **_SWAP, **_STATISTIC),
    _question("time", "/api/v5/public/time"),
    _question("instruments", "/api/v5/public/instruments", instType="SWAP"),
]  # fmt: skip
HISTORIES = [question for question in QUESTIONS if question.on in SERIES]
KLINES = [question for question in QUESTIONS if question.on == "klines"]
INSTRUMENTS = [question for question in QUESTIONS if question.on == "instruments"]

every_endpoint = pytest.mark.parametrize("question", QUESTIONS, ids=str)
every_history = pytest.mark.parametrize("question", HISTORIES, ids=str)
every_dialect = pytest.mark.parametrize("question", KLINES, ids=str)


def stamps(question: Question, rows: list[Any]) -> list[int]:
    assert all(int(row[0]) == wire.stamp_ms(row) for row in rows if isinstance(row, list))
    return [wire.stamp_ms(row) for row in rows]


def fault(kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, **more}


def codes(answer: requests.Response) -> set[str]:
    """The venue's own error code, whatever it calls it."""
    said = answer.json()
    return {str(said[key]) for key in ("code", "retCode") if key in said}


# The answer as a whole


@every_endpoint
def test_a_rate_limit_is_429_with_the_wait_and_the_venues_code(venue: Faulty, question: Question):
    venue.load(fault("rate_limit", args={"seconds": 7}))
    answer = question.get(venue)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert codes(answer) & {"-1003", "10006", "50011"}
    assert question.get(venue).status_code == 200


@every_endpoint
def test_a_ban_is_418_with_its_end(venue: Faulty, question: Question):
    venue.load(fault("ban", args={"seconds": 120}))
    answer = question.get(venue)
    assert (answer.status_code, answer.headers["retry-after"]) == (418, "120")
    assert codes(answer) & {"-1003", "10018", "50011"}


@every_endpoint
def test_a_server_error_comes_as_html_or_in_the_venues_form(venue: Faulty, question: Question):
    kinds = set()
    for seed in range(8):
        venue.load(fault("server_error", args={"status": 502}), seed=seed)
        answer = question.get(venue)
        assert answer.status_code == 502
        kinds.add(answer.headers["content-type"])
    assert kinds == {"text/html", "application/json"}


@every_endpoint
def test_a_cut_connection_sends_a_part_of_what_it_declared(venue: Faulty, question: Question):
    whole = question.get(venue).content
    venue.load(fault("cut", args={"share": 0.5}))
    connection = http.client.HTTPConnection("127.0.0.1", venue.port, timeout=10)
    connection.request("GET", f"/planted{question.path}?{urlencode(question.query)}")
    answer = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    connection.close()
    assert int(answer.headers["content-length"]) == len(whole)
    assert cut.value.partial == whole[: len(whole) // 2]


@every_endpoint
def test_a_stalled_connection_falls_silent_and_goes_on(venue: Faulty, question: Question):
    whole = question.get(venue).content
    from_the_start, half_way = {"seconds": 0.5, "share": 0}, {"seconds": 0.5, "share": 0.5}
    venue.load(fault("stall", times=2, args=from_the_start), fault("stall", after=2, times=2, args=half_way))
    for _ in range(2):
        with pytest.raises(requests.exceptions.RequestException):
            requests.get(f"{venue.url}/planted{question.path}", params=dict(question.query), timeout=0.1)
        assert question.get(venue).content == whole
    assert [one["count"] for one in venue.fired()] == [2, 2]


@every_endpoint
def test_truncated_json_is_a_whole_answer_whose_json_is_not(venue: Faulty, question: Question):
    whole = question.get(venue).content
    venue.load(fault("truncated_json", args={"share": 0.5}))
    answer = question.get(venue)
    assert answer.status_code == 200
    assert answer.content == whole[: len(whole) // 2]


@every_endpoint
def test_malformed_json_does_not_parse(venue: Faulty, question: Question):
    bodies = set()
    for seed in range(12):
        venue.load(fault("malformed_json"), seed=seed)
        answer = question.get(venue)
        assert answer.status_code == 200
        with pytest.raises(ValueError):
            json.loads(answer.content)
        bodies.add(answer.content)
    assert len(bodies) == 3


@every_endpoint
def test_a_wrong_shape_is_good_json_without_rows_where_rows_are_due(venue: Faulty, question: Question):
    whole, shapes = question.get(venue).json(), set()
    for seed in range(20):
        venue.load(fault("wrong_shape"), seed=seed)
        answer = question.get(venue)
        assert answer.status_code == 200
        assert not wire.rows(question.about, answer.json())
        assert answer.json() != whole
        shapes.add(answer.text)
    assert {"null", "{}"} <= shapes


# Rows


@every_history
def test_an_empty_page_keeps_its_form_and_has_no_rows(venue: Faulty, question: Question):
    assert question.rows(venue)
    venue.load(fault("empty_page"))
    assert question.rows(venue) == []


@every_history
def test_a_short_page_ends_early(venue: Faulty, question: Question):
    whole = question.rows(venue)
    venue.load(fault("short_page", args={"share": 0.5}))
    assert question.rows(venue) == whole[: len(whole) // 2]


@every_history
def test_missing_rows_leave_a_hole_between_first_and_last(venue: Faulty, question: Question):
    whole = question.rows(venue)
    venue.load(fault("missing", args={"rows": 3}))
    rows = question.rows(venue)
    lost = [i for i, row in enumerate(whole) if row not in rows]
    assert lost == list(range(lost[0], lost[0] + 3))
    assert [row for row in whole if row in rows] == rows
    assert rows[0] == whole[0]
    assert rows[-1] == whole[-1]


@every_history
def test_repeated_rows_are_the_same_rows_twice(venue: Faulty, question: Question):
    whole, places = question.rows(venue), set()
    for seed in range(8):
        venue.load(fault("repeated", args={"rows": 2}), seed=seed)
        rows = question.rows(venue)
        assert len(rows) == len(whole) + 2
        assert [row for i, row in enumerate(rows) if row not in rows[:i]] == whole
        places.add(rows[: len(whole)] == whole)
    assert places == {True, False}  # at the end of the page, and beside their twin


@every_history
def test_contradictory_rows_have_the_same_time_and_other_values(venue: Faulty, question: Question):
    whole = question.rows(venue)
    venue.load(fault("contradictory", args={"rows": 2}))
    rows = question.rows(venue)
    others = [row for row in rows if row not in whole]
    assert len(rows) == len(whole) + 2
    assert len(others) == 2
    assert set(stamps(question, others)) <= set(stamps(question, whole))


@every_history
def test_rows_out_of_order_are_the_same_rows(venue: Faulty, question: Question):
    whole = question.rows(venue)
    venue.load(fault("out_of_order"))
    rows = question.rows(venue)
    assert rows != whole
    assert sorted(rows, key=wire.stamp_ms) == sorted(whole, key=wire.stamp_ms)


@every_history
def test_late_rows_are_not_shown_yet(venue: Faulty, question: Question):
    whole = question.rows(venue)
    venue.load(fault("late", times=None, args={"minutes": 600}))
    rows = question.rows(venue)
    closes = {wire.stamp_ms(row): wire.stamp_ms(row) + question.about.span_ms for row in whole}
    assert [row for row in whole if closes[wire.stamp_ms(row)] <= NOW_MS - 600 * 60_000] == rows
    assert 0 < len(rows) < len(whole)


@every_history
def test_preliminary_values_end_45_seconds_after_the_close(venue: Faulty, question: Question):
    venue.now_ms = NOW_MS // HOUR_MS * HOUR_MS - 2 * HOUR_MS + 44_000  # 08:00:44
    whole = question.rows(venue)
    venue.load(fault("preliminary", times=None))
    changed = [row for row in question.rows(venue) if row not in whole]
    assert [wire.stamp_ms(row) // HOUR_MS * HOUR_MS + question.about.span_ms for row in changed] == [
        venue.now_ms - 44_000
    ]
    venue.now_ms += 1020  # rates are stamped up to 10 ms late
    venue.load()
    whole = question.rows(venue)
    venue.load(fault("preliminary", times=None))
    assert question.rows(venue) == whole
    assert venue.fired() == []


@every_history
def test_a_revised_row_is_recent_final_and_the_same_at_every_serving(venue: Faulty, question: Question):
    whole = question.rows(venue)
    venue.load(fault("revised", times=2))
    first, second, third = (question.rows(venue) for _ in range(3))
    assert first == second != third == whole
    (changed,) = (row for row in first if row not in whole)
    closed = [row for row in whole if wire.stamp_ms(row) + question.about.span_ms <= NOW_MS - 60_000]
    assert wire.stamp_ms(changed) == max(wire.stamp_ms(row) for row in closed)


@every_dialect
def test_an_unclosed_bar_stands_beyond_the_others(venue: Faulty, question: Question):
    whole = question.rows(venue)
    venue.load(fault("unclosed"))
    rows = question.rows(venue)
    assert len(rows) == len(whole) + 1
    assert max(stamps(question, rows)) == max(stamps(question, whole)) + HOUR_MS
    ordered = stamps(question, rows)
    assert ordered in (sorted(ordered), sorted(ordered, reverse=True))
    if question.about.dialect == "okx":
        assert {row[8] for row in rows} == {"1"}
    venue.now_ms += 30 * 24 * HOUR_MS  # now these bars are an old page
    venue.load()
    whole = question.rows(venue)
    venue.load(fault("unclosed"))
    assert question.rows(venue) == whole


@every_history
def test_jitter_moves_stamps_by_milliseconds(venue: Faulty, question: Question):
    whole = question.rows(venue)
    venue.load(fault("jitter", args={"milliseconds": 400}))
    rows = question.rows(venue)
    moved = [new - old for new, old in zip(stamps(question, rows), stamps(question, whole), strict=True)]
    assert 0 < max(abs(shift) for shift in moved) <= 400
    assert [wire.restamped(row, 0) for row in rows] == [wire.restamped(row, 0) for row in whole]


@every_history
@pytest.mark.parametrize(
    ("kind", "strange"), [("null_values", {None}), ("text_values", {"n/a", "", "-", "1,234.5"})]
)
def test_values_can_be_null_or_text(venue: Faulty, question: Question, kind: str, strange: set[Any]):
    whole, widths = question.rows(venue), set()
    for seed in range(8):
        venue.load(fault(kind, args={"rows": 2}), seed=seed)
        changed = [(new, old) for new, old in zip(question.rows(venue), whole, strict=True) if new != old]
        assert len(changed) == 2
        for new, old in changed:
            keys = [key for key in wire.value_keys(question.about, old) if new[key] != old[key]]
            assert {new[key] for key in keys} <= strange
            assert wire.stamp_ms(new) == wire.stamp_ms(old)
            widths.add(len(keys))
    assert max(widths) > min(widths) or max(widths) == len(wire.value_keys(question.about, whole[0])) == 1


# The venue's state


@pytest.mark.parametrize("question", [q for q in QUESTIONS if q.on == "time"], ids=str)
def test_the_clock_can_be_off(venue: Faulty, question: Question):
    said = {
        "binance": lambda v: v["serverTime"],
        "bybit": lambda v: v["time"],
        "okx": lambda v: v["data"][0]["ts"],
    }
    clock_ms = said[question.about.dialect]
    assert int(clock_ms(question.get(venue).json())) == NOW_MS
    venue.load(fault("clock_skew", times=None, args={"seconds": -90}))
    assert int(clock_ms(question.get(venue).json())) == NOW_MS - 90_000


STATES = {"binance": "status", "bybit": "status", "okx": "state"}
LISTED = {"binance": "onboardDate", "bybit": "launchTime", "okx": "listTime"}
ENDED = {"binance": "deliveryDate", "bybit": "deliveryTime", "okx": "expTime"}


@pytest.mark.parametrize("question", INSTRUMENTS, ids=str)
@pytest.mark.parametrize(
    ("kind", "field", "word"),
    [
        ("maintenance", STATES, ""),
        ("delisted", ENDED, "2024-05-29 10:00"),
        ("newly_listed", LISTED, "2024-05-29 10:00"),
    ],
)
def test_a_listing_changes_its_state(
    venue: Faulty, question: Question, kind: str, field: dict[str, str], word: str
):
    whole = question.rows(venue)
    venue.load(fault(kind, symbol="BTCUSDT", args={"days": 3} if word else {}))
    changed = [(new, old) for new, old in zip(question.rows(venue), whole, strict=True) if new != old]
    ((new, old),) = changed
    key = field[question.about.dialect]
    assert wire.our_symbol(wire.venue_id(new)) == "BTCUSDT"
    assert new[key] != old[key]
    if word:
        assert pd.Timestamp(int(new[key]), unit="ms", tz="UTC") == pd.Timestamp(word, tz="UTC")
    trading = new[STATES[question.about.dialect]].lower() in ("trading", "live")
    assert trading == (kind == "newly_listed")


@every_history
def test_a_symbol_in_maintenance_gets_the_venues_error(venue: Faulty, question: Question):
    venue.load(fault("maintenance", symbol="BTCUSDT", times=None))
    answer = question.get(venue)
    assert answer.status_code == (200 if question.about.dialect == "bybit" else 400)
    assert codes(answer) & {"-1122", "110074", "51022"}
    assert question.of("ETH").rows(venue)


@every_history
@pytest.mark.parametrize(("kind", "kept"), [("delisted", False), ("newly_listed", True)])
def test_history_ends_or_begins_with_the_listing(venue: Faulty, question: Question, kind: str, kept: bool):
    whole = question.rows(venue)
    venue.load(fault(kind, times=None, args={"days": 1}))
    border = NOW_MS // HOUR_MS * HOUR_MS - 24 * HOUR_MS
    rows = question.rows(venue)
    assert rows == [row for row in whole if (wire.stamp_ms(row) >= border) == kept]
    assert 0 < len(rows) < len(whole)


# Scripts and their control


def test_every_kind_is_tried_here():
    text = Path(__file__).read_text()
    assert [kind for kind in faults.KINDS if f'"{kind}"' not in text] == []


@every_dialect
def test_a_fault_lets_some_requests_pass_and_ends(venue: Faulty, question: Question):
    venue.load(fault("empty_page", after=1, times=2))
    assert [bool(question.rows(venue)) for _ in range(5)] == [True, False, False, True, True]
    assert venue.fired() == [
        {"fault": 0, "kind": "empty_page", "path": f"/planted{question.path}", "count": 2}
    ]


@every_dialect
def test_a_fault_can_single_out_a_symbol_and_an_endpoint(venue: Faulty, question: Question):
    venue.load(fault("empty_page", on="klines", symbol="BTCUSDT", times=None))
    assert question.of("ETH").rows(venue)
    assert not question.rows(venue)
    venue.load(fault("empty_page", on="funding", symbol="BTCUSDT", times=None))
    assert question.rows(venue)


@every_dialect
def test_the_same_script_misbehaves_the_same_way(venue: Faulty, question: Question):
    def bodies(seed: int) -> list[bytes]:
        venue.load(fault("out_of_order", times=None), fault("missing", times=None), seed=seed)
        return [question.get(venue).content for _ in range(3)]

    once = bodies(4)
    assert once == bodies(4) != bodies(5)
    assert len(set(once)) == 3


@every_dialect
def test_faults_add_up_in_their_order(venue: Faulty, question: Question):
    whole = question.rows(venue)
    venue.load(fault("short_page", args={"share": 0.5}), fault("jitter"), fault("truncated_json"))
    assert len(question.get(venue).content) < 0.3 * len(json.dumps(whole))
    assert [one["kind"] for one in venue.fired()] == ["short_page", "jitter", "truncated_json"]


@every_dialect
def test_rows_spoilt_twice_stay_an_answer(venue: Faulty, question: Question):
    kinds = [kind for kind, about in faults.KINDS.items() if "klines" in about.on and kind in wire_kinds()]
    for first in kinds:
        for second in kinds:
            venue.load(fault(first), fault(second))
            assert question.get(venue).status_code in (200, 400)


def wire_kinds() -> set[str]:
    """Kinds that change rows."""
    from xrl.sandbox import altered

    return {*altered.ROWS, "maintenance"}


def test_without_a_script_answers_are_untouched(venue: Faulty):
    plain = [question.get(venue).content for question in QUESTIONS]
    venue.load(
        fault("empty_page", times=None), fault("clock_skew", times=None), fault("delisted", times=None)
    )
    spoilt = [question.get(venue).content for question in QUESTIONS]
    assert all(one != other for one, other in zip(plain, spoilt, strict=True))
    with requests.delete(f"{venue.url}/_faults", timeout=10) as answer:
        assert answer.json() == {"script": {"seed": 0, "faults": []}, "fired": []}
    assert [question.get(venue).content for question in QUESTIONS] == plain


def test_a_script_is_shown_as_it_was_loaded(venue: Faulty):
    venue.load(fault("stall", on="time", times=None, args={"seconds": 2}), seed=9)
    with requests.get(f"{venue.url}/_faults", timeout=10) as answer:
        script = answer.json()["script"]
    assert faults.read_script(json.dumps(script)) == faults.Script(
        seed=9, faults=(faults.Fault(kind="stall", on="time", times=None, args={"seconds": 2}),)
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "Invalid JSON"),
        ('{"seeds": 1}', "`seeds`: Extra inputs are not permitted"),
        ('{"seed": "1"}', "`seed`: Input should be a valid integer"),
        (
            '{"faults": [{"kind": "fire"}]}',
            r"`faults.0`: `kind` must be one of rate_limit, .* received 'fire'",
        ),
        (
            '{"faults": [{"kind": "cut", "times": 0}]}',
            "`faults.0.times`: Input should be greater than or equal to 1",
        ),
        (
            '{"faults": [{"kind": "cut", "args": {"hours": 1}}]}',
            r"`cut` has the args \['share'\]; received 'hours'",
        ),
        (
            '{"faults": [{"kind": "cut", "args": {"share": 2}}]}',
            "`args.share` must lie within 0 and 0.99; received 2",
        ),
        (
            '{"faults": [{"kind": "late", "on": "time"}]}',
            "`late` can be `on` funding, klines, .* received 'time'",
        ),
        (
            '{"faults": [{"kind": "cut", "on": "time", "symbol": "BTCUSDT"}]}',
            "`cut` on `time` names no symbol",
        ),
        (
            '{"faults": [{"kind": "cut", "symbol": "BTC-USDT-SWAP"}]}',
            "`faults.0.symbol`: String should match",
        ),
    ],
)
def test_a_bad_script_is_refused_in_one_sentence(venue: Faulty, text: str, sentence: str):
    venue.load(fault("empty_page"))
    with requests.put(f"{venue.url}/_faults", data=text, timeout=10) as answer:
        assert answer.status_code == 422
        said = answer.json()["msg"]
    with pytest.raises(ConfigError, match=sentence) as refused:
        faults.read_script(text)
    assert said == str(refused.value)
    assert "\n" not in said
    assert KLINES[0].rows(venue) == []  # the script before goes on


def test_random_scripts_reach_every_kind_and_are_the_same_for_a_seed():
    scripts = [faults.random_script(seed, ("BTCUSDT", "ETHUSDT")) for seed in range(300)]
    assert scripts == [faults.random_script(seed, ("BTCUSDT", "ETHUSDT")) for seed in range(300)]
    assert {len(script.faults) for script in scripts} == {1, 2, 3, 4, 5}
    assert {one.kind for script in scripts for one in script.faults} == set(faults.KINDS)
    assert {one.symbol for script in scripts for one in script.faults} == {None, "BTCUSDT", "ETHUSDT"}
    for script in scripts:
        assert faults.read_script(script.model_dump_json()) == script
