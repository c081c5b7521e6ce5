"""`xrl train` before anything runs: what a short history becomes, and what is refused in one sentence."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
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
END = datetime(2026, 9, 1, tzinfo=UTC)  # a Tuesday


@pytest.fixture
def config() -> Config:
    return load_config(ROOT / "params.yaml")


def test_warm_up_comes_before_the_days_asked_for(config: Config) -> None:
    settings = history_settings(config, 30, END)
    bars = table.required_bars(config.experts.window_bars, table.declared(config.features))
    assert (settings["snapshot.days"] - 30) * 24 >= bars > (settings["snapshot.days"] - 31) * 24


def test_a_short_history_is_halved_into_training_and_two_folds(config: Config) -> None:
    settings = history_settings(config, 30, END)
    text = overridden((ROOT / "params.yaml").read_text(), _request(settings))
    plain = yaml.safe_load(text)
    labels = config.labels.model_validate(plain["labels"])
    end = pd.Timestamp(END)
    start = end - pd.Timedelta(days=plain["snapshot"]["days"])
    laid = folds.walk_forward(start, end, pd.Timedelta(hours=1), labels)
    assert [fold.index for fold in laid] == [0, 1]
    assert laid[-1].test_end == end
    half = pd.Timedelta(days=15)
    assert abs(end - laid[0].test_start - half) < pd.Timedelta(hours=3)
    assert plain["market"]["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert "# one network each" in text or "#" in text  # comments stay


def test_a_long_history_keeps_the_folds_of_params(config: Config) -> None:
    settings = history_settings(config, 90, END)
    assert set(settings) == {"snapshot.days"}
    assert history_settings(config, None, END) == {}


def test_too_few_days_are_refused(config: Config) -> None:
    with pytest.raises(ConfigError, match=r"at least 7 .*received 6"):
        history_settings(config, 6, END)
    with pytest.raises(ConfigError, match=r"7 up to 2026-09-07 00:00 leave 0.0 .*two calendar weeks"):
        history_settings(config, 7, datetime(2026, 9, 7, tzinfo=UTC))  # the close of a Sunday


def test_a_very_short_history_tests_bars_of_two_weeks(config: Config) -> None:
    friday = datetime(2026, 9, 4, tzinfo=UTC)  # four days after the week began: five are tested
    settings = history_settings(config, 8, friday)
    warm = settings["snapshot.days"] - 8
    assert settings["labels.first_train_share"] == pytest.approx((warm + 3) / (warm + 8), abs=1e-4)
    with pytest.raises(ConfigError, match=r"leave 2\.0"):
        history_settings(config, 7, friday)


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
