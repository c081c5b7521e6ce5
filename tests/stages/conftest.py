"""A small planted workspace walked through the stages `policy` and `backtest`, once a session."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.stages import predicted
from xrl.config import Config, load_config
from xrl.paths import Paths
from xrl.stages import backtest, policy

ROOT = Path(__file__).parents[2]


class Walked(NamedTuple):
    config: Config
    paths: Paths


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    config = predicted.smaller(load_config(ROOT / "params.yaml"), ("BTCUSDT", "SOLUSDT"), laid=3)
    paths = Paths(tmp_path_factory.mktemp("walked"))
    predicted.build(config, paths, days=180)
    policy.run(config, paths)
    return Walked(config, paths)


@pytest.fixture(scope="session")
def walked(trained: Walked) -> Walked:
    backtest.run(*trained)
    return trained
