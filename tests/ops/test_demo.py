"""The demo's jobs, its question to the service, and what it tells the reader."""

import time
from datetime import UTC, datetime
from io import StringIO
from threading import Thread

import pytest
from rich.console import Console

from ops.demo import Demo, jobs
from ops.environment import ROOT
from ops.outcome import Outcome
from ops.service_call import candles, closes
from ops.summary import print_outcome
from xrl.config import load_config
from xrl.errors import ConfigError
from xrl.sandbox import server
from xrl.sandbox.venue import open_venue

AS_OF = datetime(2026, 10, 1, tzinfo=UTC)
CONFIG = load_config(ROOT / "params.yaml")


def test_both_controls_run_unless_a_world_is_named() -> None:
    assert [job.world for job in jobs(CONFIG, Demo(None, None, None))] == ["planted", "random_walk"]
    assert [job.world for job in jobs(CONFIG, Demo("random_walk", None, None))] == ["random_walk"]


def test_replay_runs_four_years_up_to_2025_unless_told_otherwise() -> None:
    (job,) = jobs(CONFIG, Demo("replay", None, None))
    assert (job.days, job.as_of) == (1461, datetime(2025, 1, 1, tzinfo=UTC))
    (job,) = jobs(CONFIG, Demo("replay", 400, "2024-06-01"))
    assert (job.days, job.as_of) == (400, datetime(2024, 6, 1, tzinfo=UTC))


def test_the_service_is_asked_about_closed_candles_up_to_as_of() -> None:
    sock = server.listen("127.0.0.1", 0)
    running = server.server(open_venue(7, None))
    thread = Thread(target=running.run, kwargs={"sockets": [sock]})
    thread.start()
    while not running.started:
        time.sleep(0.01)
    try:
        base = f"http://127.0.0.1:{sock.getsockname()[1]}/planted"
        found = candles(base, "BTCUSDT", AS_OF, bars=1100)
        beside = closes(base, "BTCUSDT", AS_OF, bars=120)
    finally:
        running.should_exit = True
        thread.join(timeout=20)

    end = int(AS_OF.timestamp() * 1000)
    assert found["timestamp"] == [end - 3_600_000 * back for back in range(1100, 0, -1)]
    assert {len(values) for values in found.values()} == {1100}
    settled = [stamp for stamp, rate in zip(found["timestamp"], found["funding_rate"]) if rate is not None]
    assert all(stamp is not None and stamp % 28_800_000 == 0 for stamp in settled)
    assert len(settled) in (137, 138)
    assert beside == {name: found[name][-120:] for name in ("timestamp", "close")}


def _told(**changes: object) -> str:
    check = {
        "name": "sharpe",
        "figure": 0.2,
        "relation": ">=",
        "bound": 0.7,
        "passed": False,
        "reason": "too low",
    }
    figure = {"value": 0.4, "low": 0.35, "high": 0.45}
    values: dict[str, object] = {
        "world": "planted",
        "version": "xrl-planted version 3",
        "number": "3",
        "is_champion": False,
        "was_champion": False,
        "decision": {"kind": "first", "checks": [check]},
        "metrics": {
            "prediction": {
                "f1_macro": figure,
                "direction_accuracy": {"value": 0.54, "low": 0.53, "high": 0.55},
            },
            "trading": {"sharpe": {"value": 1.0, "low": 0.5, "high": 1.5}},
            "ceiling": {"f1_macro": 0.46667, "direction_accuracy": 0.58, "sharpe": None},
        },
    }
    out = StringIO()
    print_outcome(Outcome(**{**values, **changes}), Console(file=out, width=160))  # type: ignore[arg-type]
    return out.getvalue()


def test_a_refusal_gives_its_reasons_with_figure_and_bound() -> None:
    told = _told()
    assert "xrl-planted version 3 is refused: too low" in told
    for word in ("sharpe", "0.200", ">=", "0.700"):
        assert word in told


def test_figures_are_told_as_a_share_of_what_the_world_allows() -> None:
    told = _told(is_champion=True)
    assert "is promoted" in told
    assert "50% (chance 0.500)" in told  # direction: (.54 - .50) / (.58 - .50)
    assert "50% (chance 0.333)" in told  # F1: (.4 - 1/3) / (.46667 - 1/3)
    assert "Sharpe" not in told  # no ceiling is known


def test_the_identical_bundle_is_already_champion() -> None:
    assert "is already champion" in _told(is_champion=True, was_champion=True)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01"])
def test_a_date_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="AS_OF must be a date"):
        jobs(CONFIG, Demo(None, None, text))
