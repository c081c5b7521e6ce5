"""`xrl train` before anything runs: what a short history becomes, and what is refused in one sentence."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from xrl.__main__ import app
from xrl.commands.train import history_settings
from xrl.config import Config, load_config
from xrl.errors import ConfigError
from xrl.features import table
from xrl.labels import folds
from xrl.workspace import Request, overridden

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config() -> Config:
    return load_config(ROOT / "params.yaml")


def test_warm_up_comes_before_the_days_asked_for(config: Config) -> None:
    settings = history_settings(config, 30, given=True)
    bars = table.required_bars(config.experts.window_bars, table.declared(config.features))
    assert (settings["snapshot.days"] - 30) * 24 >= bars > (settings["snapshot.days"] - 31) * 24


def test_a_short_history_is_halved_into_training_and_two_folds(config: Config) -> None:
    import pandas as pd

    settings = history_settings(config, 30, given=True)
    text = overridden((ROOT / "params.yaml").read_text(), _request(settings))
    plain = yaml.safe_load(text)
    labels = config.labels.model_validate(plain["labels"])
    end = pd.Timestamp("2026-09-01", tz="UTC")
    start = end - pd.Timedelta(days=plain["snapshot"]["days"])
    laid = folds.walk_forward(start, end, pd.Timedelta(hours=1), labels)
    assert [fold.index for fold in laid] == [0, 1]
    assert laid[-1].test_end == end
    half = pd.Timedelta(days=15)
    assert abs(end - laid[0].test_start - half) < pd.Timedelta(hours=3)
    assert plain["market"]["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert "# one network each" in text or "#" in text  # comments stay


def test_a_long_history_keeps_the_folds_of_params(config: Config) -> None:
    settings = history_settings(config, 90, given=True)
    assert set(settings) == {"snapshot.days"}
    assert history_settings(config, config.snapshot.days, given=False) == {}


def test_too_few_days_are_refused(config: Config) -> None:
    with pytest.raises(ConfigError, match=r"at least 7 .*received 6"):
        history_settings(config, 6, given=True)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--preset", "luck"], "production_small"),
        (["--world", "moon"], "planted"),
        (["--venue", "mtgox"], "binance"),
        (["--days", "3"], "at least 7"),
    ],
)
def test_mistakes_are_named_before_anything_is_pulled(
    asked: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(ConfigError, match=said):
        CliRunner().invoke(app, ["train", *asked], catch_exceptions=False)


def _request(settings: dict[str, object]) -> Request:
    from datetime import UTC, datetime

    symbols = ("BTCUSDT", "ETHUSDT")
    days = int(str(settings["snapshot.days"]))
    more = {name: value for name, value in settings.items() if name != "snapshot.days"}
    return Request(
        "train",
        "binance",
        "planted",
        symbols,
        days,
        "production_small",
        datetime(2026, 9, 1, tzinfo=UTC),
        more,
    )
