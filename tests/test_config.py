"""params.yaml and the environment become typed values, and mistakes are named."""

from pathlib import Path

import pytest
import yaml

from xrl.config import Config, load_config, load_settings
from xrl.errors import ConfigError

ROOT = Path(__file__).parents[1]


def _params() -> dict:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def _write(folder: Path, params: object) -> Path:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(params))
    return path


def test_the_shipped_parameters_load_into_one_section_per_stage() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    config = load_config(ROOT / "params.yaml")
    own = set(stages) - {"refit", "report"}  # which repeat what the others' sections say
    assert set(Config.model_fields) - {"market", "pull", "validation", "gate"} == own
    assert config.market.model_name == "xrl-planted"


def test_an_unknown_key_is_refused_by_name(tmp_path: Path) -> None:
    params = _params()
    params["labels"]["horizon"] = 20
    with pytest.raises(ConfigError, match=r"`labels\.horizon`.*received 20"):
        load_config(_write(tmp_path, params))


def test_a_value_out_of_range_is_refused_with_what_was_received(tmp_path: Path) -> None:
    params = _params()
    params["backtest"]["max_leverage"] = 20
    with pytest.raises(ConfigError, match=r"`backtest\.max_leverage`.*received 20"):
        load_config(_write(tmp_path, params))


def test_folds_must_count_up_from_zero(tmp_path: Path) -> None:
    params = _params()
    params["labels"]["folds"] = [0, 2]
    with pytest.raises(ConfigError, match="must count up from 0"):
        load_config(_write(tmp_path, params))


def _mistake(tmp_path: Path, section: str, **values: object) -> str:
    params = _params()
    params[section] |= values
    with pytest.raises(ConfigError) as refused:
        load_config(_write(tmp_path, params))
    return str(refused.value)


def test_every_recipe_is_the_preset_with_the_overrides_of_all_and_its_own(tmp_path: Path) -> None:
    params = _params()
    params["experts"] |= {
        "override": {"network": {"units": 16, "dropout": 0.1}},
        "members": [{}, {"network": {"units": 8}, "loss": {"focal_gamma": 2.0}}],
    }
    first, second = load_config(_write(tmp_path, params)).experts.recipes
    assert (first.network.units, first.network.dropout, first.loss.focal_gamma) == (16, 0.1, 0.0)
    assert (second.network.units, second.network.dropout, second.loss.focal_gamma) == (8, 0.1, 2.0)


def test_two_equal_recipes_would_only_train_the_same_networks_twice(tmp_path: Path) -> None:
    assert "more networks of one recipe are more `seeds`" in _mistake(tmp_path, "experts", members=[{}, {}])
    assert "`seeds` must differ" in _mistake(tmp_path, "experts", seeds=[1, 1])
    assert "members" in _mistake(tmp_path, "experts", members=[])


def test_the_committee_is_known_and_weighed(tmp_path: Path) -> None:
    three = ["pattern", "indicator", "boosted"]
    config = load_config(ROOT / "params.yaml").oof.model_copy(
        update={"committee": tuple(three), "weights": (1.0, 1.0, 2.0)}
    )
    assert config.shares == {"pattern": 0.25, "indicator": 0.25, "boosted": 0.5}
    wrong = _mistake(tmp_path, "oof", committee=["indicator", "pattern"], weights=[1, 1])
    assert "received ['indicator', 'pattern']" in wrong
    assert "one number for each of" in _mistake(tmp_path, "oof", committee=three, weights=[1, 1])
    assert "none negative" in _mistake(tmp_path, "oof", committee=three, weights=[1, 2, -1])
    assert "not all" in _mistake(tmp_path, "oof", committee=three, weights=[0, 0, 0])


def test_a_live_market_has_no_world(tmp_path: Path) -> None:
    params = _params()
    params["market"]["source"] = "live"
    with pytest.raises(ConfigError, match="null for `source: live`"):
        load_config(_write(tmp_path, params))


def test_missing_and_malformed_files_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no parameters at"):
        load_config(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("market: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(tmp_path / "params.yaml")


def test_sections_cannot_be_changed_after_loading() -> None:
    config = load_config(ROOT / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        config.labels.horizon_bars = 5  # type: ignore[misc]


def test_settings_come_from_the_environment_and_stay_on_loopback() -> None:
    settings = load_settings({"XRL_SANDBOX_PORT": "5000", "XRL_HOST": "localhost", "HOME": "/nowhere"})
    assert settings.sandbox_url == "http://localhost:5000"
    with pytest.raises(ConfigError, match="loopback"):
        load_settings({"XRL_HOST": "0.0.0.0"})
    with pytest.raises(ConfigError, match="sandbox_port"):
        load_settings({"XRL_SANDBOX_PORT": "99999"})


def test_a_secret_is_seen_in_no_text_and_in_no_error() -> None:
    settings = load_settings({"XRL_EXCHANGE_KEY": "k3y", "XRL_EXCHANGE_SECRET": "s3cret"})
    assert settings.credentials[1] is not None and settings.credentials[1].get_secret_value() == "s3cret"
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    with pytest.raises(ConfigError, match="come together") as refused:
        load_settings({"XRL_EXCHANGE_SECRET": "s3cret"})
    assert "s3cret" not in str(refused.value)
